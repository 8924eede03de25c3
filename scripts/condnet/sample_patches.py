"""Find homogeneous patches in a central axial slice, and what every map holds there."""

from headcond.condnet.patches import find_patches
from headcond.condnet.patches import sample_patches as sample
from headcond.files import results
from headcond.study.step import run


def main(labels, maps, patches, models, provenance):
    """Write one row per voxel of every patch."""
    tissue, affine = results.read_volume(labels, dtype="uint8")
    volumes = {name: results.read_volume(path)[0] for name, path in zip(models, maps, strict=True)}
    table = sample(find_patches(tissue, affine), volumes)
    units = {"depth_mm": "mm"} | dict.fromkeys(models, "S/m")
    results.write_table(patches, table, units=units, provenance=provenance)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
