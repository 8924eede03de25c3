"""Figures of Experiments 2 to 5 show what their tables hold, with words and units."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from headcond.figures import estimates, experiments

NAMES = ("scalp", "compact_bone", "spongy_bone", "csf", "gm", "wm")


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def sweep(noises=(2.6e-7, 8.2e-7, 8.2e-6)):
    cases = [(count, 8.2e-7) for count in (1, 5, 15)] + [(15, noise) for noise in noises]
    return pd.DataFrame([
        {"snapshots": count, "noise": noise, "mode": mode, "free": free, "parameter": name,
         "mean": (k + 1) * 20 / count, "largest": 90 / count,
         "bound": k + 1.0 if count > 1 else 1e6, "variation": 3.0,
         "judged": 5 if k < 3 else 0, "rms_over_bound": 1.1, "sampling_error": 0.3}
        for count, noise in dict.fromkeys(cases)
        for mode, free in (("each", "all"), ("each", "outer"), ("joint", "all"))
        for k, name in enumerate(NAMES if free == "all" else NAMES[:3])
    ])  # fmt: skip


def baseline(kept=True):
    return pd.DataFrame([
        {"sample": 0, "pair": "A-Cz", "iteration": step, "systems": 4 * (step + 1),
         "parameter": name, "relative_error": 50.0 / (step + 1), "kept": kept, "reason": ""}
        for step in range(4) for name in NAMES[:3]
    ])  # fmt: skip


def line(panel, label):
    return next(drawn for drawn in panel.get_lines() if drawn.get_label() == label)


def test_errors_against_systems_are_those_of_the_outer_tissues():
    figure = experiments.plot_errors_by_systems(sweep(), baseline(), 8.2e-7)
    panels = figure.axes
    assert [panel.get_title() for panel in panels] == [
        "scalp", "spongy bone", "mean of the three outer tissues"
    ]  # fmt: skip
    known = line(panels[0], "reduced model, inner tissues known")
    np.testing.assert_allclose(known.get_xdata(), [1, 5, 15])
    np.testing.assert_allclose(known.get_ydata(), [20, 4, 20 / 15])
    together = line(panels[2], "reduced model, all tissues free")
    np.testing.assert_allclose(together.get_ydata()[-1], 20 / 15 * np.mean([1, 2, 3]))
    runs = line(panels[1], "traditional method, inner tissues known")
    np.testing.assert_allclose(runs.get_xdata(), [4, 8, 12, 16])
    np.testing.assert_allclose(runs.get_ydata(), [50, 25, 50 / 3, 12.5])
    assert panels[0].get_ylim()[1] < 1e4, "the bound of one snapshot does not rule the axis"
    assert all("systems" in panel.get_xlabel() for panel in panels)


@pytest.mark.parametrize("runs", [None, baseline(kept=False)])
def test_without_runs_that_count_there_is_no_traditional_line(runs):
    figure = experiments.plot_errors_by_systems(sweep(), runs, 8.2e-7)
    labels = figure.axes[0].get_legend_handles_labels()[1]
    assert "traditional method, inner tissues known" not in labels


@pytest.mark.parametrize("noises", [(2.6e-7, 8.2e-7, 8.2e-6), ()])  # varied, or not
def test_errors_against_snapshots_and_noise_have_their_bounds(noises):
    figure = experiments.plot_errors(sweep(noises), 8.2e-7)
    first, *second, bars, ratio = figure.axes
    np.testing.assert_allclose(line(first, "GM").get_ydata(), [100, 20, 100 / 15])
    assert len(second) == (len(noises) > 0), "nothing is drawn of what was not varied"
    for panel in second:
        assert len(line(panel, "WM").get_xdata()) == 3
        assert [text.get_text() for text in panel.get_xticklabels()][-1] == "8.2"
    heights = [bar.get_height() for bar in bars.containers[0]]
    np.testing.assert_allclose(heights, 20 / 15 * np.arange(1, 7))
    assert "RMS error" in ratio.get_ylabel() and "µV" in bars.get_ylabel()
    drawn = [container for container in ratio.containers if len(container)]
    assert len(drawn) == 2, "per pair and joint"


def test_noise_is_drawn_at_the_snapshots_at_which_it_was_varied():
    more = sweep(()).query("snapshots == 15").assign(snapshots=40, mean=1.0)
    figure = experiments.plot_errors(pd.concat([sweep(), more]), 8.2e-7)
    second = figure.axes[1]
    assert second.get_title().endswith("15 snapshots")
    np.testing.assert_allclose(line(second, "GM").get_ydata(), 100 / 15)
    assert line(figure.axes[0], "GM").get_ydata()[-1] == 1.0


def test_nothing_to_judge_is_said():
    figure = experiments.plot_errors(sweep().assign(judged=0), 8.2e-7)
    texts = [text.get_text() for text in figure.axes[3].texts]
    assert any("tenth of the box" in text for text in texts)


def test_scatter_by_reference_lies_where_the_electrodes_are():
    places = pd.DataFrame({"electrode": ["A", "B", "C"], "x": [-0.05, 0.05, 0.0],
                           "y": [0.0, 0.0, 0.08], "z": [0.0, 0.0, 0.1],
                           "spongy": [0.1, 0.5, 0.3]})  # fmt: skip
    table = pd.DataFrame([
        {"reference": reference, "weighting": weighting, "asked": name == "skull",
         "std": std if name == "skull" else 1.0}
        for weighting in ("plain", "covariance") for name in ("scalp", "skull")
        for reference, std in (("A", 0.001), ("B", 0.002), ("C", 0.003), ("average", 0.01))
    ])  # fmt: skip
    figure = experiments.plot_references(table, places)
    fraction, plain, weighed = (panel.collections[0] for panel in figure.axes[:3])
    np.testing.assert_allclose(fraction.get_array(), [0.1, 0.5, 0.3])
    x, y = plain.get_offsets().T
    assert x[0] == -x[1] < 0 and x[2] == 0 and y[2] > 0, "left is left, the nose is up"
    np.testing.assert_allclose(plain.get_array(), [1, 2, 3])
    assert plain.get_clim() == weighed.get_clim() == (1.0, 3.0), "one scale, without the average"
    assert (
        figure.axes[0].get_ylabel().endswith("to the nose") and "mS/m" in figure.axes[1].get_title()
    )


def test_flattened_positions_are_angles_from_the_vertex():
    ball = np.array([[0, 0, 1.0], [1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, -1]])
    flat = experiments.azimuthal(ball)
    np.testing.assert_allclose(flat[:5], [[0, 0], [90, 0], [-90, 0], [0, 90], [0, -90]], atol=1e-9)
    high, low = experiments.azimuthal(np.vstack([ball, [[0.8, 0, 0.6], [0.8, 0, -0.6]]]))[6:]
    assert high[0] == pytest.approx(90 - np.degrees(np.arcsin(0.6))) and low[0] > 120


def test_estimates_of_patterns_lie_between_the_walls():
    rows = pd.DataFrame([
        {"frequency": 100.0, "parameter": name, "mode": mode, "converged": True,
         "at_wall": wall, "estimate": value, "scaled_std": 0.05, "pattern": pattern}
        for name in ("scalp", "wm")
        for mode, value, wall, pattern in (
            ("each", 0.3, False, "A-B"), ("each", 0.6, True, "C-D"), ("joint", 0.4, False, "all"))
    ])  # fmt: skip
    figure = estimates.plot_conductivities(rows, {"scalp": (0.1, 0.6), "wm": (0.1, 0.6)}, 100.0)
    low, high = figure.axes[0].get_ylim()
    assert low < 0.1 and high > 0.6 and "S/m" in figure.axes[0].get_ylabel()
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["A-B", "C-D"]
    joint = line(figure.axes[0], "all patterns together ± standard deviation, scaled to the misfit")
    np.testing.assert_allclose(joint.get_ydata(), 0.4)
    np.testing.assert_allclose(
        line(figure.axes[0], "one pattern, at a limit of the parameter box").get_ydata(), 0.6
    )


def test_labels_too_many_to_read_are_left_out():
    assert estimates._legible(["A-B", "C-D"]) == ["A-B", "C-D"]
    assert set(estimates._legible([f"E{n}" for n in range(65)])) == {""}


def test_a_spectrum_marks_estimates_at_a_limit():
    rows = pd.DataFrame([
        {"frequency": frequency, "parameter": name, "mean": 0.3, "std": 0.1, "joint": value,
         "joint_at_wall": value > 0.4}
        for frequency, value in ((1000.0, 0.5), (10.0, 0.25)) for name in NAMES
    ])  # fmt: skip
    figure = estimates.plot_spectrum(rows)
    assert [panel.get_title() for panel in figure.axes][:3] == ["scalp", "compact bone",
                                                                "spongy bone"]  # fmt: skip
    joint = line(figure.axes[0], "all patterns together")
    assert joint.get_xydata().tolist() == [[10.0, 0.25], [1000.0, 0.5]], "in order of frequency"
    ends = line(figure.axes[0], "all patterns, at a limit of the parameter box")
    assert ends.get_xydata().tolist() == [[1000.0, 0.5]]
    assert "Hz" in figure.axes[-1].get_xlabel() and "S/m" in figure.axes[0].get_ylabel()


def test_residuals_are_shown_by_pattern_and_electrode():
    rows = pd.DataFrame([
        {"frequency": 5.0, "pattern": pattern, "electrode": electrode, "fitted": 1e-3,
         "measured": 1e-3 + residual, "residual": residual}
        for pattern, electrode, residual in (
            ("A-B", "C", 1e-5), ("A-B", "D", -1e-5), ("C-D", "A", 3e-5), ("C-D", "B", -3e-5))
    ])  # fmt: skip
    scatter, picture, by_pattern, by_electrode, *_ = estimates.plot_residuals(rows, 5.0).axes
    np.testing.assert_allclose(scatter.lines[0].get_ydata(), [1.01, 0.99, 1.03, 0.97])
    np.testing.assert_allclose(np.nanmax(picture.images[0].get_array()), 30)
    assert [text.get_text() for text in by_pattern.get_xticklabels()] == ["C-D", "A-B"]
    assert len(by_electrode.patches) == 4 and "µV" in by_electrode.get_ylabel()
