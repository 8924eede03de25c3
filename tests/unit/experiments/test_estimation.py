"""Experiments 2 to 5 at the size of a cube: tables that the studies write."""

from __future__ import annotations

import numpy as np
import pytest

from headcond.checks import InputError
from headcond.experiments import estimation
from headcond.experiments.estimation import (
    baseline,
    compare_references,
    opposite_patterns,
    spongy_fraction,
    sweep,
)
from headcond.figures.experiments import mean_history
from headcond.head.mesh import Mesh
from headcond.rom.parameters import operator_box
from tests.helpers.inverse_models import box_points, full_model, galerkin


@pytest.fixture(scope="module")
def full():
    return full_model()


@pytest.fixture(scope="module")
def model(full):
    return galerkin(full, box_points(full, 9, np.random.default_rng(1)))


@pytest.fixture(scope="module")
def swept(full, model):
    rng = np.random.default_rng(2)
    span = model.box.upper - model.box.lower
    truth = model.box.lower + span * rng.uniform(0.3, 0.7, (40, 3))
    clean = model.voltages(truth)
    return sweep(model, clean, truth, noise=1e-7, noises=[3e-8, 1e-6], snapshots=[2, 5, 9, 30],
                 reference="average", modes=["each", "joint"], seed=4)  # fmt: skip


def test_sweep_has_every_case_once_and_errors_fall_with_snapshots(swept):
    cases = set(zip(swept["snapshots"], swept["noise"], strict=True))
    assert cases == {(2, 1e-7), (5, 1e-7), (9, 1e-7), (9, 3e-8), (9, 1e-6)}
    each = swept[(swept["mode"] == "each") & (swept["parameter"] == "scalp")]
    by_count = each[each["noise"] == 1e-7].set_index("snapshots")["mean"]
    assert by_count[9] < by_count[5] < by_count[2]
    assert (each["estimates"] + each["failed"] == 40 * 3).all()
    assert (swept["largest"] >= swept["mean"]).all()
    joint = swept[swept["mode"] == "joint"]
    assert joint["variation"].isna().all() and each["variation"].notna().all()


def test_noise_is_varied_with_the_papers_snapshots(model, monkeypatch):
    monkeypatch.setattr(estimation, "_NOISE_SNAPSHOTS", 5)
    truth = 0.5 * (model.box.lower + model.box.upper)[None]
    common = {"noise": 1e-7, "snapshots": [2, 9], "reference": "average", "modes": ["each"]}
    clean = model.voltages(truth)
    for noises, more in (([1e-6], {(5, 1e-7), (5, 1e-6)}), ([], set())):
        found = sweep(model, clean, truth, noises=noises, seed=4, **common)
        cases = set(zip(found["snapshots"], found["noise"], strict=True))
        assert cases == {(2, 1e-7), (9, 1e-7)} | more


def test_errors_meet_the_bound_where_it_decides(swept):
    exact = swept[(swept["snapshots"] == 9) & (swept["noise"] == 3e-8)]
    assert (exact["judged"] > 20).any()
    for row in exact[exact["judged"] > 20].itertuples():
        assert abs(row.rms_over_bound - 1) < 4 * row.sampling_error
        assert row.sampling_error == pytest.approx(1 / np.sqrt(2 * row.judged))
    # With 30 times the noise the bound is 30 times as wide.
    wide = swept[(swept["snapshots"] == 9) & (swept["noise"] == 1e-6)]
    ratio = wide["bound"].to_numpy() / exact["bound"].to_numpy()
    np.testing.assert_allclose(ratio, 1e-6 / 3e-8, rtol=1e-6)


def test_baseline_counts_systems_and_gets_there(full):
    truth = box_points(full, 2, np.random.default_rng(5))
    runs = baseline(full, full.voltages(truth), truth, noise=1e-8, reference="average", seed=1)
    assert set(runs["parameter"]) == {"scalp", "skull", "brain"}
    assert runs.groupby(["sample", "pair"]).ngroups == 6
    kept = runs[runs["kept"]]
    assert len(kept) and (kept["reason"] == "").all()
    last = kept.sort_values("iteration").groupby(["sample", "pair", "parameter"]).tail(1)
    first = kept[kept["iteration"] == 0]
    assert last["relative_error"].mean() < 0.2 * first["relative_error"].mean()
    steps = runs[
        (runs["sample"] == 0) & (runs["pair"] == "E1-E18") & (runs["parameter"] == "scalp")
    ]
    # The start takes a solution; every gradient one more for each of three tissues.
    assert (np.diff(steps["systems"]) >= 1).all() and steps["systems"].iloc[-1] >= 4 * len(
        steps
    ) - 4
    grid, mean = mean_history(kept)
    assert np.all(np.diff(grid) > 0) and mean[-1] == pytest.approx(last["relative_error"].mean())


def sphere(count, rng):
    places = rng.standard_normal((count, 3))
    return places / np.linalg.norm(places, axis=1, keepdims=True)


@pytest.mark.parametrize("count", [20, 32, 133])
def test_opposite_patterns_cross_the_head_and_repeat_nobody_thrice(count):
    places = sphere(count, np.random.default_rng(count))
    labels = [f"E{n}" for n in range(count)]
    patterns = opposite_patterns(labels, places)
    assert len(patterns) == round(106 / 133 * count)
    for side in (0, 1):
        assert len({pattern[side] for pattern in patterns}) == len(patterns)
    assert not {(b, a) for a, b in patterns} & set(patterns)
    index = [(labels.index(a), labels.index(b)) for a, b in patterns]
    cosine = np.array([places[a] @ places[b] for a, b in index])
    assert np.median(cosine) < -0.8 and cosine.max() < 0.3
    assert opposite_patterns(labels, places) == patterns
    with pytest.raises(InputError, match="do not allow"):
        opposite_patterns(labels, places, count + 1)


def test_references_matter_to_plain_least_squares_alone(full):
    """Data from three tissues, estimates that hold the brain at a wrong value."""
    wide = full_model(pairs=tuple((f"E{n}", "E18") for n in range(1, 18)))
    flat = full_model(wide.operator, wide.pairs, names=("scalp", "skull"))
    model = galerkin(flat, box_points(flat, 8, np.random.default_rng(1)))
    patterns = [("E1", "E9"), ("E4", "E14"), ("E3", "E12"), ("E6", "E16"), ("E10", "E18")]

    def potentials(wanted):
        true = full_model(wide.operator, wanted)
        return true.voltages(np.array([0.37, 0.01, 0.45]))

    table = compare_references(model, potentials, patterns, noise=1e-7, parameter="skull", seed=3)
    assert len(table) == 19 * 2 * 2 and table["asked"].sum() == 19 * 2
    assert (table["failed"] == 0).all()
    asked = table[table["asked"]].set_index(["weighting", "reference"])
    for reference in ("E1", "E18"):
        assert asked.loc[("plain", reference), "patterns"] == 4
    free = [f"E{n}" for n in (2, 5, 7, 8, 11, 13, 15, 17)]  # no pattern uses them
    plain, best = (asked.loc[w].loc[free, "std"] for w in ("plain", "covariance"))
    assert np.ptp(best) < 1e-3 * best.mean()
    assert np.ptp(plain) > 0.05 * plain.mean()
    average = asked.loc[("covariance", "average")]
    np.testing.assert_allclose(average["std"], best.iloc[0], rtol=1e-3)


def test_spongy_fraction_by_hand():
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1.0]])
    nodes = np.concatenate([0.01 * corners, 0.01 * corners * 2 ** (1 / 3), 0.01 * corners + 1])
    mesh = Mesh(nodes, np.arange(12).reshape(3, 4), np.array([1, 2, 2], np.uint8),
                ("compact_bone", "spongy_bone"))  # fmt: skip
    got = spongy_fraction(mesh, np.array([[0, 0, 0], [1, 1, 1], [5, 5, 5.0]]))
    np.testing.assert_allclose(got, [2 / 3, 1, 0], atol=1e-12)


def test_merged_skull_may_have_directions():
    blocks = ["scalp", "compact_bone_radial", "compact_bone_tangential", "spongy_bone_radial",
              "spongy_bone_tangential", "csf", "gm", "wm", "contact"]  # fmt: skip
    box = operator_box("merged_skull", blocks, 5.0)
    assert box.names == ("scalp", "skull_radial", "skull_tangential", "csf", "gm", "wm")
    np.testing.assert_allclose([box.lower[1:3], box.upper[1:3]], [[0.002] * 2, [0.043] * 2])
    with pytest.raises(InputError, match="both anisotropic"):
        operator_box("merged_skull", [b for b in blocks if b != "spongy_bone_radial"], 5.0)
