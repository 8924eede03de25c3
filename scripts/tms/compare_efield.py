"""Compare the fields of all conductivity maps with that of the uniform one (Table III)."""

import numpy as np
import pandas as pd

from headcond.checks import voxel_sizes
from headcond.files import results
from headcond.metrics import global_error_table, peak_percentiles
from headcond.study.fields import head_regions

PERCENTILES = (99.0, 99.9)


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
    references = ("true", "subvoxel")  # models that the others are judged against
    comparisons = [("uniform", name) for name in models if name not in ("uniform", *references)]
    for reference in references:
        if reference in models:
            # Another conductivity table is another question than which map is nearer.
            others = [name for name in models if name not in references and "-" not in name]
            comparisons += [(reference, name) for name in others]
    table = global_error_table(
        fields, regions, head, subject=subject, coil=position, comparisons=comparisons
    )
    table["voxel_mm"] = size = float(voxel_sizes(affine).mean())
    units = {"mean_percent": "%", "std_percent": "%", "voxel_mm": "mm"}
    results.write_table(errors, table, units=units, provenance=provenance)
    rows = []
    for name, field in fields.items():
        for region, mask in {**regions, "head": head}.items():
            values = peak_percentiles(field, mask, PERCENTILES)
            row = {"subject": subject, "model": name, "region": region}
            rows += [
                {**row, "percentile": level, "field": value}
                for level, value in zip(PERCENTILES, values, strict=True)
            ]
    results.write_table(
        peaks, pd.DataFrame(rows), units={"field": "V/m"}, voxel_mm=size, provenance=provenance
    )


if __name__ == "__main__":
    from headcond.study.step import run

    run(main, snakemake)  # noqa: F821
