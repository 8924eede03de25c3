"""What a wrong head costs: errors of estimates by what is wrong."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from headcond.figures.style import COLOURS, MODES, new_figure
from headcond.inverse.disturbance import CHANGES


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
