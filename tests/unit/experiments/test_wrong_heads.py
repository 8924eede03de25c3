"""Heads that differ from the model's in one thing, and what that costs an estimate."""

from __future__ import annotations

import numpy as np
import pytest

from headcond.checks import InputError
from headcond.experiments.wrong_heads import (
    CHANGES,
    change_name,
    compare_disturbances,
    disturbed_head,
    spread_electrodes,
    thicken_skull,
)
from headcond.figures.experiments import plot_disturbances
from headcond.figures.style import save
from headcond.head.electrodes import place_discs
from headcond.head.meshing import build_mesh
from headcond.tissues import EIT_TISSUES
from tests.helpers.inverse_models import box_points, full_model, galerkin
from tests.helpers.label_volumes import ORIGIN, shells

SIZE = 0.006
DIAMETER = 0.012


@pytest.fixture(scope="module")
def head():
    """Six shells with thick tables, so that erosion finds spongy bone; eight electrodes."""
    labels, affine = shells([60, 54, 50, 44, 40, 30], 2.0)
    mesh, _ = build_mesh(labels, affine, SIZE)
    turn = np.arange(8) * np.pi / 4
    places = np.stack([np.cos(turn), np.sin(turn), 0.4 + 0 * turn], axis=1)
    places = 1e-3 * ORIGIN + 0.06 * places / np.linalg.norm(places, axis=1, keepdims=True)
    return labels, affine, mesh, place_discs(mesh, [f"E{n}" for n in range(8)], places, DIAMETER)


def changed(head, change, seed=1):
    return disturbed_head(change, *head, size=SIZE, method="bcc", diameter=DIAMETER, seed=seed)


@pytest.mark.parametrize("change", CHANGES)
def test_a_head_changes_in_one_thing(head, change):
    _, _, mesh, discs = head
    made = changed(head, change)
    assert made.electrodes.labels == discs.labels and made.changes["change"] == CHANGES[change]
    moved = np.linalg.norm(made.electrodes.centres - discs.centres, axis=1)
    bone = [EIT_TISSUES.index(name) + 1 for name in ("compact_bone", "spongy_bone")]
    volumes = [
        sum(np.abs(m.volumes())[m.tissue == kind].sum() for kind in bone) for m in (mesh, made.mesh)
    ]
    if change == "finer":
        assert len(made.mesh.nodes) > 1.6 * len(mesh.nodes)
    if change.startswith("moved"):
        distance = 1e-3 * int(change[-1])
        np.testing.assert_allclose(moved, distance, rtol=0.2)
        assert made.mesh is mesh
        assert made.changes["moved_mm"] == pytest.approx(1e3 * distance, rel=0.2)
    else:
        assert moved.max() < 1.5e-3, "the surface of another mesh is not quite where it was"
    factors = sorted(set(made.relative_impedance))
    assert factors == ([0.5, 2.0] if change == "contact" else [1.0])
    if change == "thicker":
        assert volumes[1] > 1.1 * volumes[0]
    if change == "spongy":
        # The same bone, divided otherwise; a mesh as coarse as its tables keeps it to 3 %.
        assert volumes[1] == pytest.approx(volumes[0], rel=0.05)
        spongy = [np.abs(m.volumes())[m.tissue == bone[1]].sum() for m in (mesh, made.mesh)]
        assert abs(spongy[1] / spongy[0] - 1) > 0.1
    again = changed(head, change)
    np.testing.assert_array_equal(again.electrodes.centres, made.electrodes.centres)
    np.testing.assert_array_equal(again.relative_impedance, made.relative_impedance)


def test_unknown_changes_and_heads_without_bone_are_refused(head):
    with pytest.raises(InputError, match="change"):
        changed(head, "fine")
    with pytest.raises(InputError, match="cannot be thickened"):
        thicken_skull(np.where(head[0] > 1, 4, head[0]).astype(np.uint8))


def test_the_skull_grows_by_one_voxel_into_the_scalp_alone():
    labels = np.zeros((7, 7, 7), np.uint8)
    labels[1:6, 1:6, 1:6] = 1
    labels[2:5, 2:5, 2:5] = 4
    labels[3, 3, 3] = 3
    labels[3, 3, 4] = 2
    grown, count = thicken_skull(labels)
    assert count == 1 and grown[3, 3, 5] == 2, "one face of the bone looks at scalp"
    assert np.count_nonzero(grown != labels) == 1
    assert labels[3, 3, 5] == 1, "the input is untouched"


def test_spread_electrodes_begin_with_the_named_and_lie_far_apart():
    line = np.stack([np.arange(9.0), np.zeros(9), np.zeros(9)], axis=1)
    np.testing.assert_array_equal(spread_electrodes(line, 3, [4]), [0, 4, 8])
    np.testing.assert_array_equal(spread_electrodes(line, 9, [4]), np.arange(9))


@pytest.fixture(scope="module")
def compared():
    full = full_model()
    model = galerkin(full, box_points(full, 9, np.random.default_rng(1)))
    truth = box_points(full, 30, np.random.default_rng(2))
    clean = full.voltages(truth)
    # What a head with other contacts would give: electrodes off by a common fraction of a volt.
    spoiled = clean * (1 + 0.1 * np.sin(np.arange(18)))
    potentials = {"same": clean, "moved2": spoiled}
    centres = np.random.default_rng(3).standard_normal((18, 3))
    return compare_disturbances(model, potentials, truth, centres, noise=3e-8, reference="average",
                                modes=["each", "joint"], seed=5)  # fmt: skip


def test_an_error_of_the_model_shows_in_errors_and_in_the_misfit(compared):
    assert set(compared["change"]) == {"same", "moved2"}, "18 electrodes: there are no fewer"
    rows = compared.set_index(["change", "mode", "parameter"])
    for mode in ("each", "joint"):
        same, wrong = (rows.loc[(change, mode)] for change in ("same", "moved2"))
        assert (wrong["mean"] > 2 * same["mean"]).any()
        assert abs(same["misfit"].iloc[0] - 1) < 0.2 and wrong["misfit"].iloc[0] > 10
        np.testing.assert_allclose(wrong["bound"], same["bound"], err_msg="the noise is the same")
    assert set(compared["electrodes"]) == {18} and set(compared["pairs"]) == {3}


def test_the_costs_are_drawn_with_their_names(compared, tmp_path):
    figure = plot_disturbances(compared)
    titles = [panel.get_title() for panel in figure.axes]
    assert titles[:3] == ["scalp", "skull", "brain"]
    # Three panels of four places: the one above the empty place has an axis of its own.
    labelled = [bool(panel.get_xlabel()) for panel in figure.axes]
    assert labelled == [False, True, True, False]
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert labels == [CHANGES["same"], CHANGES["moved2"]]
    assert change_name("fewer32").startswith("32 electrodes")
    save(figure, tmp_path / "costs.png")
    assert (tmp_path / "costs.png").stat().st_size > 5000
