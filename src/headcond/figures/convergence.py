"""Figures of Experiment 1: bounds, errors and orthogonality against snapshots."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from headcond.figures.style import COLOURS, new_figure

_LABELS = {"energy": "energy norm", "euclidean": "Euclidean norm, as the paper"}


def bounds_and_errors(table: pd.DataFrame) -> Figure:
    """Draw mean and largest relative bound and error, effectivity and orthogonality, per norm.

    Parameters
    ----------
    table : `rom.experiment.summary`.
    """
    norms = [name for name in _LABELS if name in set(table["norm"])]
    figure, axes = new_figure(4.2 * len(norms), 8.4, 3, len(norms))
    for column, norm in enumerate(norms):
        part = table[table["norm"] == norm].sort_values("snapshots")
        count = part["snapshots"]
        top, middle, bottom = axes[:, column]
        for colour, name, label in ((COLOURS[0], "relative_bound", "bound"),
                                    (COLOURS[1], "relative_error", "true error")):  # fmt: skip
            top.semilogy(count, part[f"{name}_max"], "o-", color=colour, markersize=3,
                         label=f"{label}, largest")  # fmt: skip
            top.semilogy(count, part[f"{name}_mean"], "--", color=colour, label=f"{label}, mean")
        top.set_title(_LABELS[norm])
        top.set_ylabel("relative error, this norm")
        top.legend()
        for colour, name in zip(COLOURS, ("max", "mean", "min"), strict=False):
            middle.plot(count, part[f"effectivity_{name}"], "o-", color=colour, markersize=3,
                        label={"max": "largest", "mean": "mean", "min": "least"}[name])  # fmt: skip
        middle.axhline(1, color="0.4", linewidth=1)
        middle.set_yscale("log")
        middle.set_ylim(top=2.5 * part["effectivity_max"].max())  # room for the legend
        middle.set_ylabel("effectivity, bound / error")
        middle.legend(ncols=3, loc="upper center")
        bottom.semilogy(count, part["orthogonality_max"].clip(lower=1e-17), "o-",
                        color=COLOURS[0], markersize=3)  # fmt: skip
        way = "repeated" if norm == "energy" else "classical"
        bottom.set_ylabel(f"largest |V'MV - I|,\n{way} Gram-Schmidt")
        bottom.set_xlabel("snapshots")
        for panel in axes[:, column]:
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    low = min(panel.get_ylim()[0] for panel in axes[2])
    high = max(panel.get_ylim()[1] for panel in axes[2])
    for panel in axes[2]:
        panel.set_ylim(low, high)
    return figure


def error_measures(table: pd.DataFrame, noise: float) -> Figure:
    """Draw the same true errors three ways: whole energy, head part, passive voltages.

    Parameters
    ----------
    table : `rom.experiment.summary`.
    noise : standard deviation at one electrode, V.
    """
    figure, axes = new_figure(10.5, 3.4, 1, 3)
    measures = (("relative_error", 1.0, "relative error, own norm"),
                ("relative_head_error", 1.0, "relative error, energy in the head"),
                ("passive_error", 1e6, "error of passive potentials (uV)"))  # fmt: skip
    for panel, (name, factor, label) in zip(axes[0], measures, strict=True):
        for colour, (norm, text) in zip(COLOURS, _LABELS.items(), strict=False):
            part = table[table["norm"] == norm].sort_values("snapshots")
            if part.empty:
                continue
            panel.semilogy(part["snapshots"], factor * part[f"{name}_max"], "o-", color=colour,
                           markersize=3, label=f"{text}, largest")  # fmt: skip
            panel.semilogy(part["snapshots"], factor * part[f"{name}_mean"], "--", color=colour,
                           label=f"{text}, mean")  # fmt: skip
        if name == "passive_error":
            panel.axhline(1e6 * noise, color="0.4", linewidth=1)
            panel.annotate("noise", (0.98, 1e6 * noise), xycoords=("axes fraction", "data"),
                           ha="right", va="bottom", color="0.4")  # fmt: skip
        panel.set_xlabel("snapshots")
        panel.set_ylabel(label)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[0, 0].legend(fontsize=7)
    return figure


def stopping(errors: pd.DataFrame, histories: pd.DataFrame, noise: float) -> Figure:
    """Draw Fig. 4 of the paper: bound over the sample and error at the points, with the noise.

    Mean and largest, over all pairs, of the bound over the training sample and of the
    relative error at the test points; below, a passive potential's error over the noise.

    Parameters
    ----------
    errors : rows of `rom.validation.compare` with the column norm.
    histories : rows of `rom.experiment.history_table`.
    noise : standard deviation at one electrode, V.
    """
    norms = [name for name in _LABELS if name in set(errors["norm"])]
    figure, axes = new_figure(4.2 * len(norms), 6.0, 2, len(norms))
    for column, norm in enumerate(norms):
        top, bottom = axes[:, column]
        steps = histories[histories["norm"] == norm].groupby("snapshots")
        part = errors[errors["norm"] == norm].groupby("snapshots")
        top.semilogy(steps["maximum"].max(), "-", color=COLOURS[0], label="bound, largest")
        top.semilogy(steps["mean"].mean(), "--", color=COLOURS[0], label="bound, mean")
        top.semilogy(part["relative_error"].max(), "o-", color=COLOURS[1], markersize=3,
                     label="error, largest")  # fmt: skip
        top.semilogy(part["relative_error"].mean(), "o--", color=COLOURS[1], markersize=3,
                     label="error, mean")  # fmt: skip
        top.set_title(_LABELS[norm])
        top.set_ylabel("relative bound over the sample,\nrelative error at the test points")
        top.legend(fontsize=7)
        worst = part["passive_error"].max() / noise
        bottom.semilogy(worst, "o-", color=COLOURS[2], markersize=3, label="largest")
        bottom.semilogy(part["passive_error"].mean() / noise, "o--", color=COLOURS[2],
                        markersize=3, label="mean")  # fmt: skip
        bottom.axhline(0.1, color="0.4", linewidth=1, label="a tenth of the noise")
        reached = worst.index[np.minimum.accumulate((worst <= 0.1).to_numpy()[::-1])[::-1]]
        if len(reached):
            bottom.axvline(reached[0], color="0.4", linewidth=1, linestyle=":")
        bottom.set_ylabel("error of passive potentials\nover the noise")
        bottom.set_xlabel("snapshots")
        bottom.legend(fontsize=7)
        for panel in axes[:, column]:
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure
