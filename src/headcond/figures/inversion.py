"""Experiments 2 to 4: errors against systems and noise, scatter over the scalp by reference."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from headcond.figures.style import COLOURS, new_figure


def errors(table: pd.DataFrame, baseline: pd.DataFrame | None, noise: float) -> Figure:
    """Draw relative errors against systems solved and against the noise.

    Parameters
    ----------
    table : rows of `inverse.experiment.sweep`.
    baseline : rows of `inverse.experiment.baseline`, or None.
    noise : V, at which snapshots were varied.
    """
    names = list(dict.fromkeys(table["parameter"].dropna()))
    each = table[table["mode"] == "each"]
    most = each["snapshots"].max()
    figure, axes = new_figure(7.6, 6.4, 2, 2)
    panel = axes[0, 0]
    outer = names[:3]
    part = each[(each["noise"] == noise) & each["parameter"].isin(outer)]
    grouped = part.groupby("snapshots")
    panel.plot(grouped["mean"].mean(), "o-", color=COLOURS[0], markersize=3,
               label="reduced, all tissues free: mean")  # fmt: skip
    panel.plot(grouped["largest"].max(), "x", color=COLOURS[0], label="reduced: largest")
    if baseline is not None:
        grid, mean = history(baseline[baseline["kept"]])
        panel.plot(grid, mean, "-", color=COLOURS[1], label="traditional, inner fixed: mean")
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_xlabel("linear systems solved per pair (snapshots)")
    panel.set_ylabel("relative error (%)\n" + ", ".join(n.replace("_", " ") for n in outer))
    panel.legend(fontsize=7)
    _by_tissue(axes[0, 1], each[each["noise"] == noise], "snapshots", "mean", names)
    axes[0, 1].set_xlabel("snapshots")
    axes[0, 1].set_ylabel("mean relative error (%)")
    panel = axes[1, 0]
    rows = each[each["snapshots"] == most].assign(microvolt=lambda t: 1e6 * t["noise"])
    _by_tissue(panel, rows, "microvolt", "mean", names)
    for colour, name in zip(COLOURS, names, strict=False):
        one = rows[rows["parameter"] == name].sort_values("microvolt")
        panel.plot(one["microvolt"], one["bound"], ":", color=colour, linewidth=1)
    panel.set_xscale("log")
    panel.set_xlabel("noise of one electrode (µV)")
    panel.set_ylabel("mean relative error (%)\ndotted: median Cramér-Rao bound")
    panel = axes[1, 1]
    bars = [("each", "mean", "per pair, mean error"), ("joint", "mean", "joint, mean error"),
            ("each", "variation", "variation over pairs")]  # fmt: skip
    for shift, (mode, column, label) in enumerate(bars):
        rows = table[(table["mode"] == mode) & (table["noise"] == noise)]
        rows = rows[rows["snapshots"] == most].set_index("parameter")[column].reindex(names)
        panel.bar(np.arange(len(names)) + 0.27 * (shift - 1), rows, 0.27, color=COLOURS[shift],
                  label=label)  # fmt: skip
    panel.set_yscale("log")
    panel.set_xticks(np.arange(len(names)), [n.replace("_", "\n") for n in names], fontsize=7)
    panel.set_ylabel(f"%, at {1e6 * noise:g} µV")
    panel.legend(fontsize=7)
    return figure


def history(baseline: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Mean error of all runs after so many systems: each run's last iterate until then counts."""
    grid = np.unique(baseline["systems"])
    runs = []
    for _, part in baseline.groupby(["sample", "pair", "parameter"]):
        part = part.sort_values("systems")
        place = np.searchsorted(part["systems"], grid, side="right") - 1
        values = part["relative_error"].to_numpy()
        runs.append(np.where(place >= 0, values[np.maximum(place, 0)], np.nan))
    total = np.array(runs)
    known = np.isfinite(total).all(axis=0)
    return grid[known], total[:, known].mean(axis=0)


def references(table: pd.DataFrame, places: pd.DataFrame) -> Figure:
    """Draw the scatter of the asked parameter by reference over the scalp (Fig. 9).

    Parameters
    ----------
    table : rows of `inverse.experiment.compare_references`.
    places : electrode, x, y (m, in a plane view from above) and spongy, the fraction of
        spongy bone under the electrode.
    """
    asked = table[table["asked"]]
    figure, axes = new_figure(9.6, 3.6, 1, 3)
    values = {"spongy bone in the skull below": places.set_index("electrode")["spongy"]}
    for weighting, label in (
        ("plain", "plain least squares"),
        ("covariance", "covariance weights"),
    ):
        rows = asked[asked["weighting"] == weighting].set_index("reference")
        values[f"deviation over patterns,\n{label} (mS/m)"] = 1e3 * rows["std"]
    shared = [v.drop("average", errors="ignore") for v in list(values.values())[1:]]
    low, high = min(v.min() for v in shared), max(v.max() for v in shared)
    for panel, (title, series) in zip(axes[0], values.items(), strict=True):
        limits = (None, None) if panel is axes[0, 0] else (low, high)
        _scalp(figure, panel, places, series, title, *limits)
    return figure


def _scalp(
    figure: Figure, panel: Axes, places: pd.DataFrame, series: pd.Series, title: str,
    low: float | None, high: float | None,
) -> None:  # fmt: skip
    values = series.reindex(places["electrode"]).to_numpy()
    drawn = panel.scatter(1e3 * places["x"], 1e3 * places["y"], c=values, s=130, cmap="viridis",
                          vmin=low, vmax=high, edgecolors="0.3", linewidths=0.5)  # fmt: skip
    for one in places.itertuples():
        panel.annotate(one.electrode, (1e3 * one.x, 1e3 * one.y), fontsize=4, ha="center",
                       va="center", color="white")  # fmt: skip
    panel.set_aspect("equal")
    panel.set_title(title, fontsize=8)
    panel.set_xlabel("left - right (mm), nose up", fontsize=7)
    panel.tick_params(labelsize=6)
    figure.colorbar(drawn, ax=panel, shrink=0.8)


def _by_tissue(panel: Axes, rows: pd.DataFrame, x: str, y: str, names: list[str]) -> None:
    for colour, name in zip(COLOURS, names, strict=False):
        one = rows[rows["parameter"] == name].sort_values(x)
        panel.plot(one[x], one[y], "o-", color=colour, markersize=3, label=name.replace("_", " "))
    panel.set_yscale("log")
    panel.legend(fontsize=7, ncols=2)
