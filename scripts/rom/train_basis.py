"""Train the reduced models of a batch of pairs; MPI ranks split the pairs.

mpirun -n RANKS python scripts/rom/train_basis.py --ranks RANKS --source DIGEST FILES OPTIONS

FILES and OPTIONS are the arguments of `main` as JSON.
"""

import argparse
import json
import logging
import shutil
import sys
from functools import partial
from pathlib import Path

from headcond.caps import injection_pairs
from headcond.checks import InputError
from headcond.fem.operator import AffineOperator
from headcond.fem.solvers import make_solver
from headcond.files import results
from headcond.parallel import world
from headcond.rom.pair_training import pair_folder
from headcond.rom.training import train_pairs
from headcond.study import step
from headcond.study.rom_inputs import study_box, study_settings


def main(
    operators, model, bases, batch, electrodes, settings, current, seed, state, communicator,
    provenance,
):  # fmt: skip
    """Write the reduced models of the pairs of one batch, and their bases where wanted."""
    operator = AffineOperator.read(operators)
    box = study_box(settings, electrodes, operator.names)
    pairs = injection_pairs(operator.electrodes, electrodes["sink"], settings["pairs"])
    if settings["corrected"] and len(pairs) < len(operator.electrodes) - 1:
        raise InputError(
            "rom.corrected: true needs every electrode but the sink as a pair: "
            f"rom.pairs gives {len(pairs)}, set it to {len(operator.electrodes) - 1}."
        )
    size = settings["batch"]
    rule = study_settings(settings, current, seed)
    solver = partial(
        make_solver, backend=settings["backend"], preconditioner=settings["preconditioner"]
    )
    lead = communicator.Get_rank() == 0
    with step.resumable(state, provenance, [operators], lead, communicator) as folder:
        trained = train_pairs(
            operator, pairs[batch * size : (batch + 1) * size], box, rule,
            solver_factory=solver, communicator=communicator, state=folder,
            mode=settings["mode"], ranks_per_solve=settings["ranks_per_solve"],
            keep_bases=bases is not None,
        )  # fmt: skip
        if lead and bases is not None:
            Path(bases).mkdir(parents=True, exist_ok=True)
            for pair in trained.pairs:
                name = pair_folder(operator, pair.source)
                shutil.move(folder / name, Path(bases) / name)
        if lead:
            trained.write(model)
            results.write_sidecar(model, provenance=provenance)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--ranks", type=int, required=True)
    parser.add_argument("--source", required=True)
    parser.add_argument("files", type=json.loads)
    parser.add_argument("options", type=json.loads)
    given = parser.parse_args()
    ranks = world(given.ranks)
    layout = f"%(asctime)s rank {ranks.Get_rank()} %(message)s"
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format=layout)

    def train() -> None:
        """Train with a record of the settings, and of the ranks, over which sums round."""
        batch, inputs = ({key: given.files[key]} for key in ("batch", "operators"))
        params = given.options | batch
        record = step.provenance("train_basis", given.source, params, batch, inputs)
        record["ranks"] = ranks.Get_size()
        main(**given.files, **given.options, communicator=ranks, provenance=record)

    step.refuse_politely(train)
