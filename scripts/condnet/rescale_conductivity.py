"""Turn the scaled average into conductivity in S/m (eq. 3 of CondNet)."""

import numpy as np

from headcond.checks import voxel_sizes
from headcond.condnet.fusion import head_mask, mask_air, rescale
from headcond.files import results
from headcond.mri.resampling import resample
from headcond.study.step import run
from headcond.tissues import conductivity_table


def main(average, t1, t2, grid, maps, tables, frequency, tau, provenance):
    """Write one map per table, on the grid of the labels `grid` if given; air is exactly 0."""
    scaled, affine = results.read_components(average)
    images = [results.read_volume(path)[0] for path in (t1, t2)]
    about = {}
    if grid:
        tissue, target = results.read_volume(grid, dtype="uint8")
        about["resampled"] = {
            "method": "linear interpolation of the scaled average and of T1w and T2w",
            "from_voxel_mm": voxel_sizes(affine),
            "to_voxel_mm": voxel_sizes(target),
        }
        scaled = np.stack([resample(part, affine, target, tissue.shape) for part in scaled])
        images = [resample(image, affine, target, tissue.shape) for image in images]
        affine = target
    used = [conductivity_table(name, frequency) for name in tables]
    conductivity = rescale(scaled, [max(table.values()) for table in used], tau)
    head = head_mask(*images, float(voxel_sizes(affine).mean()))
    conductivity = mask_air(conductivity, head, [min(table.values()) for table in used])
    for path, name, result in zip(maps, tables, conductivity, strict=True):
        results.write_volume(
            path, result, affine, units="S/m", table=name, **about, provenance=provenance
        )


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
