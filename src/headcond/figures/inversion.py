"""Experiments 2 to 4: errors against systems and noise, scatter over the scalp by reference."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from headcond.experiments.wrong_heads import CHANGES
from headcond.figures.style import COLOURS, MODES, new_figure

_ERROR = "mean relative error (%)\ndotted: median Cramér-Rao bound"


def systems(table: pd.DataFrame, baseline: pd.DataFrame | None, noise: float) -> Figure:
    """Draw relative errors of the outer tissues against the systems solved per pair (Fig. 5).

    Parameters
    ----------
    table : rows of `inverse.experiment.sweep`.
    baseline : rows of `inverse.experiment.baseline`, or None.
    noise : V, at which snapshots were varied.
    """
    each = table[(table["mode"] == "each") & (table["noise"] == noise)]
    outer = list(dict.fromkeys(table["parameter"].dropna()))[:3]
    figure, axes = new_figure(10.4, 3.9, 1, 3, sharey=True)
    panels = {_spaced(outer[0]): outer[:1], _spaced(outer[-1]): outer[-1:],
              "the outer three together": outer}  # fmt: skip
    for panel, (title, names) in zip(axes[0], panels.items(), strict=True):
        for colour, free, label in ((COLOURS[0], "outer", "reduced, inner tissues known"),
                                    (COLOURS[2], "all", "reduced, all tissues free")):  # fmt: skip
            rows = each[(each["free"] == free) & each["parameter"].isin(names)]
            if not len(rows):
                continue
            grouped = rows.groupby("snapshots")
            panel.plot(grouped["mean"].mean(), "o-", color=colour, markersize=3, label=label)
            panel.plot(grouped["largest"].max(), "x", color=colour, markersize=4,
                       label=f"{label}: largest")  # fmt: skip
            # With few snapshots the bound is that of a wrong model.
            panel.axhline(grouped["bound"].mean().iloc[-1], linestyle=":", color=colour,
                          linewidth=1, label=f"{label}: median bound")  # fmt: skip
        if baseline is not None and baseline["kept"].any():
            kept = baseline["kept"] & baseline["parameter"].isin(names)
            panel.plot(*history(baseline[kept]), "-", color=COLOURS[1],
                       label="traditional, inner tissues known")  # fmt: skip
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.set_title(title)
        panel.set_xlabel("linear systems solved per pair")
    axes[0, 0].set_ylabel("relative error (%), mean over pairs and samples")
    handles, labels = axes[0, -1].get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    figure.legend(unique.values(), unique.keys(), loc="outside upper center", ncols=3, fontsize=8)
    return figure


def errors(table: pd.DataFrame, noise: float) -> Figure:
    """Draw errors of all tissues against snapshots and noise (Figs. 6 to 8), and by bound and mode.

    Where noise was not varied there is no panel of it.

    Parameters
    ----------
    table : rows of `inverse.experiment.sweep`.
    noise : V, at which snapshots were varied.
    """
    table = table[table["free"] == "all"].dropna(subset=["parameter"])
    names = list(dict.fromkeys(table["parameter"]))
    each = table[table["mode"] == table["mode"].iloc[0]]
    last = table[table["snapshots"] == each["snapshots"].max()]
    swept = each[each["noise"] != noise]
    figure, axes = new_figure(8.6, 7.2, 2, 2) if len(swept) else new_figure(12.0, 3.8, 1, 3)
    panel = axes[0, 0]
    _by_tissue(panel, each[each["noise"] == noise], "snapshots", names)
    for colour, name in zip(COLOURS, names, strict=False):
        one = last[(last["mode"] == each["mode"].iloc[0]) & (last["noise"] == noise)]
        panel.axhline(one.set_index("parameter")["bound"][name], linestyle=":", color=colour,
                      linewidth=1)  # fmt: skip
    panel.set_xlabel("snapshots")
    panel.set_title(f"{MODES[each['mode'].iloc[0]]}, noise {1e6 * noise:.2g} µV")
    panel.set_ylabel(_ERROR)
    if len(swept):
        count = swept["snapshots"].max()
        rows = each[each["snapshots"] == count]
        _by_noise(axes[0, 1], rows.assign(microvolt=1e6 * rows["noise"]), names)
        axes[0, 1].set_title(f"{MODES[each['mode'].iloc[0]]}, {count} snapshots")
    heights, panel = axes.flat[-2:]
    last = last[last["noise"] == noise]
    bars = [(mode, column, f"{label}: {text}") for mode, label in MODES.items()
            if (last["mode"] == mode).any()
            for column, text in (("mean", "mean error"), ("bound", "median bound"))]  # fmt: skip
    if (last["mode"] == "each").any():
        bars.append(("each", "variation", "per pair: variation over pairs"))
    width = 0.8 / len(bars)
    places = np.arange(len(names))
    for n, (mode, column, label) in enumerate(bars):
        values = last[last["mode"] == mode].set_index("parameter")[column].reindex(names)
        heights.bar(places + width * (n - (len(bars) - 1) / 2), values, width,
                    color=COLOURS[n], label=label)  # fmt: skip
    heights.set_yscale("log")
    heights.set_ylabel(f"%, at {1e6 * noise:.2g} µV")
    low, high = heights.get_ylim()
    heights.set_ylim(low, 30 * high)  # room for the legend
    for n, (mode, label) in enumerate(MODES.items()):
        part = last[last["mode"] == mode].set_index("parameter").reindex(names)
        if part["judged"].sum():
            panel.errorbar(places + 0.2 * (n - 0.5), part["rms_over_bound"],
                           2 * part["sampling_error"], fmt="o", color=COLOURS[n], markersize=4,
                           label=f"{label} (bar: two sampling errors)")  # fmt: skip
    panel.axhline(1.0, color="0.5", linewidth=1)
    panel.set_ylim(0, max(2.0, 1.3 * panel.get_ylim()[1]))
    panel.set_xlim(-0.5, len(names) - 0.5)
    panel.set_ylabel("RMS error / Cramér-Rao bound,\nwhere no wall is active")
    for panel in axes.flat[-2:]:
        panel.set_xticks(places, [name.replace("_", "\n") for name in names], fontsize=7)
        if panel.get_legend_handles_labels()[0]:
            panel.legend(fontsize=7, loc="upper left")
        else:
            panel.text(0.5, 0.5, "every bound exceeds a tenth of the box,\nor a wall is active",
                       ha="center", transform=panel.transAxes, fontsize=8)  # fmt: skip
    return figure


def _by_noise(panel: Axes, rows: pd.DataFrame, names: list[str]) -> None:
    _by_tissue(panel, rows, "microvolt", names)
    for colour, name in zip(COLOURS, names, strict=False):
        one = rows[rows["parameter"] == name].sort_values("microvolt")
        panel.plot(one["microvolt"], one["bound"], ":", color=colour, linewidth=1)
    panel.set_xscale("log")
    ticks = sorted(rows["microvolt"].unique())
    panel.set_xticks(ticks, [f"{tick:.2g}" for tick in ticks])
    panel.minorticks_off()
    panel.set_xlabel("noise of one electrode (µV)")
    panel.set_ylabel(_ERROR)


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
    places : electrode, x, y, z (m, RAS) and spongy, the fraction of spongy bone under the
        electrode. They are drawn by their angle from the vertex, as seen from the head's middle;
        of more than 60 only the two with the least and the largest value are named.
    """
    asked = table[table["asked"]]
    figure, axes = new_figure(9.6, 3.4, 1, 3)
    values = {"share of spongy bone in the skull below": places.set_index("electrode")["spongy"]}
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


def flattened(positions: np.ndarray) -> np.ndarray:
    """Positions (L, 3) on the scalp, RAS, as degrees from the vertex to the right and the front.

    Azimuthal equidistant about the middle of their bounding box, so that low electrodes do not
    hide below higher ones. Returns (L, 2).
    """
    arms = positions - 0.5 * (positions.min(axis=0) + positions.max(axis=0))
    angle = np.degrees(np.arccos(arms[:, 2] / np.linalg.norm(arms, axis=1)))
    away = np.hypot(arms[:, 0], arms[:, 1])
    return arms[:, :2] * (angle / np.maximum(away, 1e-12))[:, None]


def _scalp(
    figure: Figure, panel: Axes, places: pd.DataFrame, series: pd.Series, title: str,
    low: float | None, high: float | None,
) -> None:  # fmt: skip
    values = series.reindex(places["electrode"]).to_numpy()
    flat = flattened(places[["x", "y", "z"]].to_numpy())
    many = len(places) > 60
    drawn = panel.scatter(*flat.T, c=values, s=45 if many else 150, cmap="viridis", vmin=low,
                          vmax=high, edgecolors="0.3", linewidths=0.4)  # fmt: skip
    shades, labels = drawn.norm(values), list(places["electrode"])
    if many:
        least, largest = int(np.nanargmin(values)), int(np.nanargmax(values))
        title += f"\nrings: least at {labels[least]}, largest at {labels[largest]}"
        panel.scatter(*flat[[least, largest]].T, s=90, facecolors="none", edgecolors="red")
    else:
        for place, label, shade in zip(flat, labels, shades, strict=True):
            panel.annotate(label, place, fontsize=5, ha="center", va="center",
                           color="black" if shade > 0.6 else "white")  # fmt: skip
    panel.set_aspect("equal")
    panel.set_title(title, fontsize=8)
    panel.set_xlabel("degrees from the vertex, right ->", fontsize=7)
    panel.set_ylabel("nose up", fontsize=7)
    panel.tick_params(labelsize=6)
    figure.colorbar(drawn, ax=panel, shrink=0.8)


def _by_tissue(panel: Axes, rows: pd.DataFrame, x: str, names: list[str]) -> None:
    for colour, name in zip(COLOURS, names, strict=False):
        one = rows[rows["parameter"] == name].sort_values(x)
        panel.plot(one[x], one["mean"], "o-", color=colour, markersize=3, label=_spaced(name))
    panel.set_yscale("log")
    panel.legend(fontsize=7, ncols=2)


def _spaced(name: str) -> str:
    return name.replace("_", " ")


def told(change: str) -> str:
    """A change of `inverse.disturbance` in words."""
    return CHANGES.get(change) or f"{change.removeprefix('fewer')} electrodes, same mesh"


def costs(table: pd.DataFrame) -> Figure:
    """Draw mean relative errors by what is wrong, a panel per tissue.

    Parameters
    ----------
    table : rows of `inverse.disturbance.compare_disturbances`.
    """
    table = table.dropna(subset=["parameter"])
    names = list(dict.fromkeys(table["parameter"]))
    changes = list(dict.fromkeys(table["change"]))
    columns = -(-len(names) // 2)
    figure, axes = new_figure(10.5, 1.6 + 0.5 * len(changes), 2, columns, sharex=True, sharey=True)
    places = np.arange(len(changes))[::-1]
    for panel, name in zip(axes.flat, names, strict=False):
        for colour, (mode, label) in zip(COLOURS, MODES.items(), strict=False):
            part = table[(table["parameter"] == name) & (table["mode"] == mode)]
            part = part.set_index("change").reindex(changes)
            panel.plot(part["mean"], places, "o", color=colour, markersize=5, label=label)
            panel.plot(part["bound"], places, "|", color=colour, markersize=9,
                       label=f"Cramér-Rao bound, {label}")  # fmt: skip
        panel.set_xscale("log")
        panel.set_title(name.replace("_", " "))
        panel.grid(axis="x", alpha=0.3)
    for panel in list(axes.flat)[len(names) :]:
        panel.set_axis_off()
    for panel in axes[:, 0]:
        panel.set_yticks(places, [told(change) for change in changes], fontsize=7)
    for column in range(columns):
        lowest = axes[-1 if columns + column < len(names) else 0, column]
        lowest.set_xlabel("mean relative error (%)")
        lowest.tick_params(labelbottom=True)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, fontsize=8)
    return figure
