"""Greedy training of reduced models: certified, parallel, resumable (paper, section 2.2, Fig. 2).

One loop serves one pair and many, serial and parallel: these differ only by the solver and
the communicator handed in.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from headcond.fem.operator import AffineOperator
from headcond.rom.model import PairModel
from headcond.rom.pair_checkpoint import load_checkpoint, save_checkpoint, saved_snapshots
from headcond.rom.pair_training import PairTraining, TrainingProblem
from headcond.rom.parameters import Box
from headcond.rom.settings import Settings


def train(
    operator: AffineOperator,
    source: str,
    sink: str,
    box: Box,
    settings: Settings,
    *,
    solver_factory: Callable[[Any], Any],
    communicator: Any = None,
    state: str | Path | None = None,
) -> PairModel:
    """Train one pair's reduced model by the greedy algorithm.

    Parameters
    ----------
    operator : affine operator.
    source, sink : electrodes where the current enters and leaves.
    box : varying parameters.
    settings : sample, norm, and when to end.
    solver_factory : matrix -> solver, as `headcond.fem.solvers.make_solver`; its tolerance
        is that of the snapshots. On several ranks it makes distributed solvers.
    communicator : ranks that share the rows of the long vectors; this process by default.
    state : folder for checkpoints; an interrupted run resumes from there.

    Returns
    -------
    PairModel with its basis V; its `end` says why training ended.

    See Also
    --------
    headcond.rom.training.train_pairs : many pairs, over MPI ranks.
    """
    problem = TrainingProblem(operator, box, settings, solver_factory, communicator)
    pair = PairTraining(problem, source, sink)
    folder = None if state is None else Path(state)
    load_checkpoint(pair, folder, saved_snapshots(folder, problem.digest))
    greedy(problem, [pair], {source: folder})
    basis = np.array(problem.space.whole(pair.basis))
    problem.close()
    return dataclasses.replace(pair.model(), basis=basis)


def greedy(
    problem: TrainingProblem,
    pairs: Sequence[PairTraining],
    folders: Mapping[str, Path | None],
    finish: Callable[[PairTraining], None] | None = None,
    world: Any = None,
) -> None:
    """Extend the bases of pairs by snapshots at common points until each pair has ended.

    The first snapshot is taken at the box centre, each next one at the training point where
    the largest bound of all active pairs is largest: the relative bound, or the absolute one
    where readings are to be certified (`Settings.reading_noise`).

    Parameters
    ----------
    problem : shared by the pairs: sample, operator, inner product, settings.
    pairs : pairs with as many snapshots as their checkpoints hold.
    folders : checkpoint folder by source electrode, or None.
    finish : called with each pair when its training ends, for the reason in `end`.
    world : ranks whose pairs share the points too, so that the points do not depend on how
        the ranks split the pairs; collective.
    """
    settings, active = problem.settings, list(pairs)
    while True:
        largest = np.full(len(problem.sample), -np.inf)
        for pair in active:
            absolute, relative = pair.error_bounds()
            bound = relative if settings.reading_noise is None else absolute
            certified = absolute.max() ** 2 / settings.current  # error of the drive voltage, V
            if settings.tolerance is not None and relative.max() <= settings.tolerance:
                pair.end = "tolerance"
            elif settings.reading_noise is not None and certified <= settings.reading_noise:
                pair.end = "noise"
            elif pair.dependent or int(np.argmax(bound)) in pair.chosen:
                pair.end = "floor"  # there is a snapshot here already: the rest is round-off
            elif pair.count >= settings.max_snapshots:
                pair.end = "snapshots"
            else:
                np.maximum(largest, bound, out=largest)
            pair.log_progress(relative.max(), certified)
        if world is not None:
            largest = np.max(world.allgather(largest), axis=0)
        for pair in active:
            if pair.end and finish is not None:
                finish(pair)
        active = [pair for pair in active if not pair.end]
        index = int(np.argmax(largest))
        if largest[index] == -np.inf:
            return
        for pair in _extend(problem, active, index):
            save_checkpoint(pair, folders[pair.source])


def _extend(
    problem: TrainingProblem, pairs: Sequence[PairTraining], index: int
) -> list[PairTraining]:
    # One snapshot for every pair at sample point `index`, and its part of the residual basis.
    # Returns the pairs whose basis it extends.
    if not pairs:
        return []
    names = ", ".join(pair.label for pair in pairs)
    start = time.perf_counter()
    solver = problem.solver(index)
    loads = np.stack([pair.load for pair in pairs], axis=1)
    guess = np.stack([pair.reduced_solution(index) for pair in pairs], axis=1)
    solution = solver.solve(loads, guess=guess, name=f"snapshot of {names}")
    solver.close()
    seconds = (time.perf_counter() - start) / len(pairs)
    extended = [
        pair
        for pair, snapshot, iterations in zip(pairs, solution.x.T, solution.iterations, strict=True)
        if pair.add_snapshot(index, snapshot, int(iterations), seconds)
    ]
    start = time.perf_counter()
    representers = problem.representers(
        [pair.residual_loads() for pair in extended], f"Riesz representers of {names}"
    )
    seconds = (time.perf_counter() - start) / max(len(extended), 1)
    for pair, (local, error, iterations) in zip(extended, representers, strict=True):
        pair.add_residual(local, error, iterations, seconds)
    return extended
