"""Draw where the fields of the conductivity maps differ from that of the uniform one."""

import numpy as np

from headcond.figures.names import map_name
from headcond.figures.slices import bounding_box
from headcond.figures.style import save
from headcond.figures.tms import plot_differences
from headcond.files import results
from headcond.study.step import run
from headcond.study.tms_inputs import head_regions


def main(labels, mni, warp, efields, difference, models, hand_knob, note, provenance):
    """Write the difference maps in the planes through the hand knob."""
    regions, affine = head_regions(labels, mni, warp, hand_knob)
    box = bounding_box(regions["head"])
    centre = np.argwhere(regions["hand_knob"][box]).mean(axis=0).round().astype(int)
    fields = {
        map_name(name): np.linalg.norm(results.read_components(path)[0], axis=0)[box]
        for name, path in zip(models, efields, strict=True)
    }
    knob = regions["hand_knob"][box]
    figure = plot_differences(fields, "uniform", regions["head"][box], affine, centre, knob)
    save(figure, difference, note, provenance=provenance)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
