"""Solve for the field that the coil induces in a conductivity map."""

import resource

import numba
import numpy as np

from headcond.checks import voxel_sizes
from headcond.files import results
from headcond.study.step import run
from headcond.study.tms_inputs import make_coil
from headcond.tms.regions import check_tissue
from headcond.tms.spfd import solve_efield


def main(
    conductivity, labels, placement, efield, magnitude, model, coil, didt, tolerance, threads,
    provenance,
):  # fmt: skip
    """Write the field vector and its magnitude; the sidecar certifies the residual."""
    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    sigma, affine = results.read_volume(conductivity)
    tissue, _ = results.read_volume(labels, dtype="uint8")
    if model.startswith(("uniform", "blurred")):  # made from the labels: no tissue may be lost
        check_tissue(sigma, tissue, str(conductivity))
    matrix = np.array(results.read_json(placement)["coil_to_world"])
    field = solve_efield(sigma, affine, make_coil(coil).transformed(matrix), didt, tolerance)
    about = {
        "voxel_mm": voxel_sizes(affine),
        "didt": didt,
        "tissue_voxels": int(np.count_nonzero(tissue)),
        "insulated_tissue_voxels": int(np.count_nonzero((tissue > 0) & (sigma == 0))),
        "iterations": field.iterations,
        "residual": field.residual,
        "components": field.components,
        "unknowns": field.unknowns,
        "seconds": field.seconds,
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "provenance": provenance,
    }
    results.write_volume(efield, field.vector, affine, units="V/m, world axes", **about)
    results.write_volume(magnitude, field.magnitude, affine, units="V/m", **about)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
