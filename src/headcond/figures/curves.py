"""Curves and boxes: training losses, greedy bounds, certified errors and relative errors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, ScalarFormatter

from headcond.figures.style import COLOURS, MODES, new_figure


def losses(histories: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw training and validation loss per epoch, one colour per axis (Fig. 4 of CondNet).

    Parameters
    ----------
    histories : axis -> table with the columns epoch, train_loss, validation_loss and
        train_floor (entropy of the training targets, the least that the loss can be); and
        unseen_loss where a head that training has not seen stands beside a validation by slices.
    """
    figure, axes = new_figure(6.5, 3.4)
    panel = axes[0, 0]
    for colour, (axis, table) in zip(COLOURS, histories.items(), strict=False):
        panel.plot(
            table["epoch"], table["train_loss"], "-", color=colour, label=f"{axis}, training"
        )
        panel.plot(
            table["epoch"],
            table["validation_loss"],
            "--",
            color=colour,
            label=f"{axis}, validation",
        )
        if "unseen_loss" in table and table["unseen_loss"].notna().any():
            panel.plot(
                table["epoch"], table["unseen_loss"], "-.", color=colour, label=f"{axis}, unseen"
            )
        panel.axhline(table["train_floor"].iloc[-1], color=colour, linewidth=0.6, linestyle=":")
    panel.set_xlabel("epoch")
    panel.set_ylabel("binary cross-entropy (nats per voxel)")
    panel.set_yscale("log")
    panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 4, 6, 8)))
    panel.yaxis.set_major_formatter(ScalarFormatter())
    panel.yaxis.set_minor_formatter(NullFormatter())
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    floor = Line2D([], [], linestyle=":", color="0.4", linewidth=0.8)
    handles, names = panel.get_legend_handles_labels()
    figure.legend(
        [*handles, floor], [*names, "least possible"], ncols=4, fontsize=8,
        loc="outside upper center",
    )  # fmt: skip
    return figure


def relative_errors(errors: pd.DataFrame, names: list[str], modes: list[str]) -> Figure:
    """Draw boxes of the relative error of every conductivity, one colour per estimation mode.

    Parameters
    ----------
    errors : table with the columns mode, parameter and relative_error_percent.
    """
    figure, axes = new_figure(7.0, 3.4)
    panel = axes[0, 0]
    width = 0.8 / len(modes)
    for shift, (colour, mode) in enumerate(zip(COLOURS, modes, strict=False)):
        rows = errors[errors["mode"] == mode]
        boxes = [
            rows.loc[rows["parameter"] == name, "relative_error_percent"].dropna().clip(lower=1e-4)
            for name in names
        ]
        drawn = panel.boxplot(
            boxes,
            positions=np.arange(len(names)) + (shift - (len(modes) - 1) / 2) * width,
            widths=0.85 * width,
            patch_artist=True,
            whis=(5, 95),
            manage_ticks=False,
            flierprops={"markersize": 2, "markeredgecolor": colour},
            medianprops={"color": "black"},
        )
        for box in drawn["boxes"]:
            box.set_facecolor(colour)
            box.set_alpha(0.6)
        panel.plot([], [], "s", color=colour, alpha=0.6, label=MODES[mode])
    panel.set_xticks(range(len(names)), [name.replace("_", " ") for name in names])
    panel.set_yscale("log")
    panel.set_ylabel(
        "relative error (%), below 1e-4 as 1e-4\nboxes: quartiles; whiskers: 5 to 95 %"
    )
    panel.legend(title="estimates")
    return figure


def greedy(table: pd.DataFrame) -> Figure:
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
    panel.set_yscale("log")
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    panel.set_xlabel("snapshots")
    panel.set_ylabel("largest certified relative error\n(energy norm)")
    panel.legend()
    return figure


def bound_and_error(table: pd.DataFrame) -> Figure:
    """Draw the certified bound against the true error; no point may lie below the diagonal.

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
    panel.set_xlim(low, high)
    panel.set_ylim(low, high)
    # Numbers between powers of ten, written across, would run into each other.
    panel.tick_params(axis="x", which="both", rotation=45)
    panel.set_xlabel("true error, energy norm (W$^{1/2}$)")
    panel.set_ylabel("certified bound (W$^{1/2}$)")
    panel.legend(loc="upper left")
    return figure
