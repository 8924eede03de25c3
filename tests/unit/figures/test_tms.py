"""Figures of fields show the numbers they are given."""

from __future__ import annotations

import numpy as np

from headcond.figures.tms import plot_differences, plot_hand_knobs


def test_differences_are_percent_of_the_largest_field():
    head = np.zeros((10, 12, 14), bool)
    head[2:-2, 2:-2, 2:-2] = True
    uniform = np.where(head, 2.0, 0.0)
    other = uniform.copy()
    other[5, 6, 7] = 4.0
    figure = plot_differences({"uniform": uniform, "other": other}, "uniform", head, np.eye(4),
                         (5, 6, 7))  # fmt: skip
    panels = [axis for axis in figure.axes if axis.get_images()]
    shown = [panel.get_images()[0].get_array() for panel in panels[:3]]
    assert all(part.max() == 50.0 and part.min() == 0.0 for part in shown)
    assert all(np.isnan(np.ma.filled(part, np.nan)[0, 0]) for part in shown)  # air stays blank


def test_magnified_panels_share_a_subjects_scale():
    field = np.random.default_rng(0).random((30, 40, 50))
    rows = {name: {"uniform": field, "estimated": 2 * field} for name in ("sub-1", "sub-2")}
    knob = np.zeros(field.shape, bool)
    knob[14:17, 19:22, 24:27] = True
    figure = plot_hand_knobs(rows, dict.fromkeys(rows, np.diag([2.0, 2, 2, 1])),
                       {"sub-1": (15, 20, 25), "sub-2": (3, 2, 48)},
                       dict.fromkeys(rows, knob), width=20.0)  # fmt: skip
    images = [axis.get_images()[0] for axis in figure.axes if axis.get_images()][:4]
    np.testing.assert_array_equal(images[0].get_array(), field[15, 15:26, 20:31].T)
    assert images[0].get_clim() == images[1].get_clim()
    assert images[2].get_array().shape == (7, 8)  # cut at the edge of the grid
    # The region's border is drawn where the plane meets it: voxels 19..21 are 4..6 of the panel.
    drawn = [panel.collections for panel in figure.axes if panel.get_images()]
    (border,) = drawn[0][0].get_paths()
    low, high = border.vertices.min(axis=0), border.vertices.max(axis=0)
    np.testing.assert_allclose([*low, *high], [3.5, 3.5, 6.5, 6.5], atol=0.1)
    assert not drawn[2]  # the other subject's plane does not meet it
