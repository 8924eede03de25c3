"""What a measurement gave: conductivities per pattern and frequency, residuals by place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from headcond.figures.style import COLOURS, new_figure
from headcond.inverse.screening import misfits

_MOST_LABELS = 64
_BARS = "± deviation that the misfit deserves"


def conductivities(
    estimates: pd.DataFrame, box: Mapping[str, tuple[float, float]], frequency: float
) -> Figure:
    """Draw the estimates of one frequency: patterns as dots, the joint one as a line.

    Parameters
    ----------
    estimates : rows of `inverse.measured.fit` with the column frequency.
    box : (least, largest) S/m by parameter, the walls.
    frequency : Hz, the one that is drawn.
    """
    names = list(dict.fromkeys(estimates["parameter"]))
    rows = estimates[estimates["frequency"] == frequency]
    figure, axes = new_figure(10.0, 6.0, 2, -(-len(names) // 2))
    for panel, name in zip(axes.flat, names, strict=False):
        part = rows[rows["parameter"] == name]
        each = part[(part["mode"] == "each") & part["converged"]]
        places = np.arange(len(each))
        inside = ~each["at_wall"].to_numpy(bool)
        values, std = each["estimate"].to_numpy(), each["scaled_std"].to_numpy()
        low, high = box[name]
        bars = np.stack([np.minimum(std, values), np.minimum(std, 10 * high)])[:, inside]
        panel.errorbar(places[inside], values[inside], bars, fmt="o", markersize=3,
                       color=COLOURS[0], elinewidth=0.6, label=f"pattern {_BARS}")  # fmt: skip
        panel.plot(places[~inside], values[~inside], "x", markersize=4, color=COLOURS[0],
                   label="pattern, at a wall")  # fmt: skip
        for one in part[part["mode"] == "joint"].itertuples():
            panel.axhline(one.estimate, color=COLOURS[1], label=f"all patterns together {_BARS}")
            if not one.at_wall:
                panel.axhspan(one.estimate - one.scaled_std, one.estimate + one.scaled_std,
                              color=COLOURS[1], alpha=0.2, linewidth=0)  # fmt: skip
        panel.set_xticks(places, _legible(each["pattern"]), rotation=90, fontsize=5)
        margin = 0.06 * (high - low)
        panel.set_ylim(low - margin, high + margin)
        for wall in (low, high):
            panel.axhline(wall, color="0.6", linestyle=":", linewidth=1, label="walls of the box")
        panel.set_title(name.replace("_", " "))
    for panel in list(axes.flat)[len(names) :]:
        panel.set_axis_off()
    for panel in axes[:, 0]:
        panel.set_ylabel("conductivity (S/m)")
    for panel in axes[-1]:
        panel.set_xlabel("pattern")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    figure.legend(unique.values(), unique.keys(), loc="outside upper center", ncols=2)
    return figure


def spectrum(table: pd.DataFrame) -> Figure:
    """Draw mean and spread over patterns, and the joint estimate, against frequency.

    Parameters
    ----------
    table : `inverse.measured.summary` of several frequencies.
    """
    names = list(dict.fromkeys(table["parameter"]))
    figure, axes = new_figure(7.4, 4.6, 2, -(-len(names) // 2), sharex=True)
    for panel, name in zip(axes.flat, names, strict=False):
        part = table[table["parameter"] == name].sort_values("frequency")
        panel.errorbar(part["frequency"], part["mean"], part["std"], fmt="o", markersize=3,
                       color=COLOURS[0], elinewidth=0.8,
                       label="mean and deviation over patterns")  # fmt: skip
        if "joint" in part:
            panel.plot(part["frequency"], part["joint"], "-", color=COLOURS[1],
                       label="all patterns together")  # fmt: skip
            wall = part[part["joint_at_wall"].astype(bool)]
            panel.plot(wall["frequency"], wall["joint"], "x", color=COLOURS[1], label="at a wall")
        panel.set_xscale("log")
        panel.set_ylim(bottom=0)
        panel.set_title(name.replace("_", " "))
    for panel in list(axes.flat)[len(names) :]:
        panel.set_axis_off()
    for panel in axes[:, 0]:
        panel.set_ylabel("conductivity (S/m)")
    for panel in axes[-1]:
        panel.set_xlabel("frequency (Hz)")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3)
    return figure


def residuals(table: pd.DataFrame, frequency: float) -> Figure:
    """Draw what the joint estimate leaves: measured against fitted, and its size by place.

    Parameters
    ----------
    table : residuals of `inverse.measured.fit` with the column frequency; V.
    frequency : Hz, the one that is drawn.
    """
    rows = table[table["frequency"] == frequency]
    patterns, electrodes = (list(dict.fromkeys(rows[key])) for key in ("pattern", "electrode"))
    wide = rows.pivot(index="pattern", columns="electrode", values="residual")
    wide = wide.loc[patterns, electrodes].to_numpy()
    mask = np.isfinite(wide)
    by_pattern, by_electrode = misfits(np.nan_to_num(wide), mask)
    limit = np.nanmax(np.abs(wide))
    factor, unit = (1e3, "mV") if limit > 1e-4 else (1e6, "µV")
    figure, axes = new_figure(7.6, 5.6, 2, 2)
    panel = axes[0, 0]
    panel.plot(1e3 * rows["fitted"], 1e3 * rows["measured"], ".", color=COLOURS[0], markersize=3)
    ends = 1e3 * np.array([rows["fitted"].min(), rows["fitted"].max()])
    panel.plot(ends, ends, "-", color="0.4", linewidth=1)
    panel.set_xlabel("fitted voltage (mV)")
    panel.set_ylabel("measured voltage (mV)")
    panel = axes[0, 1]
    limit = factor * limit
    image = panel.imshow(factor * wide, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
    figure.colorbar(image, ax=panel, label=f"measured - fitted ({unit})")
    panel.set_xlabel("electrode")
    panel.set_ylabel("pattern")
    panel.set_xticks(range(len(electrodes)), _legible(electrodes), rotation=90, fontsize=4)
    panel.set_yticks(range(len(patterns)), _legible(patterns), fontsize=4)
    for panel, labels, values in (
        (axes[1, 0], patterns, by_pattern), (axes[1, 1], electrodes, by_electrode),
    ):  # fmt: skip
        order = np.argsort(values)[::-1]
        panel.bar(np.arange(len(order)), factor * values[order], color=COLOURS[0])
        # Among many only the worst are named.
        shown = np.arange(len(order)) if len(order) <= 35 else np.arange(12)
        panel.set_xticks(shown, [labels[n] for n in order[shown]], rotation=90, fontsize=6)
        panel.set_ylabel(f"rms residual ({unit})")
    axes[1, 0].set_xlabel("pattern, worst first")
    axes[1, 1].set_xlabel("electrode, worst first")
    return figure


def _legible(labels: Sequence[str]) -> list[str]:
    """The labels, or none where there are too many to be read."""
    return list(labels) if len(labels) <= _MOST_LABELS else [""] * len(labels)
