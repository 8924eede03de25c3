"""Reduced models against full solutions: true errors, bounds and effectivities as a table."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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
    points = np.asarray(points, float)
    scales = [_scale(model, operator, solver_factory) for model, _ in models]
    asked = [_reduced(model, points, snapshots) for model, _ in models]
    loads = np.stack(
        [operator.load(pair.source, pair.sink, first.current) for pair in first.pairs], axis=1
    )
    contact = None
    if _CONTACT in operator.names:
        contact = operator.block(_CONTACT).copy()  # the blocks share their arrays
        contact.eliminate_zeros()
    rows: list[list[dict[str, Any]]] = [[] for _ in models]
    for number, sigma in enumerate(points):
        coefficients = first.box.coefficients(operator, sigma)
        matrix = operator.combine(coefficients)
        solver = solver_factory(matrix)
        truths = solver.solve(loads, tolerance=_TRUTH, name=f"truth at point {number}").x
        solver.close()
        defect = loads - matrix @ truths
        parts = [matrix]
        if contact is not None:
            touch = coefficients[operator.names.index(_CONTACT)] * contact
            parts = [matrix - touch, touch]
        for (model, bases), (weight, smallest), reduced, table in zip(
            models, scales, asked, rows, strict=True
        ):
            ratio = model.box.theta(sigma) / model.box.reference
            lacks = np.linalg.norm(defect / np.sqrt(weight)[:, None], axis=0)
            coercivity = smallest * ratio.min()  # of A(mu), in the norm of `weight`
            accuracy = lacks / (np.sqrt(coercivity) if model.norm == "energy" else coercivity)
            known = len(table)
            for k, pair in enumerate(model.pairs):
                found = _compare(model, reduced[pair.source], number, loads[:, k], truths[:, k],
                                 accuracy[k], parts, bases and bases[pair.source])  # fmt: skip
                table += [{"source": pair.source, "point": number, **row} for row in found]
            if model.cross is not None:
                _judge_readings(model, sigma, table[known:], truths[operator.nodes :].T)
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


@dataclass(frozen=True)
class _Reduced:
    # What the reduced model of one pair says at all points (S), by its first `count` snapshots.
    pair: PairModel
    count: int
    solution: np.ndarray  # (S, n)
    potentials: np.ndarray  # (S, L)
    bound: np.ndarray  # (S,), as are the next three
    relative: np.ndarray
    lower: np.ndarray
    limit: np.ndarray


def _reduced(
    model: ReducedModel, points: np.ndarray, snapshots: Sequence[int] | None
) -> dict[str, list[_Reduced]]:
    theta, found = model.box.theta(points), {}
    ratio = theta / model.box.reference
    for whole in model.pairs:
        alone, rows = model.select([whole.source]), []
        for count in snapshots or [whole.snapshots]:
            pair = whole.first(count)
            solution, norm, slack = pair.residual(theta, model.box.reference)
            lower = limit = np.full(len(points), np.nan)
            if model.norm == "energy":
                lower = energy_bounds(norm, slack, ratio)[0] / np.sqrt(pair.spread)
                limit = np.sqrt(pair.spread * ratio.max(axis=1) / ratio.min(axis=1))
            rows.append(_Reduced(
                pair, count, solution, solution @ pair.electrode_basis.T,
                alone.bound(points, snapshots=count)[:, 0],
                alone.bound(points, snapshots=count, relative=True)[:, 0], lower, limit,
            ))  # fmt: skip
        found[whole.source] = rows
    return found


def _energies(columns: np.ndarray, parts: Sequence[Any]) -> np.ndarray:
    # Energy of each column (k,) in each part of A (the head, the contacts): (parts, k).
    return np.array([np.einsum("ik,ik->k", columns, part @ columns) for part in parts])


def _compare(model: ReducedModel, asked: Sequence[_Reduced], point: int, load: np.ndarray,
             truth: np.ndarray, accuracy: float, parts: Sequence[Any],
             basis: np.ndarray | None) -> list[dict[str, Any]]:  # fmt: skip
    # One row per number of snapshots; long vectors of all numbers are handled at once, as
    # reading the matrix and the basis is what costs.
    energy, head_errors = load @ truth, np.full(len(asked), np.nan)
    if basis is None:
        energies = np.array([one.pair.energy(one.solution[point]) for one in asked])
        errors, scale = np.sqrt(np.maximum(energy - energies, 0.0)), np.sqrt(energy)
        accuracy = max(accuracy, np.sqrt(_ROUND_OFF * energy))
    else:
        weights = np.zeros((max(one.pair.snapshots for one in asked), len(asked) + 1))
        for column, one in enumerate(asked):
            weights[: one.pair.snapshots, column] = one.solution[point]
        # The last column has no weights: it is the truth itself.
        lacks = truth[:, None] - basis[:, : len(weights)] @ weights
        energies = _energies(lacks, parts)
        head_errors = np.sqrt(energies[0, :-1] / energies[0, -1])
        if model.norm == "energy":
            errors, scale = np.sqrt(energies.sum(axis=0)[:-1]), np.sqrt(energy)
        else:
            errors, scale = np.linalg.norm(lacks[:, :-1], axis=0), np.linalg.norm(truth)
    nodes, rows = len(truth) - len(model.electrodes), []
    for one, error, head_error in zip(asked, errors, head_errors, strict=True):
        bound = one.bound[point]
        wrong = passive(one.potentials[point] - truth[nodes:], model.electrodes, one.pair)
        judged = bool(error >= _JUDGED * accuracy)
        rows.append({
            "snapshots": one.count, "error": error, "bound": bound, "lower": one.lower[point],
            "relative_error": error / scale, "relative_bound": one.relative[point],
            "effectivity": bound / error if error > 0 else np.nan, "limit": one.limit[point],
            "relative_head_error": head_error,
            "passive_error": np.max(np.abs(wrong), initial=0.0), "accuracy": accuracy,
            "judged": judged, "violated": bool(judged and error > bound + accuracy),
        })  # fmt: skip
    return rows
