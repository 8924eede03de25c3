"""Training of the reduced models of many pairs over MPI ranks, resumable."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from headcond.checks import InputError, check_option
from headcond.fem.operator import AffineOperator
from headcond.files.results import write_sidecar
from headcond.parallel import SerialCommunicator, my_share
from headcond.rom.greedy import greedy
from headcond.rom.model import PairModel, ReducedModel
from headcond.rom.pair_checkpoint import load_checkpoint, saved_snapshots
from headcond.rom.pair_training import PairTraining, TrainingProblem, pair_folder
from headcond.rom.parameters import Box
from headcond.rom.settings import Settings, operator_digest, training_digest

logger = logging.getLogger(__name__)
MODES = ("each", "joint")


def train_pairs(
    operator: AffineOperator,
    pairs: Sequence[tuple[str, str]],
    box: Box,
    settings: Settings,
    *,
    solver_factory: Callable[..., Any],
    communicator: Any = None,
    ranks_per_solve: int = 1,
    mode: str = "each",
    state: str | Path | None = None,
    keep_bases: bool = False,
) -> ReducedModel:
    """Train the reduced models of several pairs with one sink, on one or many ranks.

    Collective on `communicator`; the result is the same up to the solver's tolerance
    whatever the ranks.

    Parameters
    ----------
    operator, box, settings : as for `train`.
    pairs : (source, sink) labels.
    solver_factory : matrix -> solver; with `ranks_per_solve` > 1 it is called with
        `communicator=` the group's.
    communicator : all ranks, `headcond.parallel.world()`; this process by default.
    ranks_per_solve : ranks that share one distributed operator; the groups split the pairs.
    mode : "each" pair has its own greedy, as the paper; or "joint": one common snapshot
        point per iteration for all pairs (one operator and preconditioner, many right-hand
        sides); pairs that are done leave early.
    state : folder of finished pairs and checkpoints; a rerun takes up the rest.
    keep_bases : leave the bases V in `state`, one folder per pair (`load_basis`).

    Returns
    -------
    ReducedModel with the pairs in their order, on every rank.
    """
    check_option("mode", mode, MODES)
    world = SerialCommunicator() if communicator is None else communicator
    _check_pairs(operator, pairs)
    if keep_bases and state is None:
        raise InputError("keep_bases needs a state folder to keep them in.")
    if ranks_per_solve < 1 or world.Get_size() % ranks_per_solve:
        raise InputError(
            f"{world.Get_size()} ranks cannot be split into groups of {ranks_per_solve}."
        )
    number, groups = world.Get_rank() // ranks_per_solve, world.Get_size() // ranks_per_solve
    group = None
    if ranks_per_solve > 1:
        group = world.Split(number, world.Get_rank())
        solver_factory = partial(solver_factory, communicator=group)
    leads = world.Get_rank() % ranks_per_solve == 0
    digest = training_digest(operator, box, settings)
    attributes = {
        "digest": digest, "operator": operator_digest(operator), "mode": mode,
        "seed": settings.seed, "training": settings.training,
        "max_snapshots": settings.max_snapshots, "tolerance": settings.tolerance,
        "reading_noise": settings.reading_noise,
    }  # fmt: skip
    assemble = partial(
        ReducedModel, box=box, electrodes=operator.electrodes, current=settings.current,
        norm=settings.norm, stability=settings.stability, attributes=attributes,
    )  # fmt: skip

    root = None if state is None else Path(state)
    folders = {s: None if root is None else root / pair_folder(operator, s) for s, _ in pairs}
    done = world.bcast(_finished(folders, attributes) if world.Get_rank() == 0 else None)
    mine = my_share([pair for pair in pairs if pair[0] not in done], number, groups)
    new: dict[str, PairModel] = {}
    start = time.perf_counter()

    def finish(pair: PairTraining) -> None:
        if not leads:
            return
        folder = folders[pair.source]
        new[pair.source] = pair.model()
        if folder is not None:
            path = folder.with_suffix(".h5")
            assemble([new[pair.source]]).write(path)
            write_sidecar(path)  # its checksum: `_finished` reads no damaged model
            _clear(folder, keep_bases)
        left = (time.perf_counter() - start) / len(new) * (len(mine) - len(new))
        logger.info(
            "pair %s ended by %s at %d snapshots; %d of %d pairs done, about %.0f s left",
            pair.label, pair.end, pair.count, len(new), len(mine), left,
        )  # fmt: skip

    if mine or mode == "joint":
        problem = TrainingProblem(operator, box, settings, solver_factory, group)
        _train_share(problem, mine, folders, finish, mode, world)
        problem.close()
    for other in world.allgather(new if leads else {}):
        done.update(other)
    return assemble([done[source] for source, _ in pairs])


def _train_share(
    problem: TrainingProblem,
    pairs: Sequence[tuple[str, str]],
    folders: dict[str, Path | None],
    finish: Callable[[PairTraining], None],
    mode: str,
    world: Any,
) -> None:
    if mode == "each":
        for source, sink in pairs:
            pair = PairTraining(problem, source, sink)
            folder = folders[source]
            load_checkpoint(pair, folder, saved_snapshots(folder, problem.digest))
            greedy(problem, [pair], folders, finish)
        return
    training = [PairTraining(problem, source, sink) for source, sink in pairs]
    counts = world.allgather([saved_snapshots(folders[s], problem.digest) for s, _ in pairs])
    common = min((count for group in counts for count in group), default=0)
    for pair in training:
        load_checkpoint(pair, folders[pair.source], common)
    greedy(problem, training, folders, finish, world)


def _check_pairs(operator: AffineOperator, pairs: Sequence[tuple[str, str]]) -> None:
    if not pairs:
        raise InputError("No injection pair given.")
    for pair in pairs:
        for electrode in pair:
            operator.unknown(electrode)
    if len({sink for _, sink in pairs}) > 1:
        raise InputError(
            "The pairs have several sinks: train against one common sink; any pair (i, j) is "
            "model_i - model_j."
        )
    sources = [source for source, _ in pairs]
    if len(set(sources)) < len(sources):
        raise InputError("An injection pair is given twice.")


def _finished(folders: dict[str, Path | None], attributes: dict[str, Any]) -> dict[str, PairModel]:
    finished = {}
    for source, folder in folders.items():
        path = None if folder is None else folder.with_suffix(".h5")
        if path is None or not path.exists():
            continue
        try:
            model = ReducedModel.read(path)
        except InputError as error:
            logger.warning("%s The pair is trained again now", error)
            continue
        if dict(model.attributes) != attributes:
            raise InputError(
                f"{path}: holds a pair of another training (operator, box or settings differ); "
                "remove it or name another folder."
            )
        finished[source] = model.pairs[0]
    return finished


def _clear(folder: Path, keep_bases: bool) -> None:
    # A finished pair's checkpoint: its small model has been written next to the folder.
    for path in folder.glob("*.np[yz]"):
        if not (keep_bases and path.name.startswith("basis-")):
            path.unlink()
    if folder.is_dir() and not keep_bases:
        folder.rmdir()
