"""Mesh a labelled head and put its electrodes on."""

import numpy as np

from headcond.caps import cap_positions
from headcond.cohort.labels import check_cut
from headcond.files import results
from headcond.head.electrodes import place_discs
from headcond.head.formats import write_head, write_mesh
from headcond.head.meshing import build_mesh
from headcond.head.quality import report
from headcond.head.spongy import erode_skull
from headcond.study.step import run


def main(labels, mni, head, mesh, quality, method, size, cut, spongy, cap, diameter, provenance):
    """Write mesh and electrodes, the mesh for ParaView, and a report of its quality."""
    tissue, affine = results.read_volume(labels, dtype="uint8")
    known = results.read_json(mni)
    check_cut(known["cut_voxels"], cut)
    if spongy:
        tissue, eroded = erode_skull(tissue, affine, spongy["outer_mm"], spongy["inner_mm"])
    made, account = build_mesh(tissue, affine, size, method)
    positions = cap_positions(cap, np.array(known["matrix"]))
    discs = place_discs(made, list(positions), np.array(list(positions.values())) / 1e3, diameter)
    write_head(head, made, discs, provenance=provenance)
    write_mesh(mesh, made, discs)
    results.write_sidecar(mesh, units="mm", provenance=provenance)
    found = {**report(made, tissue, affine), "repairs": account, "cut_voxels": known["cut_voxels"]}
    if spongy:
        found["spongy_by_erosion_voxels"] = eroded
    areas = discs.areas(made.nodes)
    nominal = 0.25e6 * np.pi * diameter**2
    found["electrode_area_mm2"] = {
        "least": 1e6 * areas.min(), "largest": 1e6 * areas.max(), "nominal": nominal
    }  # fmt: skip
    results.write_json(quality, {**found, "provenance": provenance})


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
