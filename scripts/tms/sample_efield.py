"""Tabulate a field per tissue, and sample it on the surface of the grey matter."""

import meshio
import nibabel
import numpy as np

from headcond.checks import voxel_sizes
from headcond.files import results
from headcond.study.step import run
from headcond.tissues import tissue_id
from headcond.tms.regions import tissue_table
from headcond.tms.surface import gifti, grey_surface, sample_inside


def main(labels, efield, tissues, surface, geometry, values, subject, model, provenance):
    """Write |E| per tissue (TSV), and E on the grey matter's surface (VTU, GIFTI; mm, RAS+)."""
    tissue, affine = results.read_volume(labels, dtype="uint8")
    field = np.moveaxis(results.read_components(efield)[0], 0, -1)
    table = tissue_table(field, tissue, float(np.prod(voxel_sizes(affine))) / 1e3)
    table.insert(0, "subject", subject)
    table.insert(1, "model", model)
    units = {name: "V/m" for name in ("mean", "std", "median", "p99", "p99.9", "max")}
    results.write_table(tissues, table, units={"volume_ml": "ml", **units}, provenance=provenance)
    points, triangles = grey_surface(tissue, affine)
    vector = sample_inside(field, tissue == tissue_id("gm"), affine, points)
    mesh = meshio.Mesh(
        points, [("triangle", triangles)],
        point_data={"E (V/m)": vector, "|E| (V/m)": np.linalg.norm(vector, axis=1)},
    )  # fmt: skip
    about = {"points": len(points), "triangles": len(triangles), "provenance": provenance}
    with results.atomic(surface) as temporary:
        meshio.write(temporary, mesh, file_format="vtu")
    results.write_sidecar(surface, units="points mm, RAS+ world; E V/m, world axes", **about)
    units = ("mm, RAS+ world", "V/m: |E|, then E in world axes")
    images = gifti(points, triangles, vector)
    for path, image, unit in zip((geometry, values), images, units, strict=True):
        with results.atomic(path) as temporary:
            nibabel.save(image, temporary)
        results.write_sidecar(path, units=unit, **about)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
