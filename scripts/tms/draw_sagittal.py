"""Draw the hand knob of every test head close up, in the sagittal plane."""

import numpy as np

from headcond.figures.names import map_name
from headcond.figures.style import save
from headcond.figures.tms import plot_hand_knobs
from headcond.files import results
from headcond.study.step import run
from headcond.study.tms_inputs import head_regions


def main(labels, mni, warp, efields, sagittal, subjects, models, hand_knob, note, provenance):
    """Write one row per head, one column per conductivity map; `efields` heads first."""
    rows, affines, centres, knobs = {}, {}, {}, {}
    paths = iter(efields)
    warps = warp or [None] * len(subjects)
    for subject, tissue, transform, field in zip(subjects, labels, mni, warps, strict=True):
        regions, affines[subject] = head_regions(tissue, transform, field, hand_knob)
        knobs[subject] = regions["hand_knob"]
        centres[subject] = np.argwhere(regions["hand_knob"]).mean(axis=0).round().astype(int)
        rows[subject] = {
            map_name(name): np.linalg.norm(results.read_components(next(paths))[0], axis=0)
            for name in models
        }
    save(plot_hand_knobs(rows, affines, centres, knobs), sagittal, note, provenance=provenance)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
