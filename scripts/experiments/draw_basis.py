"""Draw basis vectors of one pair in cuts through the head (paper, Figs. 3c-f)."""

from pathlib import Path

from headcond.figures.meshes import plot_potential_cuts
from headcond.figures.style import save
from headcond.head.formats import read_head
from headcond.rom.basis import load_basis
from headcond.rom.model import ReducedModel
from headcond.rom.pair_training import file_label
from headcond.study.step import run

SHOWN = (1, 2, 4, 8)


def main(head, model, bases, basis_figure, note, provenance):
    """Write the figure of the batch's first pair."""
    mesh, _ = read_head(head)
    pair = ReducedModel.read(model).pairs[0]
    (folder,) = Path(bases).glob(f"pair-*-{file_label(pair.source)}")
    basis = load_basis(folder)[: len(mesh.nodes)]
    shown = [number for number in SHOWN if number <= pair.snapshots]
    fields = {f"{pair.source} to {pair.sink}, vector {n}": basis[:, n - 1] for n in shown}
    middle = 0.5 * (mesh.nodes.min(axis=0) + mesh.nodes.max(axis=0))
    figure = plot_potential_cuts(mesh.nodes, mesh.tetrahedra, fields, middle)
    save(figure, basis_figure, note, provenance=provenance)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
