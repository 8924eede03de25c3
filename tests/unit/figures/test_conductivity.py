"""Figures of conductivity maps: one scale, the right planes, and renders of known bodies."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib import colormaps
from matplotlib.colors import to_rgba

from headcond.checks import InputError
from headcond.figures import conductivity, patches, rendering, slices, style
from headcond.files import results
from headcond.tissues import conductivity_table
from scripts.condnet import draw_tables

AFFINE = np.diag([2.0, 3.0, 4.0, 1.0])
SHAPE = (36, 30, 24)
LIMITS = (0.01, 2.0)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture
def ramps():
    i, j, k = np.indices(SHAPE, dtype=float)
    return {"uniform": 0.01 + 0.01 * i, "estimated": 0.05 * (1 + j + k), "true": 0.1 * (1 + k)}


def panels(figure):
    return [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]


def bars(figure):
    return [axes for axes in figure.axes if axes.get_label() == "<colorbar>"]


def test_the_scale_runs_from_air_to_the_highest_conductivity():
    assert slices.conductivity_limits(conductivity_table("A")) == (0.01, 2.0)
    assert conductivity.shared_limits([(0.01, 2.0), (0.0035, 1.654)]) == (0.0035, 2.0)


def test_maps_share_one_logarithmic_scale_next_to_grey_images(ramps):
    images = {"T1w": ramps["uniform"], "T2w": ramps["true"]}
    figure = conductivity.plot_maps(images, ramps, AFFINE, (5, 6, 7), LIMITS)
    shown = panels(figure)
    assert [panel.get_title() for panel in shown[:5]] == ["T1w", "T2w", *ramps]
    for panel in shown:
        (image,) = panel.images
        grey = shown.index(panel) % 5 < 2
        assert image.get_clim() == ((0, 1) if grey else LIMITS)
        assert image.get_cmap().name == ("gray" if grey else "turbo")
    assert np.array_equal(shown[2].images[0].get_array(), ramps["uniform"][:, :, 7].T)
    assert np.array_equal(shown[8].images[0].get_array(), ramps["estimated"][5].T)
    assert [bar.get_ylabel() for bar in bars(figure)] == [
        "normalised intensity",
        "conductivity (S/m)",
    ]
    scale = bars(figure)[1]
    assert scale.get_yscale() == "log" and scale.get_ylim() == pytest.approx(LIMITS)


def test_the_middle_lies_left_of_the_midline():
    mask = np.zeros(SHAPE, bool)
    mask[10:31, 4:15, 2:9] = True
    assert conductivity.central_voxel(mask, AFFINE).tolist() == [20 - 6, 9, 5], "12 mm are 6 voxels"


def test_details_magnify_the_busiest_square_that_is_in_sight():
    plane = np.zeros((60, 50))
    plane[40:50, 10:20] = np.indices((10, 10)).sum(axis=0) % 2  # a chess board
    corner, edge = conductivity.most_detailed_square(plane, np.array([2.0, 2.0]))
    assert edge.tolist() == [22, 22]
    assert np.all(corner <= (40, 10)) and np.all(corner + edge >= (50, 20))
    hidden = np.zeros((60, 50))
    hidden[2:12, 38:48] = np.indices((10, 10)).sum(axis=0) % 2  # where the inset will be
    hidden[40, 10] = 1
    corner, _ = conductivity.most_detailed_square(hidden, np.array([2.0, 2.0]))
    assert np.all(corner <= (40, 10)) and np.all(corner + edge > (40, 10))


def test_details_show_the_same_voxels_in_every_panel(ramps):
    big = {title: np.kron(volume, np.ones((2, 2, 2))) for title, volume in ramps.items()}
    figure = conductivity.plot_maps(
        {"T1w": big["true"]}, big, np.diag([2.0, 2, 2, 1]), (20, 20, 20), LIMITS, details=True
    )
    for number, panel in enumerate(panels(figure)):
        (inset,) = panel.child_axes
        data, whole = inset.images[0].get_array(), panel.images[0].get_array()
        assert data.shape == (22, 22)
        windows = np.lib.stride_tricks.sliding_window_view(whole, data.shape)
        assert np.any(np.all(windows == data, axis=(2, 3)))
        assert inset.images[0].get_clim() == panel.images[0].get_clim()
        framed = [line for line in panel.lines if line.get_color() == "yellow"]
        assert len(framed) == (number % 4 == 0), "the images show where it is"


@pytest.mark.parametrize("truth", [True, False])
def test_several_tables_are_next_to_their_controls_and_the_truth(
    ramps, tmp_path, monkeypatch, truth
):
    drawn = {}
    monkeypatch.setattr(draw_tables, "save", lambda figure, path, *_, **__: drawn.update(f=figure))
    for name, volume in ramps.items():
        big = np.kron(volume, np.ones((2, 2, 2))).astype(np.float32)
        results.write_volume(tmp_path / f"{name}.nii.gz", big, np.diag([2.0, 2, 2, 1]))
    path = {name: tmp_path / f"{name}.nii.gz" for name in ramps}
    draw_tables.main(
        path["true"], path["true"], [path["uniform"]] * 2, [path["true"]] * 2,
        [path["estimated"]] * 2, "several.png", ["A", "B"], 1e4, "", {},
        **({"true": path["true"]} if truth else {}),
    )  # fmt: skip
    columns = 8 + truth
    titles = [panel.get_title() for panel in panels(drawn["f"])[:columns]]
    maps = [f"{name} ({table})" for table in "AB" for name in ("uniform", "blurred", "estimated")]
    assert titles == ["T1w", "T2w", *maps, *(["true"] if truth else [])]
    assert len(panels(drawn["f"])) == 3 * columns
    first, control = (panels(drawn["f"])[number].images[0].get_array() for number in (2, 3))
    assert not np.array_equal(first, control)


def test_spread_is_shown_absolute_and_relative_and_nowhere_in_air():
    estimated = np.full(SHAPE, 0.5)
    estimated[:4] = 0.0
    deviation = np.full(SHAPE, 0.1)
    figure = conductivity.plot_axis_spread(estimated, deviation, AFFINE, (5, 6, 7), LIMITS)
    _, absolute, relative = (panel.images[0].get_array() for panel in panels(figure)[:3])
    assert np.all(absolute[:, :4] == 0) and np.all(relative[:, :4] == 0)
    assert np.allclose(absolute[:, 4:], 0.1) and np.allclose(relative[:, 4:], 20.0)
    assert [bar.get_ylabel() for bar in bars(figure)] == [
        "conductivity (S/m)",
        "standard deviation (S/m)",
        "standard deviation (% of the estimate)",
    ]


def test_profile_draws_the_left_right_line_in_millimetres(ramps):
    figure = conductivity.plot_profile(ramps, AFFINE, (3, 7, 2), LIMITS)
    *pictures, panel = panels(figure)
    for line, volume in zip(panel.lines, ramps.values(), strict=True):
        assert np.array_equal(line.get_ydata(), volume[:, 7, 2])
        assert np.array_equal(line.get_xdata(), 2.0 * (np.arange(SHAPE[0]) - 3))
    assert [line.get_label() for line in panel.lines] == list(ramps)
    assert "mm" in panel.get_xlabel() and "S/m" in panel.get_ylabel()
    assert [found.get_title() for found in pictures] == ["uniform", "estimated"]
    for found, title in zip(pictures, ("uniform", "estimated"), strict=True):
        assert np.array_equal(found.images[0].get_array(), ramps[title][:, :, 2].T)
        assert set(found.lines[0].get_ydata()) == {7}, "the line is where the curve is taken"


def colour_of(sigma):
    name, norm = slices.conductivity_colours(LIMITS)
    return np.array(colormaps[name](norm(sigma))[:3])


def ball(size=60, inner=0.5, outer=0.1):
    """A ball of radius 22 voxels around one of 18."""
    distance = np.linalg.norm(np.indices((size,) * 3) - (size - 1) / 2, axis=0)
    return np.where(distance < 18, inner, np.where(distance < 22, outer, 0.0))


def test_a_render_shows_the_three_cut_faces_and_a_shaded_skin():
    picture = rendering.render(ball(), (2.0, 2.0, 2.0), LIMITS, pixel=1.0)
    white = np.all(picture == 1, axis=2)
    height, width = picture.shape[:2]
    assert height == pytest.approx(88, abs=14) and width == pytest.approx(88, abs=14), "44 x 2 mm"
    for shade in rendering._FACES:  # each face of the cut shows both conductivities, unlit
        for sigma in (0.5, 0.1):
            same = np.all(np.abs(picture - shade * colour_of(sigma)) < 1e-6, axis=2)
            assert same.sum() > 50, (shade, sigma)
    inside = picture[~white]
    # Of a whole ball no inner colour would be seen; the skin is darker than its colour.
    reddish = np.linalg.norm(inside / inside.max(axis=1, keepdims=True) -
                             colour_of(0.1) / colour_of(0.1).max(), axis=1) < 1e-2  # fmt: skip
    assert 0.3 < reddish.mean() < 0.95, "most of what is seen is the outer layer, lit or cut"
    assert white[0, 0] and white[-1, -1] and not white[height // 2, width // 2]


def test_a_render_looks_from_the_persons_left_and_front():
    """Colours at the ends of a ball: the left one is in sight, the right one is not."""
    body = np.where(ball(inner=0.1) > 0, 0.1, 0.0)
    left, right = body.copy(), body.copy()
    left[:10], right[-10:] = np.where(body[:10] > 0, 2.0, 0), np.where(body[-10:] > 0, 2.0, 0)

    def dark_red(volume):
        picture = rendering.render(volume, (2.0, 2.0, 2.0), LIMITS, pixel=2.0)
        return (picture[..., 0] > 4 * picture[..., 1:].max(axis=2)).sum()

    assert dark_red(left) > 30 and dark_red(right) == 0


def test_inner_air_is_dark_on_a_cut_and_an_empty_map_is_refused():
    hollow = np.where(ball() == 0.5, 0.0, ball())
    picture = rendering.render(hollow, (2.0, 2.0, 2.0), LIMITS, pixel=2.0)
    air = np.max(np.abs(picture - np.array(rendering._AIR)), axis=2) < 0.03
    assert air.sum() > 100
    with pytest.raises(InputError, match="0 S/m everywhere"):
        rendering.render(np.zeros((8, 8, 8)), (1, 1, 1), LIMITS)


def test_outline_is_filled_and_without_specks():
    mask = np.zeros((20, 20, 20), bool)
    mask[3:15, 3:15, 3:15] = True
    mask[6:9, 6:9, 6:9] = False
    mask[18, 18, 18] = True
    found = rendering.outline(mask)
    assert found[7, 7, 7] and not found[18, 18, 18] and found.sum() == 12**3


def test_renders_have_a_row_per_head_and_one_scale():
    small = ball(30)
    rows = {head: {"uniform": small, "estimated": small} for head in ("sub-1", "sub-2")}
    figure = rendering.plot_renders(rows, dict.fromkeys(rows, np.diag([6.0, 6, 6, 1])), LIMITS)
    shown = panels(figure)
    assert [panel.get_title() for panel in shown] == ["uniform", "estimated", "", ""]
    assert [panel.get_ylabel() for panel in shown] == ["sub-1", "", "sub-2", ""]
    assert [bar.get_ylabel() for bar in bars(figure)] == ["conductivity (S/m)"]
    assert all(np.ptp(panel.images[0].get_array()) > 0.5 for panel in shown)


def test_patches_are_drawn_as_boxes_with_the_tables_values():
    values = {"wm": 0.07, "bone_cortical": 0.02}
    rows = [
        {"patch": number, "tissue": tissue, "i": 10 + 8 * number + n % 5, "j": 10 + n // 5, "k": 3,
         "depth_mm": 4.0, "uniform": values[tissue], "condnet": values[tissue] * (n / 10)}
        for number, tissue in enumerate(values, 1)
        for n in range(25)
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    image = np.random.default_rng(0).random(SHAPE)
    figure = patches.plot_patches(table, values, image, AFFINE, ["uniform", "condnet"])
    picture, boxes = panels(figure)
    assert np.array_equal(picture.images[0].get_array(), image[:, :, 3].T)
    assert [text.get_text() for text in picture.texts if text.get_text().isdigit()] == ["1", "2"]
    assert [label.get_text() for label in boxes.get_xticklabels()] == ["1 WM", "2 cortical\nbone"]
    assert boxes.get_yscale() == "log" and "S/m" in boxes.get_ylabel()
    (circles,) = (line for line in boxes.lines if line.get_label() == "conductivity table")
    assert circles.get_ydata().tolist() == list(values.values())
    found = [box.get_path().vertices[:5, 1] for box in boxes.patches]
    assert [(low.min(), low.max()) for low in found[:2]] == [(0.07, 0.07), (0.02, 0.02)]
    # Quartiles of n/10, n = 0..24; what is below half of the table's lowest is drawn there.
    assert (found[2].min(), found[2].max()) == pytest.approx((0.07 * 0.6, 0.07 * 1.8))
    assert (found[3].min(), found[3].max()) == pytest.approx((0.02 * 0.6, 0.02 * 1.8))
    lowest = min(np.min(line.get_ydata()) for line in boxes.lines if len(line.get_ydata()))
    assert lowest == pytest.approx(0.01)
    assert boxes.patches[2].get_facecolor()[:3] == to_rgba(style.COLOURS[1])[:3]
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["uniform", "estimated", "conductivity table"]
    assert table["condnet"].min() == 0, "the caller's table is not changed"
