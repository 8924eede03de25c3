"""Turn the scaled average into conductivity in S/m (eq. 3 of CondNet)."""

from headcond import io
from headcond.checks import voxel_sizes
from headcond.condnet.fusion import head_mask, mask_air, rescale
from headcond.tissues import conductivity_table


def main(average, t1, t2, maps, tables, frequency, tau, provenance):
    """Write one map per table; air is exactly 0."""
    scaled, affine = io.read_components(average)
    used = [conductivity_table(name, frequency) for name in tables]
    conductivity = rescale(scaled, [max(table.values()) for table in used], tau)
    images = [io.read_volume(path)[0] for path in (t1, t2)]
    head = head_mask(*images, float(voxel_sizes(affine).mean()))
    conductivity = mask_air(conductivity, head, [min(table.values()) for table in used])
    for path, name, result in zip(maps, tables, conductivity, strict=True):
        io.write_volume(path, result, affine, units="S/m", table=name, provenance=provenance)


if __name__ == "__main__":
    import step

    step.run(main, snakemake)  # noqa: F821
