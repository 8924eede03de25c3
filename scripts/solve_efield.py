"""Solve for the field that the coil induces in a conductivity map."""

import numba
import numpy as np
from coils import make_coil

from headcond import io
from headcond.tms.spfd import solve_efield


def main(conductivity, placement, efield, coil, didt, tolerance, threads, provenance):
    """Write the field vector; its sidecar certifies the residual."""
    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    sigma, affine = io.read_volume(conductivity)
    matrix = np.array(io.read_json(placement)["coil_to_world"])
    field = solve_efield(sigma, affine, make_coil(coil).transformed(matrix), didt, tolerance)
    io.write_volume(
        efield, field.vector, affine, units="V/m, world axes", iterations=field.iterations,
        residual=field.residual, components=field.components, seconds=field.seconds,
        didt=didt, provenance=provenance,
    )  # fmt: skip


if __name__ == "__main__":
    import step

    step.run(main, snakemake)  # noqa: F821
