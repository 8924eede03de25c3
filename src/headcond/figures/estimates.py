"""Conductivities estimated from voltages: errors, patterns, frequencies and residuals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from headcond.figures.names import MODE_NAMES, tissue_name
from headcond.figures.style import COLOURS, draw_boxes, new_figure, shared_legend
from headcond.inverse.screening import misfits

_MOST_LABELS = 64
_BARS = "± standard deviation, scaled to the misfit"


def plot_relative_errors(errors: pd.DataFrame, names: list[str], modes: list[str]) -> Figure:
    """Draw boxes of the relative error of every conductivity, one colour per estimation mode.

    Parameters
    ----------
    errors : table with the columns mode, parameter and relative_error_percent.
    """
    figure, axes = new_figure(7.0, 3.4)
    panel = axes[0, 0]
    for series, mode in enumerate(modes):
        rows = errors[errors["mode"] == mode]
        values = [
            rows.loc[rows["parameter"] == name, "relative_error_percent"].dropna().clip(lower=1e-4)
            for name in names
        ]
        draw_boxes(panel, values, series, len(modes), MODE_NAMES[mode])
    panel.set_xticks(range(len(names)), [tissue_name(name) for name in names])
    panel.set(yscale="log", ylabel="relative error (%)")
    panel.legend(title="estimates")
    return figure


def plot_conductivities(
    estimates: pd.DataFrame, box: Mapping[str, tuple[float, float]], frequency: float
) -> Figure:
    """Draw the estimates at one frequency: single patterns as dots, the joint one as a line.

    Parameters
    ----------
    estimates : rows of `inverse.fit.fit` with the column frequency.
    box : (lower, upper) limit of every parameter, S/m.
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
        points = {"color": COLOURS[0], "label": f"one pattern {_BARS}", "elinewidth": 0.6}
        panel.errorbar(places[inside], values[inside], bars, fmt="o", markersize=3, **points)
        points = {"color": COLOURS[0], "label": "one pattern, at a limit of the parameter box"}
        panel.plot(places[~inside], values[~inside], "x", markersize=4, **points)
        for one in part[part["mode"] == "joint"].itertuples():
            panel.axhline(one.estimate, color=COLOURS[1], label=f"all patterns together {_BARS}")
            if not one.at_wall:
                span = one.estimate - one.scaled_std, one.estimate + one.scaled_std
                panel.axhspan(*span, color=COLOURS[1], alpha=0.2, linewidth=0)
        panel.set_xticks(places, _legible(each["pattern"]), rotation=90, fontsize=5)
        margin = 0.06 * (high - low)
        panel.set_ylim(low - margin, high + margin)
        line = {"color": "0.6", "linestyle": ":", "linewidth": 1}
        for end in (low, high):
            panel.axhline(end, label="limits of the parameter box", **line)
        panel.set_title(tissue_name(name))
    _finish(figure, axes, len(names), "injection pattern", 2)
    return figure


def plot_spectrum(table: pd.DataFrame) -> Figure:
    """Draw mean and spread over patterns, and the joint estimate, against frequency.

    Parameters
    ----------
    table : `inverse.fit.summary` of several frequencies.
    """
    names = list(dict.fromkeys(table["parameter"]))
    figure, axes = new_figure(7.4, 4.6, 2, -(-len(names) // 2), sharex=True)
    for panel, name in zip(axes.flat, names, strict=False):
        part = table[table["parameter"] == name].sort_values("frequency")
        label = "mean ± standard deviation over patterns"
        points = {"color": COLOURS[0], "markersize": 3, "elinewidth": 0.8, "label": label}
        panel.errorbar(part["frequency"], part["mean"], part["std"], fmt="o", **points)
        if "joint" in part:
            line = {"color": COLOURS[1], "label": "all patterns together"}
            panel.plot(part["frequency"], part["joint"], "-", **line)
            ends = part[part["joint_at_wall"].astype(bool)]
            line["label"] = "all patterns, at a limit of the parameter box"
            panel.plot(ends["frequency"], ends["joint"], "x", **line)
        panel.set(xscale="log", title=tissue_name(name))
        panel.set_ylim(bottom=0)
    _finish(figure, axes, len(names), "frequency (Hz)", 2)
    return figure


def plot_residuals(table: pd.DataFrame, frequency: float) -> Figure:
    """Draw the residuals of the joint estimate: measured against fitted, by pattern and electrode.

    Parameters
    ----------
    table : residuals of `inverse.fit.fit` with the column frequency; V.
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
    panel.set(xlabel="fitted voltage (mV)", ylabel="measured voltage (mV)")
    panel = axes[0, 1]
    limit = factor * limit
    image = panel.imshow(factor * wide, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
    figure.colorbar(image, ax=panel, label=f"measured - fitted voltage ({unit})")
    panel.set(xlabel="electrode", ylabel="injection pattern")
    panel.set_xticks(range(len(electrodes)), _legible(electrodes), rotation=90, fontsize=4)
    panel.set_yticks(range(len(patterns)), _legible(patterns), fontsize=4)
    sizes = ((axes[1, 0], patterns, by_pattern), (axes[1, 1], electrodes, by_electrode))
    for panel, labels, values in sizes:
        order = np.argsort(values)[::-1]
        panel.bar(np.arange(len(order)), factor * values[order], color=COLOURS[0])
        # Of many only the largest are named.
        shown = np.arange(len(order)) if len(order) <= 35 else np.arange(12)
        panel.set_xticks(shown, [labels[n] for n in order[shown]], rotation=90, fontsize=6)
        panel.set_ylabel(f"RMS residual ({unit})")
    axes[1, 0].set_xlabel("injection pattern, largest first")
    axes[1, 1].set_xlabel("electrode, largest first")
    return figure


def _finish(figure: Figure, axes: np.ndarray, count: int, xlabel: str, columns: int) -> None:
    """Label a grid of conductivity panels, hide those after `count`, draw the shared legend."""
    for panel in list(axes.flat)[count:]:
        panel.set_axis_off()
    for panel in axes[:, 0]:
        panel.set_ylabel("conductivity (S/m)")
    for panel in axes[-1]:
        panel.set_xlabel(xlabel)
    shared_legend(figure, axes[0, 0], columns)


def _legible(labels: Sequence[str]) -> list[str]:
    """The labels, or empty ones where there are too many to read."""
    return list(labels) if len(labels) <= _MOST_LABELS else [""] * len(labels)
