"""Draw the coil on the head, and the field of every conductivity map."""

import numpy as np

from headcond.figures.meshes import plot_surface
from headcond.figures.names import map_name
from headcond.figures.slices import bounding_box, plot_slices
from headcond.figures.style import save, upper_limit
from headcond.files import results
from headcond.study.step import run
from headcond.study.tms_inputs import head_regions, make_coil
from headcond.tms.surface import head_surface


def main(
    labels, mni, warp, placement, efields, coil_figure, efield, models, coil, hand_knob, note,
    provenance,
):  # fmt: skip
    """Write the coil from three sides, and |E| in the planes through the hand knob."""
    regions, affine = head_regions(labels, mni, warp, hand_knob)
    head = regions["head"]
    fields = {
        map_name(name): np.linalg.norm(results.read_components(path)[0], axis=0)
        for name, path in zip(models, efields, strict=True)
    }
    box = bounding_box(head)
    centre = np.argwhere(regions["hand_knob"][box]).mean(axis=0).round().astype(int)
    high = max(upper_limit(field[regions["brain"]], 99.9) for field in fields.values())
    shown = {title: field[box] for title, field in fields.items()}
    figure = plot_slices(
        shown, affine, centre, unit="|E| (V/m)", limits=(0.0, high), colour_map="inferno",
        outline=regions["hand_knob"][box],
    )  # fmt: skip
    save(figure, efield, note, provenance=provenance)
    nodes, faces = head_surface(head, affine)
    matrix = np.array(results.read_json(placement)["coil_to_world"])
    windings = make_coil(coil).transformed(matrix).source_points()
    handle = np.stack([matrix[:3, 3], matrix[:3, 3] + 0.08 * matrix[:3, 1]])
    figure = plot_surface(nodes, faces, cloud=windings, lines=[handle])
    save(figure, coil_figure, note, provenance=provenance)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
