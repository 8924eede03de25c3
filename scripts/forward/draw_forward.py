"""Draw the potential of one injection pair on the scalp, and the thickness of the skull."""

import meshio
import numpy as np

from headcond.figures.meshes import plot_surface
from headcond.figures.style import save
from headcond.files import results
from headcond.head.formats import read_head
from headcond.head.quality import skull_thickness
from headcond.study.step import run

SHOWN = 98  # percentile of the potential's size at which its colours end: peaks stay under discs
THICKEST = 0.02  # m; bones of the face lie further from the braincase


def main(head, solution, potential, thickness, note, provenance):
    """Write both figures."""
    mesh, _ = read_head(head)
    results.check_whole(solution)
    ((_, field),) = meshio.vtu.read(solution).point_data.items()
    surface = mesh.surface()
    values = 1e6 * field[surface].mean(axis=1)
    limit = np.percentile(np.abs(values), SHOWN)
    clipped = np.clip(values, -limit, limit)
    figure = plot_surface(mesh.nodes, surface, values=clipped, unit="potential (µV)")
    save(figure, potential, note, provenance=provenance)
    triangles, depth = skull_thickness(mesh)
    depth, unit = 1e3 * np.minimum(depth, THICKEST), "skull thickness (mm)"
    figure = plot_surface(mesh.nodes, triangles, values=depth, unit=unit, signed=False)
    save(figure, thickness, note, provenance=provenance)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
