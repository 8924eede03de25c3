"""Turn the scaled average into conductivity in S/m (eq. 3 of CondNet)."""

from headcond import io
from headcond.checks import voxel_sizes
from headcond.condnet.fusion import head_mask, mask_air, rescale
from headcond.mri.conform import back_conductivity
from headcond.tissues import conductivity_table


def main(average, t1, t2, own_t1, maps, own_maps, tables, frequency, tau, provenance):
    """Write one map per table on the study's grid and on the T1w's own; air is exactly 0."""
    scaled, affine = io.read_components(average)
    used = [conductivity_table(name, frequency) for name in tables]
    conductivity = rescale(scaled, [max(table.values()) for table in used], tau)
    images = [io.read_volume(path)[0] for path in (t1, t2)]
    head = head_mask(*images, float(voxel_sizes(affine).mean()))
    conductivity = mask_air(conductivity, head, [min(table.values()) for table in used])
    scan, own_affine = io.read_volume(own_t1)
    for name, result, path, own_path in zip(tables, conductivity, maps, own_maps, strict=True):
        about = {"units": "S/m", "table": name, "provenance": provenance}
        io.write_volume(path, result, affine, **about)
        own = back_conductivity(result, affine, own_affine, scan.shape)
        io.write_volume(own_path, own, own_affine, **about)


if __name__ == "__main__":
    import step

    step.run(main, snakemake)  # noqa: F821
