"""Training of one pair: snapshots, reduced blocks, residual basis, error bounds."""

from __future__ import annotations

import itertools
import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from headcond.checks import InputError
from headcond.fem.operator import AffineOperator
from headcond.random import generator
from headcond.rom.basis import (
    AccuracyError,
    InnerProductSpace,
    classical_gram_schmidt,
    orthonormalise,
)
from headcond.rom.bounds import ResidualBasis, Riesz, energy_bounds, residual_loads
from headcond.rom.pair_model import PairModel
from headcond.rom.parameters import Box, latin_hypercube
from headcond.rom.riesz import DualSpace, chebyshev_accelerated, spectral_bounds
from headcond.rom.settings import Settings, training_digest
from headcond.rom.stability import second_eigenvalue

logger = logging.getLogger(__name__)
_ORTHOGONAL = 1e-12
# Measured at 219 thousand nodes, four pairs: 1.2 times the iterations at 3.9, 1.5 to 2 at 5.
_REUSE_RATIO = 4.0
_RIESZ_COLUMNS = 32  # right-hand sides of one call of the Riesz solver: bounds its memory
_HISTORY = ("mu", "maximum", "mean", "absolute", "iterations", "riesz_iterations",
            "orthogonality", "seconds_solve", "seconds_riesz", "seconds_orthogonal",
            "seconds_sweep")  # fmt: skip


class TrainingProblem:
    """Blocks, inner product, Riesz map and training sample, shared by the pairs of a training.

    Collective on `communicator`, whose ranks share the rows of all long vectors.
    """

    def __init__(
        self,
        operator: AffineOperator,
        box: Box,
        settings: Settings,
        solver_factory: Callable[[Any], Any],
        communicator: Any = None,
    ) -> None:
        self.operator, self.box, self.settings = operator, box, settings
        self.solver_factory = solver_factory
        self.reference = box.reference
        self.sample = latin_hypercube(
            box, settings.training, generator(settings.seed, "rom", "training")
        )
        self.theta = box.theta(self.sample)
        self.digest = training_digest(operator, box, settings)
        self._riesz = self._solver = self.stability_factor = None
        self.spread = 1.0
        if settings.norm == "energy":
            matrix = self.matrix(self.reference[: len(box.names)])
            self.space = InnerProductSpace(matrix, operator.size, communicator)
            self._solver = solver_factory(matrix)
            self._prepare_riesz(matrix)
        else:
            self.space = self.residual_space = InnerProductSpace(None, operator.size, communicator)
            self.stability_factor = settings.stability.evaluate(box, self.sample)
        self.blocks = [self.space.local(block) for block in box.blocks(operator)]
        ranks, rank = self.space.communicator.Get_size(), self.space.communicator.Get_rank()
        count = len(self.sample)
        self.own_points = slice(count * rank // ranks, count * (rank + 1) // ranks)

    def matrix(self, sigma: np.ndarray) -> Any:
        """A at the parameters sigma (P,)."""
        return self.operator.combine(self.box.coefficients(self.operator, sigma))

    def solver(self, index: int) -> Any:
        """Solver at sample point `index`, to be closed.

        Near the reference its preconditioner is used here too: a few more iterations cost less
        than the set-up of another. Further away they do not.
        """
        matrix, ratio = self.matrix(self.sample[index]), self.theta[index] / self.reference
        near = ratio.max() <= _REUSE_RATIO * ratio.min()
        if near and self._solver is not None and self._solver.reusable:
            return self.solver_factory(matrix, reuse=self._solver)
        return self.solver_factory(matrix)

    def close(self) -> None:
        """Free the solver at the reference; collective."""
        if self._solver is not None:
            self._solver.close()

    @property
    def loads_are_basis(self) -> bool:
        """Whether the residual basis is of loads, not of their representers in X."""
        return self._riesz is None

    def _prepare_riesz(self, matrix: Any) -> None:
        settings, solver = self.settings, self._solver
        if settings.riesz == "cycle":
            lowest, highest = spectral_bounds(matrix, solver.apply_preconditioner)
            cycle, lowest, highest = chebyshev_accelerated(
                matrix, solver.apply_preconditioner, lowest, highest, settings.cycles
            )
            self.spread = highest / lowest
            self.residual_space = DualSpace(
                cycle, lowest, len(matrix.indptr) - 1, self.space.communicator
            )
            logger.info(
                "Riesz map by cycles, %d: spectrum %.4f to %.4f", settings.cycles, lowest, highest
            )
            return
        value, residual = second_eigenvalue(matrix, solver, matrix.diagonal())
        if residual >= value:
            raise AccuracyError("second eigenvalue at the reference", residual, value)
        self.residual_space = self.space
        self._riesz = Riesz(self.space, matrix, solver, value - residual, settings.riesz_tolerance)

    def representers(
        self, loads: Sequence[np.ndarray], name: str
    ) -> list[tuple[np.ndarray, np.ndarray, int]]:
        """Per array of local loads: Riesz representers, their errors, solver iterations."""
        if self._riesz is None:
            return [(load, np.zeros(load.shape[1]), 0) for load in loads]
        results, first = [], 0
        while first < len(loads):
            last, columns = first + 1, loads[first].shape[1]
            while last < len(loads) and columns + loads[last].shape[1] <= _RIESZ_COLUMNS:
                columns += loads[last].shape[1]
                last += 1
            local, error, iterations = self._riesz(np.concatenate(loads[first:last], axis=1), name)
            ends = np.cumsum([0] + [load.shape[1] for load in loads[first:last]])
            results += [
                (local[:, a:b], error[a:b], int(iterations[a:b].sum()))
                for a, b in itertools.pairwise(ends)
            ]
            first = last
        return results


class PairTraining:
    """One pair in training: its basis, reduced blocks and residual basis.

    Attributes
    ----------
    problem : shared by all pairs.
    source, sink : electrode labels.
    load : (size,) right-hand side b.
    count : number of snapshots.
    chosen : sample point of each snapshot.
    dependent : whether the last snapshot was in the span of the others and was left out.
    end : why training ended: "tolerance", "noise", "floor", "snapshots"; None before.
    history : see `PairModel`.
    checksums : per snapshot, of its files in the checkpoint.
    """

    def __init__(self, problem: TrainingProblem, source: str, sink: str) -> None:
        operator, limit = problem.operator, problem.settings.max_snapshots
        if source == sink:
            raise InputError(f"Pair {source}-{sink}: source and sink must be two electrodes.")
        self.problem, self.source, self.sink = problem, source, sink
        self.load = operator.load(source, sink, problem.settings.current)
        self.end: str | None = None
        self.dependent, self.count = False, 0
        self.chosen: list[int] = []
        self.history: dict[str, list] = {key: [] for key in _HISTORY}
        blocks = len(problem.blocks)
        rows = problem.space.rows.stop - problem.space.rows.start
        self._basis = np.empty((rows, limit), order="F")
        self._reduced = np.zeros((blocks, limit, limit))
        self._reduced_load = np.zeros(limit)
        self._electrodes = np.zeros((len(operator.electrodes), limit))
        self._residual = ResidualBasis(problem.residual_space, rows, 1 + limit * blocks)
        self._ranks: list[int] = []
        self.checksums: list[list[int]] = []
        self._images: list[np.ndarray] = []

    @property
    def label(self) -> str:
        """Name for messages, `source-sink`."""
        return f"{self.source}-{self.sink}"

    @property
    def basis(self) -> np.ndarray:
        """Local rows (rows, n) of the reduced basis V."""
        return self._basis[:, : self.count]

    def model(self) -> PairModel:
        """The reduced model so far, without the basis."""
        n = self.count
        return PairModel(
            self.source, self.sink, self._reduced[:, :n, :n].copy(), self._reduced_load[:n].copy(),
            self._electrodes[:, :n].copy(), self._residual.factor, self._residual.defect,
            {key: np.array(values) for key, values in self.history.items()}, self.end or "",
            self.problem.spread,
        )  # fmt: skip

    def error_bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Absolute and relative error bounds (S,), (S,) over the training sample; recorded.

        Both are infinite before the first snapshot.
        """
        if self.count == 0:
            return (np.full(len(self.problem.sample), np.inf),) * 2
        start = time.perf_counter()
        problem = self.problem
        points, model = problem.own_points, self.model()
        theta = problem.theta[points]
        solution, norm, slack = model.residual(theta, problem.reference)
        if problem.stability_factor is None:
            _, absolute = energy_bounds(norm, slack, theta / problem.reference)
            relative = absolute / np.sqrt(model.energy(solution))
        else:
            absolute = (norm + slack) / problem.stability_factor[points]
            relative = absolute / np.linalg.norm(solution, axis=1)  # as the paper's eq. 10
        parts = problem.space.communicator.allgather((absolute, relative))
        absolute, relative = (np.concatenate(values) for values in zip(*parts, strict=True))
        self._record(maximum=relative.max(), mean=relative.mean(), absolute=absolute.max(),
                     seconds_sweep=time.perf_counter() - start)  # fmt: skip
        return absolute, relative

    def log_progress(self, relative: float, certified: float) -> None:
        """Log the largest relative bound, the drive voltage's error in V and the time left."""
        settings = self.problem.settings
        if self.count == 0 or self.problem.space.communicator.Get_rank() != 0:
            return
        spent = sum(np.nansum(self.history[key]) for key in _HISTORY if key.startswith("seconds"))
        left = spent / self.count * (settings.max_snapshots - self.count)
        energy = settings.norm == "energy"
        logger.info(
            "pair %s: snapshot %d of %d, relative bound %.3e%s, %d iterations, %s", self.label,
            self.count, settings.max_snapshots, relative,
            f", drive voltage to {1e6 * certified:.3g} uV" if energy else "",
            self.history["iterations"][-1],
            f"ended by {self.end}" if self.end else f"at most {left:.0f} s left",
        )  # fmt: skip

    def reduced_solution(self, index: int) -> np.ndarray:
        """Whole reduced solution (size,) at sample point `index`; zero before any snapshot."""
        if self.count == 0:
            return np.zeros(self.problem.space.size)
        solution = self.model().solve(self.problem.theta[index : index + 1])[0]
        return self.problem.space.whole(self.basis @ solution)

    def add_snapshot(
        self, index: int, snapshot: np.ndarray, iterations: int, seconds: float
    ) -> bool:
        """Extend the basis by a whole snapshot (size,); False if it depends on the basis."""
        problem, n, start = self.problem, self.count, time.perf_counter()
        space, settings = problem.space, problem.settings
        method = (
            orthonormalise if settings.orthogonalisation == "repeated" else (classical_gram_schmidt)
        )
        added, _, _ = method(space, self.basis, space.local(snapshot)[:, None])
        if not added.shape[1]:
            self.dependent = True
            return False
        self._basis[:, n] = added[:, 0]
        self.count = n + 1
        unit = np.arange(n + 1) == n
        gram = space.inner(self.basis, space.apply(added))[:, 0]
        error = max([float(np.max(np.abs(gram - unit))), *self.history["orthogonality"][-1:]])
        if settings.orthogonalisation == "repeated" and error > _ORTHOGONAL:
            raise AccuracyError(f"reduced basis of {self.label}", error, _ORTHOGONAL)
        whole = space.whole(added[:, 0])
        self._images = [block @ whole for block in problem.blocks]
        row = space.inner(self.basis, np.stack(self._images, axis=1))  # (n + 1, Q)
        self._reduced[:, n, : n + 1] = self._reduced[:, : n + 1, n] = row.T
        self._reduced_load[n] = self.load @ whole
        self._electrodes[:, n] = whole[problem.operator.nodes :]
        self.chosen.append(index)
        for key in _HISTORY:  # until `estimate` and `add_residual` record theirs
            self.history[key].append(np.nan)
        self._record(mu=problem.sample[index], iterations=iterations, seconds_solve=seconds,
                     orthogonality=error, seconds_orthogonal=time.perf_counter() - start,
                     riesz_iterations=0, seconds_riesz=0.0)  # fmt: skip
        return True

    def residual_loads(self) -> np.ndarray:
        """Local loads whose representers the newest snapshot needs (rows, k).

        The injected load itself comes first with the first snapshot.
        """
        loads = residual_loads(self._images, self.problem.reference)
        if self.count > 1:
            return loads
        return np.concatenate((self.problem.space.local(self.load)[:, None], loads), axis=1)

    def add_residual(
        self, representers: np.ndarray, errors: np.ndarray, iterations: int, seconds: float
    ) -> None:
        """Extend the residual basis by the representers of `residual_loads`."""
        start = time.perf_counter()
        reference, newest = self.problem.reference, self._basis[:, self.count - 1]
        if self.problem.loads_are_basis:  # X^-1 is left out: v becomes X v
            newest = sum(w * image for w, image in zip(reference, self._images, strict=True))
        self._residual.extend(
            np.concatenate((representers, newest[:, None]), axis=1), np.append(errors, 0.0)
        )
        self._ranks.append(self._residual.vectors.shape[1])
        spent = self.history["seconds_orthogonal"][-1] + time.perf_counter() - start
        self._record(riesz_iterations=iterations, seconds_riesz=seconds, seconds_orthogonal=spent)

    def newest_columns(self) -> tuple[np.ndarray, np.ndarray]:
        """Local columns of the basis (rows,) and the residual basis (rows, k), newest snapshot."""
        first = self._ranks[-2] if self.count > 1 else 0
        return self._basis[:, self.count - 1], self._residual.vectors[:, first:]

    def state(self) -> dict[str, Any]:
        """All of the training but the long vectors, as arrays to save."""
        model = self.model()
        return {
            "chosen": self.chosen, "ranks": self._ranks, "checksums": self.checksums,
            "A_N": model.A_N, "b_N": model.b_N, "electrode_basis": model.electrode_basis,
            "factor": model.residual_factor, "defect": model.residual_defect,
            **{f"history_{key}": values for key, values in model.history.items()},
        }  # fmt: skip

    def restore(
        self,
        state: Mapping[str, np.ndarray],
        basis: Sequence[np.ndarray],
        residual: Sequence[np.ndarray],
    ) -> None:
        """Restore the first snapshots of a saved `state`, from their `newest_columns`."""
        n = len(basis)
        self.chosen = [int(index) for index in state["chosen"][:n]]
        self._ranks = [int(rank) for rank in state["ranks"][:n]]
        self.checksums = state["checksums"][:n].tolist()
        self._reduced[:, :n, :n] = state["A_N"][:, :n, :n]
        self._reduced_load[:n] = state["b_N"][:n]
        self._electrodes[:, :n] = state["electrode_basis"][:, :n]
        self.history = {key: list(state[f"history_{key}"][:n]) for key in _HISTORY}
        for number, column in enumerate(basis):
            self._basis[:, number] = column
        columns, rank = 1 + n * len(self.problem.blocks), self._ranks[-1]
        self._residual.restore(
            residual, state["factor"][:rank, :columns], state["defect"][:columns]
        )
        self.count = n

    def _record(self, **entries: Any) -> None:
        for key, value in entries.items():
            self.history[key][-1] = value


def pair_folder(operator: AffineOperator, source: str) -> str:
    """Name of a pair's folder or file: number and label of its injecting electrode."""
    number = operator.unknown(source) - operator.nodes
    return f"pair-{number:03d}-{file_label(source)}"


def file_label(source: str) -> str:
    """An electrode's label as part of a file's name."""
    return re.sub(r"[^A-Za-z0-9]+", "_", source)
