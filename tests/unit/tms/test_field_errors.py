"""Which maps' fields are compared with which, and the table of their peaks."""

import numpy as np

from headcond.tms.field_errors import PERCENTILES, comparisons, peak_table


def test_references_are_compared_with_maps_of_the_first_table_only():
    models = ["uniform", "blurred", "condnet", "true", "subvoxel", "uniform-B"]
    pairs = comparisons(models)
    assert pairs[:3] == [("uniform", name) for name in ("blurred", "condnet", "uniform-B")]
    first = ("uniform", "blurred", "condnet")
    assert pairs[3:] == [(each, name) for each in ("true", "subvoxel") for name in first]


def test_peaks_are_of_the_magnitude_inside_the_region():
    field = np.zeros((4, 4, 4, 3))
    field[:2, ..., 0], field[2:, ..., 1] = 3.0, 7.0
    mask = np.zeros((4, 4, 4), bool)
    mask[:2] = True
    table = peak_table({"uniform": field}, {"brain": mask, "head": ~mask})
    assert table["percentile"].tolist() == [*PERCENTILES, *PERCENTILES]
    assert table["field"].tolist() == [3.0, 3.0, 7.0, 7.0]
