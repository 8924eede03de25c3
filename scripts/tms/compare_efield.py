"""Compare the fields of all conductivity maps with that of the uniform one (Table III)."""

import numpy as np

from headcond.checks import voxel_sizes
from headcond.files import results
from headcond.metrics import global_error_table
from headcond.study.step import run
from headcond.study.tms_inputs import head_regions
from headcond.tms.field_errors import comparisons, peak_table


def main(
    labels, mni, warp, efields, errors, peaks, subject, models, position, hand_knob, provenance
):
    """Write global errors for all regions and readings of eq. 6, and the fields' peaks."""
    regions, affine = head_regions(labels, mni, warp, hand_knob)
    fields = {
        name: np.moveaxis(results.read_components(path)[0], 0, -1)
        for name, path in zip(models, efields, strict=True)
    }
    head = regions.pop("head")
    table = global_error_table(
        fields, regions, head, subject=subject, coil=position, comparisons=comparisons(models)
    )
    table["voxel_mm"] = size = float(voxel_sizes(affine).mean())
    units = {"mean_percent": "%", "std_percent": "%", "voxel_mm": "mm"}
    results.write_table(errors, table, units=units, provenance=provenance)
    table = peak_table(fields, {**regions, "head": head})
    table.insert(0, "subject", subject)
    results.write_table(peaks, table, units={"field": "V/m"}, voxel_mm=size, provenance=provenance)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
