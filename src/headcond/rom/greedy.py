"""Greedy training of reduced models: certified, parallel, resumable.

    bound the error over the sample; small enough? else solve where it is largest; extend

One loop serves one pair and many, serial and parallel: these differ only by the solver and
the communicator handed in.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from headcond.fem.operator import AffineOperator
from headcond.rom.model import PairModel
from headcond.rom.pair_checkpoint import saved_snapshots
from headcond.rom.pair_training import GrowingPair, Problem
from headcond.rom.parameters import Box
from headcond.rom.settings import Settings

_logger = logging.getLogger(__name__)


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
    """Train one pair's reduced model by the greedy algorithm (paper, section 2.2, Fig. 2).

    The first snapshot is taken at the box centre, each next one at the training point with
    the largest bound, solved from the reduced solution there.

    Parameters
    ----------
    operator : affine operator.
    source, sink : electrodes where the current enters and leaves.
    box : varying parameters.
    settings : sample, norm, and when to end.
    solver_factory : matrix -> solver, as `headcond.fem.solvers.make_solver`; its tolerance
        is that of the snapshots. On several ranks it makes distributed solvers.
    communicator : ranks that share the rows of the long vectors; this process by default.
    state : folder for checkpoints; a run that was cut short goes on from there.

    Returns
    -------
    PairModel with its basis V; its `end` says why training ended.
    """
    problem = Problem(operator, box, settings, solver_factory, communicator)
    pair = GrowingPair(problem, source, sink)
    folder = None if state is None else Path(state)
    if folder is not None:
        pair.load_state(folder, saved_snapshots(folder, problem.digest))
    finished: list[PairModel] = []

    def finish(ended: GrowingPair) -> None:
        whole = problem.space.whole(ended.basis)
        finished.append(dataclasses.replace(ended.model(), basis=np.array(whole)))

    grow(problem, [pair], {source: folder}, finish)
    problem.close()
    return finished[0]


def grow(
    problem: Problem,
    pairs: Sequence[GrowingPair],
    folders: dict[str, Path | None],
    finish: Callable[[GrowingPair], None],
    world: Any = None,
) -> None:
    """Grow pairs by common snapshot points until each has ended."""
    # Grow pairs by common snapshot points until each has ended. The points are common to all
    # ranks of `world` too, so that they do not depend on how its groups split the pairs.
    active = list(pairs)
    while True:
        wanted = np.full(len(problem.sample), -np.inf)
        for pair in active:
            np.maximum(wanted, pair.sweep(), out=wanted)
        if world is not None:
            wanted = np.max(world.allgather(wanted), axis=0)
        for pair in active:
            if pair.end is not None:
                finish(pair)
        active = [pair for pair in active if pair.end is None]
        index = int(np.argmax(wanted))
        if wanted[index] == -np.inf:
            return
        if active:
            _extend(problem, active, index)
        for pair in active:
            if folders[pair.source] is not None and pair.end is None:
                pair.save(folders[pair.source])


def _extend(problem: Problem, pairs: Sequence[GrowingPair], index: int) -> None:
    # One snapshot for every pair at sample point `index`, and its share of the residual basis.
    names = ", ".join(pair.label for pair in pairs)
    start = time.perf_counter()
    solver = problem.solver(index)
    loads = np.stack([pair.load for pair in pairs], axis=1)
    guess = np.stack([pair.guess(index) for pair in pairs], axis=1)
    found = solver.solve(loads, guess=guess, name=f"snapshot of {names}")
    solver.close()
    seconds = (time.perf_counter() - start) / len(pairs)
    grown = [
        pair
        for number, pair in enumerate(pairs)
        if pair.add_snapshot(
            index, found.x[:, number], int(np.atleast_1d(found.iterations)[number]), seconds
        )
    ]
    start = time.perf_counter()
    representers = problem.representers(
        [pair.residual_loads() for pair in grown], f"Riesz representers of {names}"
    )
    seconds = (time.perf_counter() - start) / max(len(grown), 1)
    for pair, (local, error, iterations) in zip(grown, representers, strict=True):
        pair.add_residual(local, error, iterations, seconds)
