"""Bring an estimated conductivity map back to the grid of the scan that it was estimated from."""

from headcond.files import results
from headcond.mri.resampling import resample_conductivity
from headcond.study.step import run


def main(conductivity, scan, own_map, table, provenance):
    """Write the map on the T1w's own grid; air is exactly 0."""
    values, affine = results.read_volume(conductivity)
    own, own_affine = results.read_volume(scan)
    result = resample_conductivity(values, affine, own_affine, own.shape)
    results.write_volume(
        own_map, result, own_affine, units="S/m", table=table, provenance=provenance
    )


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
