"""Experiments 2 to 4 of ROM-pEIT, and estimates from the voltages of a wrong head."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from headcond.experiments.wrong_heads import change_name
from headcond.figures.names import MODE_NAMES, tissue_name
from headcond.figures.style import COLOURS, new_figure, shared_legend

_ERROR = "mean relative error (%)\ndotted: median Cramér-Rao bound"


def plot_errors_by_systems(
    table: pd.DataFrame, baseline: pd.DataFrame | None, noise: float
) -> Figure:
    """Draw relative errors of the outer tissues against the systems solved per pair (Fig. 5).

    Parameters
    ----------
    table : rows of `experiments.estimation.sweep`.
    baseline : rows of `experiments.estimation.baseline`, or None.
    noise : V, at which snapshots were varied.
    """
    each = table[(table["mode"] == "each") & (table["noise"] == noise)]
    outer = list(dict.fromkeys(table["parameter"].dropna()))[:3]
    figure, axes = new_figure(10.4, 3.9, 1, 3, sharey=True)
    panels = {tissue_name(name): [name] for name in (outer[0], outer[-1])}
    panels |= {"mean of the three outer tissues": outer}
    cases = (
        (COLOURS[0], "outer", "reduced model, inner tissues known"),
        (COLOURS[2], "all", "reduced model, all tissues free"),
    )
    for panel, (title, names) in zip(axes[0], panels.items(), strict=True):
        for colour, free, label in cases:
            rows = each[(each["free"] == free) & each["parameter"].isin(names)]
            if not len(rows):
                continue
            grouped = rows.groupby("snapshots")
            panel.plot(grouped["mean"].mean(), "o-", color=colour, markersize=3, label=label)
            points = {"color": colour, "markersize": 4, "label": f"{label}: largest"}
            panel.plot(grouped["largest"].max(), "x", **points)
            # With few snapshots the bound is that of a wrong model.
            line = {"linestyle": ":", "linewidth": 1, "label": f"{label}: median Cramér-Rao bound"}
            panel.axhline(grouped["bound"].mean().iloc[-1], color=colour, **line)
        if baseline is not None and baseline["kept"].any():
            kept = baseline["kept"] & baseline["parameter"].isin(names)
            line = {"color": COLOURS[1], "label": "traditional method, inner tissues known"}
            panel.plot(*mean_history(baseline[kept]), "-", **line)
        xlabel = "linear systems solved per injection pair"
        panel.set(xscale="log", yscale="log", title=title, xlabel=xlabel)
    axes[0, 0].set_ylabel("mean relative error (%)")
    shared_legend(figure, axes[0, -1], 3, fontsize=8)
    return figure


def plot_errors(table: pd.DataFrame, noise: float) -> Figure:
    """Draw errors of all tissues by snapshots, noise and mode (Figs. 6 to 8 of ROM-pEIT).

    The panel for noise is left out where noise was not varied.

    Parameters
    ----------
    table : rows of `experiments.estimation.sweep`.
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
    mode = each["mode"].iloc[0]
    bounds = last[(last["mode"] == mode) & (last["noise"] == noise)].set_index("parameter")["bound"]
    for colour, name in zip(COLOURS, names, strict=False):
        panel.axhline(bounds[name], linestyle=":", color=colour, linewidth=1)
    title = f"{MODE_NAMES[mode]}, noise {1e6 * noise:.2g} µV"
    panel.set(xlabel="snapshots per pair", title=title, ylabel=_ERROR)
    panel.legend(fontsize=7, ncols=2)
    if len(swept):
        count = swept["snapshots"].max()
        rows = each[each["snapshots"] == count]
        _by_noise(axes[0, 1], rows.assign(microvolt=1e6 * rows["noise"]), names)
        axes[0, 1].set_title(f"{MODE_NAMES[mode]}, {count} snapshots")
    heights, panel = axes.flat[-2:]
    last = last[last["noise"] == noise]
    bars = [
        (mode, column, f"{label}: {text}")
        for mode, label in MODE_NAMES.items()
        if (last["mode"] == mode).any()
        for column, text in (("mean", "mean relative error"), ("bound", "median Cramér-Rao bound"))
    ]
    if (last["mode"] == "each").any():
        bars.append(("each", "variation", "per pair: variation of estimates over pairs"))
    width = 0.8 / len(bars)
    places = np.arange(len(names))
    for n, (mode, column, label) in enumerate(bars):
        values = last[last["mode"] == mode].set_index("parameter")[column].reindex(names)
        shift = width * (n - (len(bars) - 1) / 2)
        heights.bar(places + shift, values, width, color=COLOURS[n], label=label)
    heights.set(yscale="log", ylabel=f"% of the true conductivity, noise {1e6 * noise:.2g} µV")
    low, high = heights.get_ylim()
    heights.set_ylim(low, 30 * high)  # space for the legend
    for n, (mode, label) in enumerate(MODE_NAMES.items()):
        part = last[last["mode"] == mode].set_index("parameter").reindex(names)
        if part["judged"].sum():
            points = {"color": COLOURS[n], "markersize": 4}
            points["label"] = f"{label} (bars: two standard errors)"
            ratio, error = part["rms_over_bound"], 2 * part["sampling_error"]
            panel.errorbar(places + 0.2 * (n - 0.5), ratio, error, fmt="o", **points)
    panel.axhline(1.0, color="0.5", linewidth=1)
    limits = {"ylim": (0, max(2.0, 1.3 * panel.get_ylim()[1])), "xlim": (-0.5, len(names) - 0.5)}
    panel.set(ylabel="RMS error / Cramér-Rao bound,\nestimates inside the box", **limits)
    labels = [tissue_name(name).replace(" ", "\n") for name in names]
    for panel in axes.flat[-2:]:
        panel.set_xticks(places, labels, fontsize=7)
        if panel.get_legend_handles_labels()[0]:
            panel.legend(fontsize=7, loc="upper left")
        else:
            text = "every bound exceeds a tenth of the box,\nor estimates are at its limits"
            panel.text(0.5, 0.5, text, ha="center", transform=panel.transAxes, fontsize=8)
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
    panel.set(xlabel="noise of one electrode (µV)", ylabel=_ERROR)


def mean_history(baseline: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Systems solved, and mean relative error (%) of all runs at their last iterate until then."""
    grid = np.unique(baseline["systems"])
    runs = []
    for _, part in baseline.groupby(["sample", "pair", "parameter"]):
        part = part.sort_values("systems")
        place = np.searchsorted(part["systems"], grid, side="right") - 1
        values = part["relative_error"].to_numpy()
        runs.append(np.where(place >= 0, values[np.maximum(place, 0)], np.nan))
    total = np.array(runs)
    complete = np.isfinite(total).all(axis=0)
    return grid[complete], total[:, complete].mean(axis=0)


def plot_references(table: pd.DataFrame, places: pd.DataFrame) -> Figure:
    """Draw the scatter of the skull's conductivity by reference (Fig. 9 of ROM-pEIT).

    Parameters
    ----------
    table : rows of `experiments.estimation.compare_references`.
    places : electrode, x, y, z (m, RAS) and spongy, the fraction of spongy bone under the
        electrode. Of more than 60 only those with the smallest and the largest value are named.
    """
    skull = table[table["asked"]]
    figure, axes = new_figure(9.6, 3.4, 1, 3)
    values = {"fraction of spongy bone in the skull below": places.set_index("electrode")["spongy"]}
    weights = {"plain": "least squares", "covariance": "least squares weighted by covariance"}
    for weighting, label in weights.items():
        rows = skull[skull["weighting"] == weighting].set_index("reference")
        values[f"standard deviation over patterns (mS/m),\n{label}"] = 1e3 * rows["std"]
    shared = [v.drop("average", errors="ignore") for v in list(values.values())[1:]]
    low, high = min(v.min() for v in shared), max(v.max() for v in shared)
    for panel, (title, series) in zip(axes[0], values.items(), strict=True):
        limits = (None, None) if panel is axes[0, 0] else (low, high)
        _plot_scalp(figure, panel, places, series, title, limits)
    return figure


def azimuthal(positions: np.ndarray) -> np.ndarray:
    """Project positions (L, 3), RAS, to degrees from the vertex, rightward and forward (L, 2).

    Azimuthal equidistant about the centre of their bounding box: low electrodes stay outside of
    higher ones.
    """
    arms = positions - 0.5 * (positions.min(axis=0) + positions.max(axis=0))
    angle = np.degrees(np.arccos(arms[:, 2] / np.linalg.norm(arms, axis=1)))
    away = np.hypot(arms[:, 0], arms[:, 1])
    return arms[:, :2] * (angle / np.maximum(away, 1e-12))[:, None]


def _plot_scalp(
    figure: Figure,
    panel: Axes,
    places: pd.DataFrame,
    series: pd.Series,
    title: str,
    limits: tuple[float | None, float | None],
) -> None:
    values = series.reindex(places["electrode"]).to_numpy()
    flat = azimuthal(places[["x", "y", "z"]].to_numpy())
    many = len(places) > 60
    look = {"cmap": "viridis", "edgecolors": "0.3", "linewidths": 0.4}
    size = 45 if many else 150
    drawn = panel.scatter(*flat.T, c=values, s=size, vmin=limits[0], vmax=limits[1], **look)
    shades, labels = drawn.norm(values), list(places["electrode"])
    if many:
        least, largest = int(np.nanargmin(values)), int(np.nanargmax(values))
        title += f"\nrings: smallest at {labels[least]}, largest at {labels[largest]}"
        panel.scatter(*flat[[least, largest]].T, s=90, facecolors="none", edgecolors="red")
    else:
        for place, label, shade in zip(flat, labels, shades, strict=True):
            colour = "black" if shade > 0.6 else "white"
            panel.annotate(label, place, fontsize=5, ha="center", va="center", color=colour)
    panel.set_aspect("equal")
    panel.set_title(title, fontsize=8)
    panel.set_xlabel("degrees from the vertex, to the right", fontsize=7)
    panel.set_ylabel("degrees from the vertex, to the nose", fontsize=7)
    panel.tick_params(labelsize=6)
    figure.colorbar(drawn, ax=panel, shrink=0.8)


def _by_tissue(panel: Axes, rows: pd.DataFrame, x: str, names: list[str]) -> None:
    for colour, name in zip(COLOURS, names, strict=False):
        one = rows[rows["parameter"] == name].sort_values(x)
        panel.plot(one[x], one["mean"], "o-", color=colour, markersize=3, label=tissue_name(name))
    panel.set_yscale("log")


def plot_disturbances(table: pd.DataFrame) -> Figure:
    """Draw mean relative errors by the change of the head, a panel per tissue.

    Parameters
    ----------
    table : rows of `experiments.wrong_heads.compare_disturbances`.
    """
    table = table.dropna(subset=["parameter"])
    names = list(dict.fromkeys(table["parameter"]))
    changes = list(dict.fromkeys(table["change"]))
    columns = -(-len(names) // 2)
    figure, axes = new_figure(10.5, 1.6 + 0.5 * len(changes), 2, columns, sharex=True, sharey=True)
    places = np.arange(len(changes))[::-1]
    for panel, name in zip(axes.flat, names, strict=False):
        for colour, (mode, label) in zip(COLOURS, MODE_NAMES.items(), strict=False):
            part = table[(table["parameter"] == name) & (table["mode"] == mode)]
            part = part.set_index("change").reindex(changes)
            panel.plot(part["mean"], places, "o", color=colour, markersize=5, label=label)
            mark = {"color": colour, "markersize": 9, "label": f"Cramér-Rao bound, {label}"}
            panel.plot(part["bound"], places, "|", **mark)
        panel.set(xscale="log", title=tissue_name(name))
        panel.grid(axis="x", alpha=0.3)
    for panel in list(axes.flat)[len(names) :]:
        panel.set_axis_off()
    for panel in axes[:, 0]:
        panel.set_yticks(places, [change_name(change) for change in changes], fontsize=7)
    for column in range(columns):
        lowest = axes[-1 if columns + column < len(names) else 0, column]
        lowest.set_xlabel("mean relative error (%)")
        lowest.tick_params(labelbottom=True)
    shared_legend(figure, axes[0, 0], 4, fontsize=8)
    return figure
