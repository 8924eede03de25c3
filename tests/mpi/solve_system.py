"""Run by test_solvers_mpi.py under mpirun: solve a stored system on all ranks.

Every rank checks that it got what rank 0 got; rank 0 writes the solutions.
"""

import os
import sys

import numpy as np
import scipy.sparse as sparse

from headcond.checks import ConvergenceError
from headcond.fem.solvers import make_solver
from headcond.parallel import world


def main(matrix_path, loads_path, out_stem, *preconditioners):
    communicator = world(expected_size=int(os.environ["HEADCOND_TEST_RANKS"]))
    matrix = sparse.load_npz(matrix_path)
    loads = np.load(loads_path)
    for preconditioner in preconditioners:
        solve(communicator, matrix, loads, preconditioner, f"{out_stem}-{preconditioner}.npz")


def solve(communicator, matrix, loads, preconditioner, out_path):
    solver = make_solver(matrix, preconditioner=preconditioner, communicator=communicator)
    solution = solver.solve(loads)
    again = solver.solve(loads, guess=solution.x)
    assert not again.iterations.any(), "a perfect guess still cost iterations"
    mapped = solver.apply_preconditioner(loads)
    for name, mine in (("x", solution.x), ("mapped", mapped)):
        theirs = communicator.bcast(mine)
        assert np.array_equal(mine, theirs), f"rank {communicator.Get_rank()}: other {name}"
    refused = ""
    try:
        make_solver(matrix, preconditioner="jacobi", max_iterations=2,
                    communicator=communicator).solve(loads, name="E0-E1")  # fmt: skip
    except ConvergenceError as error:
        refused = str(error)
    solver.close()
    if communicator.Get_rank() == 0:
        np.savez(out_path, x=solution.x, mapped=mapped, residual=solution.residual,
                 iterations=solution.iterations, refused=refused,
                 size=communicator.Get_size())  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
