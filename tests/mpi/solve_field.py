"""Run by test_tms_mpi.py under mpirun: the field of a stored map with PETSc on all ranks.

Every rank checks that it got what rank 0 got; rank 0 writes the field.
"""

import os
import sys

import numpy as np

from headcond.parallel import world
from headcond.tms import coil
from headcond.tms.spfd import solve_positions


def main(map_path, out_path):
    communicator = world(expected_size=int(os.environ["HEADCOND_TEST_RANKS"]))
    head = np.load(map_path)
    coils = [
        coil.from_dipoles(*pair) for pair in zip(head["positions"], head["moments"], strict=True)
    ]
    fields = list(
        solve_positions(head["sigma"], head["affine"], coils, 1e6, 1e-8, backend="petsc",
                        communicator=communicator)
    )  # fmt: skip
    for field in fields:
        assert np.array_equal(field.vector, communicator.bcast(field.vector)), "ranks disagree"
    if communicator.Get_rank() == 0:
        np.savez(out_path, vectors=np.stack([field.vector for field in fields]),
                 residuals=[field.residual for field in fields],
                 size=communicator.Get_size())  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
