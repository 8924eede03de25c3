"""Figures show the numbers that they are given, the right way round, with named axes."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba
from PIL import Image

from headcond.figures import conductivity, estimates, meshes, rom, slices, style
from headcond.figures.names import tissue_name
from headcond.tissues import EIT_TISSUES, TISSUES
from tests.helpers.fem_meshes import box

AFFINE = np.diag([2.0, 3.0, 4.0, 1.0])
SHAPE = (12, 10, 8)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture
def ramps():
    """Volumes that tell where in the grid a value comes from."""
    i, j, k = np.indices(SHAPE, dtype=float)
    return {"first": i + 100 * j + 10000 * k, "second": i * j + k}


def panels(figure):
    """Axes with a picture or curves, without those of colour bars."""
    return [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]


def bars(figure):
    return [axes for axes in figure.axes if axes.get_label() == "<colorbar>"]


# Ends of the body at the left, the right and the top of a plane.
ENDS = {"axial": ("L", "R", "A"), "sagittal": ("P", "A", "S"), "coronal": ("L", "R", "S")}


def plane_of(volume, plane, centre):
    """The plane through `centre` with rows from bottom to top, columns from left to right."""
    i, j, k = centre
    return {"axial": volume[:, :, k], "sagittal": volume[i], "coronal": volume[:, j]}[plane].T


def check_marks(panel, plane):
    found = {}
    for text in panel.texts:
        x = text.get_position()[0]
        found["left" if x < 0.2 else "right" if x > 0.8 else "top"] = text.get_text()
    left, right, top = ENDS[plane]
    assert found == {"left": left, "right": right, "top": top}


def check_orientation(panel, plane, picture, sizes):
    image = panel.images[0]
    assert np.array_equal(image.get_array(), picture)
    assert image.origin == "lower", "the first row is the lowest, as the marks say"
    across, up = {"axial": (0, 1), "sagittal": (1, 2), "coronal": (0, 2)}[plane]
    assert panel.get_aspect() == pytest.approx(sizes[up] / sizes[across])
    x, y = panel.get_xlim(), panel.get_ylim()
    assert x[0] < x[1] and y[0] < y[1], "axes are not turned round"
    check_marks(panel, plane)


def test_slices_show_the_three_planes_the_right_way_round(ramps):
    centre = (3, 7, 2)
    figure = slices.plot_slices(ramps, AFFINE, centre, unit="S/m", limits=(0.0, 5.0), mark=True)
    shown = panels(figure)
    assert len(shown) == 6
    for row, plane in enumerate(("axial", "sagittal", "coronal")):
        for column, title in enumerate(ramps):
            panel = shown[2 * row + column]
            check_orientation(panel, plane, plane_of(ramps[title], plane, centre), (2, 3, 4))
            assert panel.images[0].get_clim() == (0.0, 5.0)
            (cross,) = panel.lines
            x, y = int(cross.get_xdata()[0]), int(cross.get_ydata()[0])
            assert panel.images[0].get_array()[y, x] == ramps[title][centre]
        assert shown[2 * row].get_ylabel() == plane
    assert [shown[0].get_title(), shown[1].get_title()] == ["first", "second"]
    assert [bar.get_ylabel() for bar in bars(figure)] == ["S/m"]


def test_every_scale_has_its_own_colour_bar(ramps):
    ramps["third"] = ramps["second"]
    figure = slices.plot_slices(
        ramps, AFFINE, (0, 0, 0),
        unit={"first": "normalised", "second": "S/m", "third": "S/m"},
        limits={"first": (0.0, 1.0), "second": (0.0, 2.0), "third": (0.0, 2.0)},
        colour_map={"first": "gray", "second": "viridis", "third": "viridis"},
    )  # fmt: skip
    assert [bar.get_ylabel() for bar in bars(figure)] == ["normalised", "S/m"]
    assert [panel.images[0].get_clim() for panel in panels(figure)[:3]] == [(0, 1), (0, 2), (0, 2)]
    assert [panel.images[0].get_cmap().name for panel in panels(figure)[:2]] == ["gray", "viridis"]


def test_anatomy_shows_images_and_names_the_tissues_that_are_there(ramps):
    labels = np.zeros(SHAPE, np.uint8)
    labels[2:9, 2:9, 2:7] = TISSUES.index("skin") + 1
    labels[4:7, 4:7, 4:6] = TISSUES.index("wm") + 1
    centre = (5, 5, 4)
    figure = slices.plot_anatomy(ramps, labels, TISSUES, AFFINE, centre)
    shown = panels(figure)
    assert [panel.get_title() for panel in shown[:3]] == ["first", "second", "tissues"]
    for row, plane in enumerate(ENDS):
        for column, volume in enumerate((*ramps.values(), labels)):
            panel = shown[3 * row + column]
            check_orientation(panel, plane, plane_of(volume, plane, centre), (2, 3, 4))
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["skin", "WM"]
    image = shown[2].images[0]
    for name in ("skin", "wm"):
        colour = image.cmap(image.norm(TISSUES.index(name) + 1))
        assert colour == pytest.approx(to_rgba(style.TISSUE_COLOURS[name]))
    assert image.cmap(image.norm(0)) == pytest.approx(to_rgba("black"))
    assert not slices.plot_anatomy(ramps, None, TISSUES, AFFINE, centre).legends


def test_every_tissue_has_a_colour_of_its_own():
    for names in (TISSUES, EIT_TISSUES):
        assert len({style.TISSUE_COLOURS[name] for name in names}) == len(names)


def test_bounding_box_is_tight_up_to_its_margin():
    mask = np.zeros((9, 10, 11), bool)
    mask[4, 5:8, 1:3] = True
    assert slices.bounding_box(mask, 0) == (slice(4, 5), slice(5, 8), slice(1, 3))
    assert slices.bounding_box(mask, 2) == (slice(2, 7), slice(3, 10), slice(0, 5))


def polygon_area(polygon, plane):
    x, y = polygon[:, plane].T
    return 0.5 * abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("part", [0.013, 1 / 3, 0.5, 0.77])  # through the middle: on nodes
def test_cuts_of_a_box_add_up_to_its_cross_section(axis, part):
    lengths = np.array([0.2, 0.1, 0.3])
    mesh = box((4, 2, 6), lengths)
    height = part * lengths[axis]
    polygons, owner = meshes.plane_polygons(mesh.nodes, mesh.tetrahedra, axis, height)
    plane = [i for i in range(3) if i != axis]
    areas = np.array([polygon_area(polygon, plane) for polygon in polygons])
    assert areas.sum() == pytest.approx(lengths[plane].prod(), rel=1e-12)
    assert len(owner) == len(polygons) and len(set(owner)) == len(owner)
    for polygon, element in zip(polygons, owner, strict=True):
        assert np.allclose(polygon[:, axis], height, atol=1e-15)
        corners = mesh.nodes[mesh.tetrahedra[element]]
        assert np.all(polygon >= corners.min(axis=0) - 1e-12)
        assert np.all(polygon <= corners.max(axis=0) + 1e-12)


def test_cut_of_one_tetrahedron_is_the_known_triangle_or_quadrangle():
    nodes = np.vstack([np.zeros(3), np.eye(3)])
    (triangle,), owner = meshes.plane_polygons(nodes, np.array([[0, 1, 2, 3]]), 2, 0.25)
    assert polygon_area(triangle, [0, 1]) == pytest.approx(0.75**2 / 2) and owner.tolist() == [0]
    slanted = nodes @ np.array([[1.0, 0, 1], [0, 1, 0], [0, 0, 1]])  # two nodes at z = 1
    (quadrangle,), _ = meshes.plane_polygons(slanted, np.array([[0, 1, 2, 3]]), 2, 0.5)
    assert len(quadrangle) == 4
    assert polygon_area(quadrangle, [0, 1]) == pytest.approx(0.25)
    assert meshes.plane_polygons(nodes, np.array([[0, 1, 2, 3]]), 2, 2.0)[0] == []


def test_mesh_cuts_colour_tissues_and_keep_left_and_right():
    """Left half scalp, right half white matter: areas of the colours in millimetres squared."""
    names = EIT_TISSUES
    tissue = {"scalp": names.index("scalp") + 1, "wm": names.index("wm") + 1}
    mesh = box(
        (4, 2, 6), (0.2, 0.1, 0.3),
        lambda middle: np.where(middle[:, 0] < 0.05, tissue["scalp"], tissue["wm"]), names,
    )  # fmt: skip
    through = np.array([0.12, 0.03, 0.11])
    figure = meshes.plot_mesh_cuts(mesh.nodes, mesh.tetrahedra, mesh.tissue, names, through)
    expected = {
        "axial": ("x (mm)", "y (mm)", 50 * 100, 150 * 100),
        "sagittal": ("y (mm)", "z (mm)", 0, 100 * 300),
        "coronal": ("x (mm)", "z (mm)", 50 * 300, 150 * 300),
    }
    assert [panel.get_title() for panel in panels(figure)] == list(expected)
    for panel, (across, up, scalp, white) in zip(panels(figure), expected.values(), strict=True):
        assert (panel.get_xlabel(), panel.get_ylabel()) == (across, up)
        assert panel.get_aspect() == 1.0
        (cells,) = panel.collections
        colours = cells.get_facecolors()
        area = {"scalp": 0.0, "wm": 0.0}
        for path, colour in zip(cells.get_paths(), colours, strict=True):
            corners = path.vertices[:-1] if path.codes is not None else path.vertices
            (name,) = (n for n in area if np.allclose(colour, to_rgba(style.TISSUE_COLOURS[n])))
            area[name] += polygon_area(corners, [0, 1])
            if across == "x (mm)":
                assert (corners[:, 0].mean() < 50) == (name == "scalp")
        assert area["scalp"] == pytest.approx(scalp, rel=1e-9)
        assert area["wm"] == pytest.approx(white, rel=1e-9)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [tissue_name(n) for n in names]


def test_potentials_in_cuts_are_divided_by_their_percentile():
    mesh = box((4, 2, 6), (0.2, 0.1, 0.3))
    fields = {"vector 1": mesh.nodes[:, 2], "vector 2": 5e3 * mesh.nodes[:, 2]}
    figure = meshes.plot_potential_cuts(mesh.nodes, mesh.tetrahedra, fields, np.full(3, 0.07))
    shown = panels(figure)
    assert [panel.get_title() for panel in shown[:2]] == [f"{n}\nsagittal" for n in fields]
    for first, second in ((shown[0], shown[1]), (shown[2], shown[3])):
        values = first.collections[0].get_array()
        np.testing.assert_allclose(values, second.collections[0].get_array(), rtol=1e-9)
        assert np.percentile(np.abs(np.asarray(values)), 98) == pytest.approx(1.0)
    assert "98th percentile" in bars(figure)[0].get_ylabel() and "mm" in shown[0].get_ylabel()


def test_views_show_the_side_that_they_name():
    """A point on every side of a box is written only where one looks at that side."""
    mesh = box((2, 2, 2), (0.2, 0.2, 0.2))
    points = {
        "left": np.array([0.0, 0.07, 0.1]), "right": np.array([0.2, 0.07, 0.1]),
        "front": np.array([0.07, 0.2, 0.1]), "back": np.array([0.07, 0.0, 0.1]),
        "top": np.array([0.07, 0.07, 0.2]), "bottom": np.array([0.07, 0.07, 0.0]),
    }  # fmt: skip
    surface = mesh.surface()
    marked = np.all(mesh.nodes[surface][:, :, 2] > 0.199, axis=1)
    figure = meshes.plot_surface(mesh.nodes, surface, marked=marked, points=points)
    seen = {p.get_title(): [t.get_text() for t in p.texts] for p in panels(figure)}
    assert seen == {"from the left": ["left"], "from the front": ["front"], "from above": ["top"]}
    left, front, above = panels(figure)
    # Looking from the left the nose points left; from the front the person's left is right.
    for panel, name, place in ((left, "left", (-70, 100)), (front, "front", (-70, 100)),
                               (above, "top", (70, 70))):  # fmt: skip
        assert panel.texts[0].xy == pytest.approx(place), name
    dark = (0.15, 0.25, 0.45)
    for panel, count in ((left, 0), (front, 0), (above, marked.sum())):
        colours = panel.collections[0].get_facecolors()[:, :3]
        assert len(colours) == 8
        assert np.all(np.isclose(colours, dark), axis=1).sum() == count


def test_values_on_a_surface_have_a_symmetric_labelled_scale():
    mesh = box((2, 2, 2), (0.2, 0.2, 0.2))
    surface = mesh.surface()
    values = np.linspace(-3, 2, len(surface))
    cloud = np.array([[0.1, 0.1, 0.3]])
    figure = meshes.plot_surface(
        mesh.nodes, surface, values=values, unit="potential (V)", cloud=cloud, lines=[mesh.nodes]
    )
    assert [bar.get_ylabel() for bar in bars(figure)] == ["potential (V)"]
    shown = np.concatenate([p.collections[0].get_array() for p in panels(figure)])
    assert set(shown) <= set(values) and len(shown) == 24
    above = panels(figure)[2]
    assert above.collections[0].get_clim() == (-3, 3)
    assert np.allclose(above.lines[0].get_xydata(), [[100, 100]])


@pytest.fixture
def errors():
    rows = [
        {"mode": mode, "parameter": name,
         "relative_error_percent": value * (2 if name == "wm" else 1)}
        for mode, values in (("each", (1, 2, 3, 4, 100)), ("joint", (0.1, 0.2, 0.3)))
        for name in ("gm", "wm", "compact_bone")
        for value in values
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_boxes_stand_where_their_errors_are(errors):
    names, modes = ["gm", "wm", "compact_bone"], ["each", "joint"]
    figure = estimates.plot_relative_errors(errors, names, modes)
    (panel,) = panels(figure)
    assert len(panel.patches) == len(names) * len(modes)
    quartiles = {"each": (2, 4), "joint": (0.15, 0.25)}
    for number, patch in enumerate(panel.patches):
        mode, name = modes[number // 3], names[number % 3]
        corners = patch.get_path().vertices[:5]
        low, high = (part * (2 if name == "wm" else 1) for part in quartiles[mode])
        assert (corners[:, 1].min(), corners[:, 1].max()) == pytest.approx((low, high))
        middle = corners[:, 0].min() + np.ptp(corners[:, 0]) / 2
        assert round(middle) == names.index(name) and (middle < round(middle)) == (mode == "each")
        assert patch.get_facecolor()[:3] == to_rgba(style.COLOURS[modes.index(mode)])[:3]
    assert [text.get_text() for text in panel.get_xticklabels()] == ["GM", "WM", "compact bone"]
    assert "%" in panel.get_ylabel() and panel.get_yscale() == "log"
    shown = [text.get_text() for text in panel.get_legend().get_texts()]
    assert shown == ["per pair", "all pairs together"]


def test_losses_draw_both_curves_and_the_floor():
    tables = {
        axis: pd.DataFrame(
            {"epoch": [1, 2, 3], "train_loss": np.array([3.0, 2.0, 1.0]) + shift,
             "validation_loss": np.array([4.0, 3.0, 2.5]) + shift, "train_floor": 0.5}
        )
        for shift, axis in enumerate(("axial", "coronal"))
    }  # fmt: skip
    (panel,) = panels(conductivity.plot_losses(tables))
    lines = {line.get_label(): line for line in panel.lines}
    for axis, table in tables.items():
        for kind, column in (("training", "train_loss"), ("validation", "validation_loss")):
            assert lines[f"{axis}, {kind}"].get_ydata().tolist() == table[column].tolist()
            assert lines[f"{axis}, {kind}"].get_xdata().tolist() == [1, 2, 3]
    tables["axial"]["unseen_loss"] = [5.0, 4.0, 3.5]
    (seen,) = panels(conductivity.plot_losses(tables))
    drawn = [line for line in seen.lines if line.get_linestyle() == "-."]
    assert [line.get_label() for line in drawn] == ["axial, unseen head"]
    assert drawn[0].get_ydata().tolist() == [5.0, 4.0, 3.5]
    floors = [line for line in panel.lines if line.get_linestyle() == ":"]
    assert [line.get_ydata()[0] for line in floors] == [0.5, 0.5]
    assert panel.get_xlabel() == "epoch" and "nats" in panel.get_ylabel()
    (legend,) = panel.figure.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert names[-1] == "entropy of the targets" and len(names) == 5


def test_greedy_draws_every_pair_and_their_mean():
    table = pd.DataFrame(
        {"pair": ["a"] * 3 + ["b"] * 2, "snapshots": [1, 2, 3, 1, 2],
         "relative_bound": [1.0, 0.1, 0.01, 3.0, 0.3]}
    )  # fmt: skip
    (panel,) = panels(rom.plot_greedy(table))
    drawn = [line.get_ydata().tolist() for line in panel.lines]
    assert drawn[:2] == [[1.0, 0.1, 0.01], [3.0, 0.3]]
    (mean,) = (line for line in panel.lines if line.get_label() == "mean over pairs")
    assert mean.get_ydata() == pytest.approx([2.0, 0.2, 0.01])
    assert panel.get_xlabel() == "snapshots" and panel.get_ylabel() and panel.get_yscale() == "log"


def test_bounds_are_drawn_against_errors_with_the_diagonal_in_view():
    table = pd.DataFrame({"error": [1e-5, 2e-4, 0.0], "bound": [3e-5, 2.5e-4, 1e-9]})
    (panel,) = panels(rom.plot_bound_and_error(table))
    points, diagonal = panel.lines
    assert points.get_xydata().tolist() == [[1e-5, 3e-5], [2e-4, 2.5e-4]]
    assert np.array_equal(diagonal.get_xdata(), diagonal.get_ydata())
    low, high = panel.get_xlim()
    assert low < 1e-5 and high > 2.5e-4 and panel.get_ylim() == (low, high)
    assert "error" in panel.get_xlabel() and "bound" in panel.get_ylabel()
    assert panel.get_xscale() == panel.get_yscale() == "log"


def test_upper_limit_is_a_percentile_of_what_is_above_zero():
    values = np.concatenate([np.zeros(1000), np.arange(1, 101), [np.nan]])
    assert style.upper_limit(values, 50) == pytest.approx(50.5)
    assert style.upper_limit(np.zeros(5)) == 1.0


def test_saving_writes_a_picture_and_closes_the_figure(tmp_path, ramps):
    path = tmp_path / "new" / "profile.png"
    figure = slices.plot_slices(ramps, AFFINE, (3, 7, 2), unit="S/m", limits=(0.0, 5.0))
    style.save(figure, path)
    with Image.open(path) as image:
        assert image.format == "PNG" and image.size[0] > 500
        pixels = np.asarray(image.convert("RGB"))
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 10, "the picture is not blank"
    assert not plt.fignum_exists(figure.number)
    assert sorted(file.name for file in path.parent.iterdir()) == ["profile.json", "profile.png"]


def test_a_note_stands_in_the_figure(tmp_path, ramps):
    figure = slices.plot_slices(ramps, AFFINE, (3, 7, 2), unit="S/m", limits=(0.0, 5.0))
    style.save(figure, tmp_path / "a.png", "generated head")
    assert figure.get_supxlabel() == "generated head"
