"""Train reduced models on the ranks that mpirun started; run by test_rom_mpi.py."""

import os
import sys
from functools import partial

from headcond.fem.solvers import make_solver
from headcond.parallel import world
from headcond.rom.parameters import named_box
from headcond.rom.settings import Settings
from headcond.rom.training import train_pairs
from tests.helpers import rom_synthetic

if __name__ == "__main__":
    target, state, ranks_per_solve, mode, *riesz = sys.argv[1:]
    communicator = world(int(os.environ["HEADCOND_TEST_RANKS"]))
    operator = rom_synthetic.synthetic_operator(6)
    box = named_box("full", rom_synthetic.TISSUES, fixed={"contact": rom_synthetic.CONTACT})
    model = train_pairs(
        operator,
        [("E1", "E0"), ("E4", "E0")],
        box,
        Settings(max_snapshots=4, training=60, riesz=riesz[0] if riesz else "solve"),
        solver_factory=partial(make_solver, backend="petsc", tolerance=1e-12),
        communicator=communicator,
        ranks_per_solve=int(ranks_per_solve),
        mode=mode,
        state=None if state == "none" else state,
    )
    same = communicator.allgather(model.voltages(box.centre).tobytes())
    assert len(set(same)) == 1, "the ranks hold different models"
    if communicator.Get_rank() == 0:
        model.write(target)
