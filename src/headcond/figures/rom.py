"""Certified bounds and true errors of reduced models, and Experiment 1 of ROM-pEIT."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from headcond.figures.style import COLOURS, new_figure

_NORMS = {"energy": "energy norm", "euclidean": "Euclidean norm (the paper's)"}


def plot_greedy(table: pd.DataFrame) -> Figure:
    """Draw the largest relative bound over the training set against snapshots, a line per pair.

    Parameters
    ----------
    table : columns pair, snapshots and relative_bound.
    """
    figure, axes = new_figure(5.6, 3.4)
    panel = axes[0, 0]
    for _, rows in table.groupby("pair"):
        panel.plot(rows["snapshots"], rows["relative_bound"], "-", color=COLOURS[0], alpha=0.4)
    mean = table.groupby("snapshots")["relative_bound"].mean()
    panel.plot(mean.index, mean, "o-", color=COLOURS[1], markersize=3, label="mean over pairs")
    panel.plot([], [], "-", color=COLOURS[0], alpha=0.4, label="one pair")
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    ylabel = "largest relative bound of the training set\n(energy norm)"
    panel.set(yscale="log", xlabel="snapshots", ylabel=ylabel)
    panel.legend()
    return figure


def plot_bound_and_error(table: pd.DataFrame) -> Figure:
    """Draw the certified bound against the true error; no point may be below the diagonal.

    Parameters
    ----------
    table : columns error and bound, both in the energy norm.
    """
    figure, axes = new_figure(4.4, 4.0)
    panel = axes[0, 0]
    shown = table[table["error"] > 0]
    panel.loglog(shown["error"], shown["bound"], ".", color=COLOURS[0], markersize=4, alpha=0.6)
    low = min(shown["error"].min(), shown["bound"].min()) / 2
    high = max(shown["error"].max(), shown["bound"].max()) * 2
    panel.plot([low, high], [low, high], "-", color="0.4", linewidth=1, label="bound = error")
    panel.set(xlim=(low, high), ylim=(low, high), ylabel="certified bound (W$^{1/2}$)")
    panel.set_xlabel("true error, energy norm (W$^{1/2}$)")
    # Horizontal numbers between powers of ten would overlap.
    panel.tick_params(axis="x", which="both", rotation=45)
    panel.legend(loc="upper left")
    return figure


def plot_convergence(table: pd.DataFrame) -> Figure:
    """Draw mean and largest relative bound and error, effectivity and orthogonality, per norm.

    Parameters
    ----------
    table : `experiments.convergence.summary`.
    """
    norms = [name for name in _NORMS if name in set(table["norm"])]
    figure, axes = new_figure(4.2 * len(norms), 8.4, 3, len(norms))
    for column, norm in enumerate(norms):
        part = table[table["norm"] == norm].sort_values("snapshots")
        count = part["snapshots"]
        top, middle, bottom = axes[:, column]
        curves = {"relative_bound": (COLOURS[0], "bound"), "relative_error": (COLOURS[1], "error")}
        for name, (colour, label) in curves.items():
            largest = {"color": colour, "markersize": 3, "label": f"{label}, largest"}
            top.semilogy(count, part[f"{name}_max"], "o-", **largest)
            top.semilogy(count, part[f"{name}_mean"], "--", color=colour, label=f"{label}, mean")
        top.set(title=_NORMS[norm], ylabel="relative bound and true error\nin this norm")
        top.legend()
        names = {"max": "largest", "mean": "mean", "min": "smallest"}
        for colour, (name, label) in zip(COLOURS, names.items(), strict=False):
            points = {"color": colour, "markersize": 3, "label": label}
            middle.plot(count, part[f"effectivity_{name}"], "o-", **points)
        middle.axhline(1, color="0.4", linewidth=1)
        middle.set_yscale("log")
        middle.set_ylim(top=2.5 * part["effectivity_max"].max())  # space for the legend
        for which in ("major", "minor"):
            getattr(middle.yaxis, f"set_{which}_formatter")("{x:g}")
        middle.set_ylabel("effectivity, bound / error")
        middle.legend(ncols=3, loc="upper center")
        lost = part["orthogonality_max"].clip(lower=1e-17)
        bottom.semilogy(count, lost, "o-", color=COLOURS[0], markersize=3)
        method = "repeated" if norm == "energy" else "classical"
        ylabel = f"largest |V'XV - I|,\n{method} Gram-Schmidt"
        bottom.set(ylabel=ylabel, xlabel="snapshots")
        for panel in axes[:, column]:
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    low = min(panel.get_ylim()[0] for panel in axes[2])
    high = max(panel.get_ylim()[1] for panel in axes[2])
    for panel in axes[2]:
        panel.set_ylim(low, high)
    return figure


def plot_error_measures(table: pd.DataFrame, noise: float) -> Figure:
    """Draw true errors in the norm of the training, in the head's energy and in readings.

    Parameters
    ----------
    table : `experiments.convergence.summary`.
    noise : standard deviation at one electrode, V.
    """
    figure, axes = new_figure(10.5, 3.4, 1, 3)
    measures = (
        ("relative_error", 1.0, "relative error, norm of the training"),
        ("relative_head_error", 1.0, "relative error, energy in the head"),
        ("passive_error", 1e6, "error at passive electrodes (µV)"),
    )
    for panel, (name, factor, label) in zip(axes[0], measures, strict=True):
        for colour, (norm, text) in zip(COLOURS, _NORMS.items(), strict=False):
            part = table[table["norm"] == norm].sort_values("snapshots")
            if part.empty:
                continue
            largest, mean = (factor * part[f"{name}_{kind}"] for kind in ("max", "mean"))
            points = {"color": colour, "markersize": 3, "label": f"{text}, largest"}
            panel.semilogy(part["snapshots"], largest, "o-", **points)
            panel.semilogy(part["snapshots"], mean, "--", color=colour, label=f"{text}, mean")
        if name == "passive_error":
            panel.axhline(1e6 * noise, color="0.4", linewidth=1)
            place = {"xycoords": ("axes fraction", "data"), "ha": "right", "va": "bottom"}
            panel.annotate("noise of one electrode", (0.98, 1e6 * noise), color="0.4", **place)
        panel.set(xlabel="snapshots", ylabel=label)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[0, 0].legend(fontsize=7)
    return figure


def plot_stopping(errors: pd.DataFrame, histories: pd.DataFrame, noise: float) -> Figure:
    """Draw bounds at the training points and errors at the test points (Fig. 4 of ROM-pEIT).

    Mean and largest over all pairs; below, the error of the potential at a passive electrode,
    divided by the noise. The dotted line is the number of snapshots after which the largest
    error stays below a tenth of the noise.

    Parameters
    ----------
    errors : rows of `rom.validation.compare` with the column norm.
    histories : rows of `experiments.convergence.history_table`.
    noise : standard deviation at one electrode, V.
    """
    norms = [name for name in _NORMS if name in set(errors["norm"])]
    figure, axes = new_figure(4.2 * len(norms), 6.0, 2, len(norms))
    for column, norm in enumerate(norms):
        top, bottom = axes[:, column]
        steps = histories[histories["norm"] == norm].groupby("snapshots")
        part = errors[errors["norm"] == norm].groupby("snapshots")
        top.semilogy(steps["maximum"].max(), "-", color=COLOURS[0], label="bound, largest")
        top.semilogy(steps["mean"].mean(), "--", color=COLOURS[0], label="bound, mean")
        error, points = part["relative_error"], {"color": COLOURS[1], "markersize": 3}
        top.semilogy(error.max(), "o-", label="error, largest", **points)
        top.semilogy(error.mean(), "o--", label="error, mean", **points)
        ylabel = "relative bound at training points,\nrelative error at test points"
        top.set(title=_NORMS[norm], ylabel=ylabel)
        top.legend(fontsize=7)
        largest = part["passive_error"].max() / noise
        mean, points = part["passive_error"].mean() / noise, {"color": COLOURS[2], "markersize": 3}
        bottom.semilogy(largest, "o-", label="largest", **points)
        bottom.semilogy(mean, "o--", label="mean", **points)
        bottom.axhline(0.1, color="0.4", linewidth=1, label="a tenth of the noise")
        reached = largest.index[np.minimum.accumulate((largest <= 0.1).to_numpy()[::-1])[::-1]]
        if len(reached):
            line = {"color": "0.4", "linewidth": 1, "linestyle": ":"}
            bottom.axvline(reached[0], label=f"{reached[0]} snapshots", **line)
        ylabel = "error at passive electrodes\n/ noise of one electrode"
        bottom.set(ylabel=ylabel, xlabel="snapshots")
        bottom.legend(fontsize=7)
        for panel in axes[:, column]:
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure
