"""Take in a head that comes as a mesh, and put its electrodes on."""

import numpy as np

from headcond.caps import fitted_cap
from headcond.files import results
from headcond.head.electrodes import place_discs
from headcond.head.formats import read_mesh, write_head, write_mesh
from headcond.head.quality import report
from headcond.head.rompeit import read_electrodes, rename_tissues
from headcond.study.step import run


def main(given, head, mesh, quality, unit, tissues, fiducials, cap, diameter, provenance):
    """Write mesh and electrodes, the mesh for ParaView, and a report of its quality."""
    read = read_mesh(given, unit)
    made = rename_tissues(read, tissues)
    if cap == "file":
        discs = read_electrodes(given, read)
    else:
        positions = fitted_cap(cap, fiducials)
        places = np.array(list(positions.values())) / 1e3
        discs = place_discs(made, list(positions), places, diameter)
    write_head(head, made, discs, provenance=provenance)
    write_mesh(mesh, made, discs)
    results.write_sidecar(mesh, units="mm", provenance=provenance)
    areas = discs.areas(made.nodes)
    found = {
        **report(made),
        "repairs": {"method": "file", "unit": unit},
        "cut_voxels": {},
        "electrode_area_mm2": {"least": 1e6 * areas.min(), "largest": 1e6 * areas.max()},
    }
    results.write_json(quality, {**found, "provenance": provenance})


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
