"""The checkerboard of T1w and T2w: squares in turn, planes the right way round, numbers shown."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from headcond.checks import InputError
from headcond.figures.alignment import SQUARE_MM, checkerboard, plot_alignment

QUALITY = {
    "mutual_information_before": 0.412, "mutual_information_after": 0.913,
    "translation_mm": 3.21, "rotation_degrees": 1.5,
}  # fmt: skip


def test_squares_alternate_and_meet_at_their_edges():
    first, second = np.ones((7, 6)), np.zeros((7, 6))
    board = checkerboard(first, second, (3, 2))
    slow = [[(i // 3 + j // 2) % 2 == 0 for j in range(6)] for i in range(7)]
    assert np.array_equal(board, np.array(slow, float))
    assert np.array_equal(checkerboard(first, second, (9, 9)), first), "one square holds all"
    halves = checkerboard(first, second, (2.5, 100))
    assert halves[:, 0].tolist() == [1, 1, 1, 0, 0, 1, 1], "edges need not be whole pixels"
    with pytest.raises(InputError, match="one shape"):
        checkerboard(first, second[1:], (2, 2))
    with pytest.raises(InputError, match="above 0"):
        checkerboard(first, second, (0, 2))


def test_the_figure_shows_both_states_and_their_numbers():
    shape, affine = (40, 44, 30), np.diag([4.0, 4.0, 5.0, 1.0])
    t1 = np.zeros(shape)
    t1[4:36, 4:40, 4:26] = 100.0
    t1[4:20] *= 2  # left brighter than right
    before, after = np.zeros(shape), np.full(shape, 50.0)
    after[20:] = 25.0
    figure = plot_alignment(t1, before, after, affine, QUALITY)
    panels = figure.axes
    assert [panel.get_title() for panel in panels[:3]] == ["axial", "sagittal", "coronal"]
    assert "0.412" in panels[0].get_ylabel() and "0.913" in panels[3].get_ylabel()
    title = figure.get_suptitle()
    assert "3.2 mm" in title and "1.5 degrees" in title and f"{SQUARE_MM:g} mm" in title
    above, below = (np.asarray(panel.images[0].get_array()) for panel in (panels[0], panels[3]))
    assert above.shape == below.shape
    assert (above == 0).sum() > 0.35 * above.size, "half of the squares show the empty T2w"
    changed = above != below
    assert changed.any() and (above[changed] == 0).all(), "only T2w's squares differ"
    left, right = below[:, :12][changed[:, :12]], below[:, -12:][changed[:, -12:]]
    assert left.min() > right.max(), "left is left"
    plt.close(figure)
