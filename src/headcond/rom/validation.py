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

logger = logging.getLogger(__name__)
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
    solver_factory : matrix -> solver; truths are solved to 1e-13.
    points : (S, P) parameters in the box, S/m.
    bases : basis V (size, N) by injecting electrode. Without them the energy error comes
        from |||u|||^2 - |||u_N|||^2, which cannot resolve errors below about 1e-7 of |||u|||.
    snapshots : numbers of snapshots to compare; all of a pair's by default.

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
    models : reduced models (of different norms, for example), each with its bases or None.
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
    reduced_models = [_reduced(model, points, snapshots) for model, _ in models]
    loads = [operator.load(pair.source, pair.sink, first.current) for pair in first.pairs]
    loads, contact = np.stack(loads, axis=1), None
    if _CONTACT in operator.names:
        contact = operator.block(_CONTACT).copy()  # the blocks share their arrays
        contact.eliminate_zeros()
    grams = [
        {source: _gram(model.norm, basis, contact) for source, basis in (bases or {}).items()}
        for model, bases in models
    ]
    rows: list[list[dict[str, Any]]] = [[] for _ in models]
    for number, sigma in enumerate(points):
        coefficients = first.box.coefficients(operator, sigma)
        matrix = operator.combine(coefficients)
        solver = solver_factory(matrix)
        truths = solver.solve(loads, tolerance=_TRUTH, name=f"truth at point {number}").x
        solver.close()
        defect = loads - matrix @ truths
        touch = 0.0 if contact is None else coefficients[operator.names.index(_CONTACT)]
        for (model, bases), (weight, smallest), reduced, table, known_grams in zip(
            models, scales, reduced_models, rows, grams, strict=True
        ):
            ratio = model.box.theta(sigma) / model.box.reference
            lacks = np.linalg.norm(defect / np.sqrt(weight)[:, None], axis=0)
            coercivity = smallest * ratio.min()  # of A(mu), in the norm of `weight`
            accuracy = lacks / (np.sqrt(coercivity) if model.norm == "energy" else coercivity)
            first_row = len(table)
            for k, pair in enumerate(model.pairs):
                squares = None
                if bases is not None:
                    squares = _squares(
                        reduced[pair.source], number, model.box.theta(sigma), truths[:, k],
                        bases[pair.source], known_grams[pair.source], matrix, touch, contact,
                    )  # fmt: skip
                compared = _compare(model, reduced[pair.source], number, loads[:, k], truths[:, k],
                                 accuracy[k], squares)  # fmt: skip
                table += [{"source": pair.source, "point": number, **row} for row in compared]
            if model.cross is not None:
                _compare_readings(model, sigma, table[first_row:], truths[operator.nodes :].T)
        logger.info("point %d of %d compared", number + 1, len(points))
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
    # Diagonal that weights a truth's residual, and the least eigenvalue of the scaled matrix.
    reference = operator.combine(
        model.box.coefficients(operator, model.box.reference[: len(model.box.names)])
    )
    weight = reference.diagonal() if model.norm == "energy" else np.ones(operator.size)
    solver = solver_factory(reference)
    value, residual = second_eigenvalue(reference, solver, weight)
    solver.close()
    return weight, value - residual


def _compare_readings(
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
    # Results of the reduced model of one pair at all points (S), by its first `count` snapshots.
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
    theta, results = model.box.theta(points), {}
    ratio = theta / model.box.reference
    for whole in model.pairs:
        single, rows = model.select([whole.source]), []
        for count in snapshots or [whole.snapshots]:
            pair = whole.first(count)
            solution, norm, slack = pair.residual(theta, model.box.reference)
            lower = limit = np.full(len(points), np.nan)
            if model.norm == "energy":
                lower = energy_bounds(norm, slack, ratio)[0] / np.sqrt(pair.spread)
                limit = np.sqrt(pair.spread * ratio.max(axis=1) / ratio.min(axis=1))
            rows.append(_Reduced(
                pair, count, solution, solution @ pair.electrode_basis.T,
                single.bound(points, snapshots=count)[:, 0],
                single.bound(points, snapshots=count, relative=True)[:, 0], lower, limit,
            ))  # fmt: skip
        results[whole.source] = rows
    return results


def _gram(
    norm: str, basis: np.ndarray, contact: Any
) -> tuple[np.ndarray | None, np.ndarray | None]:
    # V'V where errors are in the Euclidean norm, and the contacts' block in the basis.
    return (
        basis.T @ basis if norm == "euclidean" else None,
        None if contact is None else basis.T @ (contact @ basis),
    )


def _squares(
    reduced: Sequence[_Reduced], point: int, theta: np.ndarray, truth: np.ndarray,
    basis: np.ndarray, gram: tuple[np.ndarray | None, np.ndarray | None], matrix: Any,
    touch: float, contact: Any,
) -> tuple[np.ndarray, np.ndarray, float]:  # fmt: skip
    """Squares of the errors for all numbers of snapshots, from one long vector.

    An error is e_n = w + V d, with w = u - V z what the largest of them leaves and d = z - z_n,
    so e_n' M e_n = w'Mw + 2 d'V'Mw + d'(V'MV)d: w and d are small, nothing cancels.

    Returns
    -------
    Squares (k,) in the model's norm (energy, or the Euclidean one where there is its Gram
    matrix), of the energy in the head (k,), and the truth's energy in the head.
    """
    most = max(reduced, key=lambda one: one.pair.snapshots)
    solution, blocks = most.solution[point], most.pair.A_N
    size = len(solution)
    euclidean, touched = (None if part is None else part[:size, :size] for part in gram)
    steps = np.repeat(solution[:, None], len(reduced), axis=1)
    for column, one in enumerate(reduced):
        steps[: one.pair.snapshots, column] -= one.solution[point]
    vectors = basis[:, :size]
    lack = truth - vectors @ solution

    def square(image: np.ndarray, reduced: np.ndarray) -> np.ndarray:
        mixed = 2 * ((image @ vectors) @ steps)
        return lack @ image + mixed + np.einsum("ik,ij,jk->k", steps, reduced, steps)

    energies = square(matrix @ lack, np.tensordot(theta, blocks, axes=1))
    heads, head = energies, truth @ (matrix @ truth)
    if contact is not None:
        heads = energies - touch * square(contact @ lack, touched)
        head -= touch * (truth @ (contact @ truth))
    errors = energies if euclidean is None else square(lack, euclidean)
    # What is left at round-off of the truth may come out below zero.
    return np.maximum(errors, 0.0), np.maximum(heads, 0.0), head


def _compare(
    model: ReducedModel, reduced: Sequence[_Reduced], point: int, load: np.ndarray,
    truth: np.ndarray, accuracy: float, squares: tuple[np.ndarray, np.ndarray, float] | None,
) -> list[dict[str, Any]]:  # fmt: skip
    # One row per number of snapshots; without a basis `squares` is None.
    energy, head_errors = load @ truth, np.full(len(reduced), np.nan)
    scale = np.sqrt(energy) if model.norm == "energy" else np.linalg.norm(truth)
    if squares is None:
        energies = np.array([one.pair.energy(one.solution[point]) for one in reduced])
        errors = np.sqrt(np.maximum(energy - energies, 0.0))
        accuracy = max(accuracy, np.sqrt(_ROUND_OFF * energy))
    else:
        errors, head_errors = np.sqrt(squares[0]), np.sqrt(squares[1] / squares[2])
    nodes, rows = len(truth) - len(model.electrodes), []
    for one, error, head_error in zip(reduced, errors, head_errors, strict=True):
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
