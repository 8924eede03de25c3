"""Reduced models against full solutions: true errors, bounds and effectivities as a table."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from headcond.checks import InputError, check_shape
from headcond.fem.operator import AffineOperator
from headcond.rom.bounds import energy_bounds
from headcond.rom.model import PairModel, ReducedModel
from headcond.rom.settings import operator_digest
from headcond.rom.stability import second_eigenvalue

_logger = logging.getLogger(__name__)
_CONTACT = "contact"
_TRUTH = 1e-13
_ROUND_OFF = 1e-15  # of |||u|||^2 = b'u, what the energy identity loses by cancellation
_JUDGED = 10.0
_READING_ROUND_OFF = 1e-12  # of the drive voltage, as truths are solved to 1e-13


def validate(
    model: ReducedModel,
    operator: AffineOperator,
    solver_factory: Callable[[Any], Any],
    points: np.ndarray,
    *,
    bases: Mapping[str, np.ndarray] | None = None,
    snapshots: Sequence[int] | None = None,
) -> pd.DataFrame:
    """Compare a reduced model with full solutions at given points.

    Parameters
    ----------
    model : reduced model of `operator`.
    solver_factory : matrix -> solver; truths are asked for to 1e-13.
    points : (S, P) parameters in the box, S/m.
    bases : basis V (size, N) by injecting electrode. Without them the energy error comes
        from |||u|||^2 - |||u_N|||^2, which cannot tell errors below about 1e-7 of |||u|||.
    snapshots : numbers of snapshots to judge; all of a pair's by default.

    Returns
    -------
    One row per point, pair and number of snapshots: `source`, `point`, `snapshots`; `error`,
    `bound` and `lower` bound in the model's norm (W^0.5 for the energy); `relative_error`,
    `relative_bound`; `effectivity` bound/error and its `limit` sqrt(gamma/alpha times
    the Riesz map's spread);
    `relative_head_error`, the energy error without the contact's part, over that part of
    |||u|||; `passive_error`, V, the largest error of a potential between passive electrodes
    (their mean as reference); `accuracy` of `error`, from the truth's own residual; `judged`
    where the error is at least ten times that; `violated` where a judged error exceeds
    its bound. With cross blocks also `corrected_passive_error`, V, and `reading_bound`, V, the
    largest bound of a passive electrode's corrected potential; `reading_violated` where a
    corrected potential is further off than its bound (and 1e-12 of the drive voltage).

    Raises
    ------
    InputError
        If the model was trained on another operator, or bases are missing that are needed.
    """
    return compare([(model, bases)], operator, solver_factory, points, snapshots=snapshots)[0]


def compare(
    models: Sequence[tuple[ReducedModel, Mapping[str, np.ndarray] | None]],
    operator: AffineOperator,
    solver_factory: Callable[[Any], Any],
    points: np.ndarray,
    *,
    snapshots: Sequence[int] | None = None,
) -> list[pd.DataFrame]:
    """`validate` of several models with the same pairs and box, by the same full solutions.

    Parameters
    ----------
    models : reduced models (of different norms, say), each with its bases or None.
    """
    first = models[0][0]
    for model, bases in models:
        _check(model, bases, operator)
        if model.sources != first.sources or model.sink != first.sink or (
            model.current != first.current
            or model.box.names != first.box.names
            or dict(model.box.fixed) != dict(first.box.fixed)
        ):  # fmt: skip
            raise InputError("Models that are compared must have the same pairs and parameters.")
        model.box.check(check_shape("points", points, (None, len(model.box.names))))
    scales = [_scale(model, operator, solver_factory) for model, _ in models]
    loads = np.stack(
        [operator.load(pair.source, pair.sink, first.current) for pair in first.pairs], axis=1
    )
    rows: list[list[dict[str, Any]]] = [[] for _ in models]
    for number, sigma in enumerate(np.asarray(points, float)):
        coefficients = first.box.coefficients(operator, sigma)
        matrix = operator.combine(coefficients)
        body = matrix
        if _CONTACT in operator.names:
            share = coefficients[operator.names.index(_CONTACT)]
            body = matrix - share * operator.block(_CONTACT)
        solver = solver_factory(matrix)
        truths = solver.solve(loads, tolerance=_TRUTH, name=f"truth at point {number}").x
        solver.close()
        defect = loads - matrix @ truths
        for (model, bases), (weight, smallest), table in zip(models, scales, rows, strict=True):
            ratio = model.box.theta(sigma) / model.box.reference
            lacks = np.linalg.norm(defect / np.sqrt(weight)[:, None], axis=0)
            coercivity = smallest * ratio.min()  # of A(mu), in the norm of `weight`
            accuracy = lacks / (np.sqrt(coercivity) if model.norm == "energy" else coercivity)
            for k, pair in enumerate(model.pairs):
                basis = None if bases is None else bases[pair.source]
                for count in snapshots or [pair.snapshots]:
                    row = _compare(model.select([pair.source]), sigma, count, loads[:, k],
                                   truths[:, k], accuracy[k], matrix, body, basis)  # fmt: skip
                    table.append(
                        {"source": pair.source, "point": number, "snapshots": count, **row}
                    )
            if model.cross is not None:
                asked = table[-len(model.pairs) * len(snapshots or [0]) :]
                _judge_readings(model, sigma, asked, truths[operator.nodes :].T)
        _logger.info("point %d of %d compared", number + 1, len(points))
    return [pd.DataFrame(table) for table in rows]


def _check(
    model: ReducedModel, bases: Mapping[str, np.ndarray] | None, operator: AffineOperator
) -> None:
    digest = operator_digest(operator)
    if model.attributes.get("operator", digest) != digest or (
        model.electrodes != operator.electrodes
    ):
        raise InputError("The reduced model was trained on another operator (mesh, electrodes).")
    if bases is None and model.norm == "euclidean":
        raise InputError("Errors in the Euclidean norm need the bases: train with keep_bases.")


def _scale(
    model: ReducedModel, operator: AffineOperator, solver_factory: Callable[[Any], Any]
) -> tuple[np.ndarray, float]:
    # Diagonal that a truth's residual is weighted by, and the least eigenvalue beside it.
    reference = operator.combine(
        model.box.coefficients(operator, model.box.reference[: len(model.box.names)])
    )
    weight = reference.diagonal() if model.norm == "energy" else np.ones(operator.size)
    solver = solver_factory(reference)
    value, residual = second_eigenvalue(reference, solver, weight)
    solver.close()
    return weight, value - residual


def _judge_readings(
    model: ReducedModel, sigma: np.ndarray, rows: list[dict[str, Any]], truth: np.ndarray
) -> None:
    # Corrected potentials between passive electrodes, and their product bounds, into the rows.
    sink = model.electrodes.index(model.sink)
    exact = truth - truth[:, sink : sink + 1]
    for count in {row["snapshots"] for row in rows}:
        error = model.voltages(sigma, count, corrected=True) - exact
        bound = model.reading_bound(sigma, count)
        for row in rows:
            if row["snapshots"] == count:
                k = model.sources.index(row["source"])
                left = np.abs(error[k]) > bound[k] + _READING_ROUND_OFF * np.abs(exact).max()
                wrong = passive(error[k], model.electrodes, model.pairs[k])
                row["corrected_passive_error"] = np.max(np.abs(wrong), initial=0.0)
                row["reading_bound"] = np.max(
                    np.delete(bound[k], model.electrodes.index(row["source"]))
                )
                row["reading_violated"] = bool(left.any())


def passive(potentials: np.ndarray, electrodes: Sequence[str], pair: PairModel) -> np.ndarray:
    """Potentials (..., L - 2) of the passive electrodes, less their mean."""
    keep = [k for k, name in enumerate(electrodes) if name not in (pair.source, pair.sink)]
    kept = potentials[..., keep]
    return kept - kept.mean(axis=-1, keepdims=True)


def _compare(model: ReducedModel, sigma: np.ndarray, count: int, load: np.ndarray,
             truth: np.ndarray, accuracy: float, matrix: Any, body: Any,
             basis: np.ndarray | None) -> dict[str, Any]:  # fmt: skip
    pair = model.pairs[0].first(count)
    theta = model.box.theta(sigma)[None]
    ratio = theta / model.box.reference
    solution, norm, slack = pair.residual(theta, model.box.reference)
    energy = load @ truth
    head_error = np.nan
    if basis is None:
        gap = max(energy - float(pair.energy(solution)[0]), 0.0)
        error, scale = np.sqrt(gap), np.sqrt(energy)
        accuracy = max(accuracy, np.sqrt(_ROUND_OFF * energy))
    else:
        lack = truth - basis[:, : pair.snapshots] @ solution[0]
        head_error = np.sqrt((lack @ (body @ lack)) / (truth @ (body @ truth)))
        if model.norm == "energy":
            error, scale = np.sqrt(lack @ (matrix @ lack)), np.sqrt(energy)
        else:
            error, scale = np.linalg.norm(lack), np.linalg.norm(truth)
    bound = float(model.bound(sigma, snapshots=count)[0])
    relative = float(model.bound(sigma, snapshots=count, relative=True)[0])
    lower, limit = np.nan, np.nan
    if model.norm == "energy":
        lower = float(energy_bounds(norm, slack, ratio)[0][0]) / np.sqrt(pair.spread)
        limit = float(np.sqrt(pair.spread * ratio.max() / ratio.min()))
    nodes = len(truth) - len(model.electrodes)
    wrong = passive(pair.electrode_basis @ solution[0] - truth[nodes:], model.electrodes, pair)
    judged = bool(error >= _JUDGED * accuracy)
    return {
        "error": error, "bound": bound, "lower": lower, "relative_error": error / scale,
        "relative_bound": relative, "effectivity": bound / error if error > 0 else np.nan,
        "limit": limit, "relative_head_error": head_error,
        "passive_error": np.max(np.abs(wrong), initial=0.0), "accuracy": accuracy,
        "judged": judged, "violated": bool(judged and error > bound + accuracy),
    }  # fmt: skip
