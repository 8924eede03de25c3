"""Draw the head model: its tissues in cuts, and its electrodes."""

import numpy as np

from headcond.figures.meshes import plot_mesh_cuts, plot_surface
from headcond.figures.style import save
from headcond.head.formats import read_head
from headcond.study.step import run


def main(head, mesh, electrodes, note, provenance):
    """Write the cuts through the mesh, and the head with electrodes from three sides."""
    made, discs = read_head(head)
    brain = made.nodes[made.tetrahedra[made.tissue == len(made.tissue_names)]].mean(axis=(0, 1))
    figure = plot_mesh_cuts(made.nodes, made.tetrahedra, made.tissue, made.tissue_names, brain)
    save(figure, mesh, note, provenance=provenance)
    surface = made.surface()
    covered = {tuple(sorted(face)) for faces in discs.faces for face in faces.tolist()}
    marked = np.array([tuple(sorted(face)) in covered for face in surface.tolist()])
    points = dict(zip(discs.labels, discs.centres, strict=True))
    figure = plot_surface(made.nodes, surface, marked=marked, points=points)
    save(figure, electrodes, note, provenance=provenance)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
