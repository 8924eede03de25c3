"""Sizes, colours, legends and boxes that the figures share, and how figures are saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from headcond.figures.names import tissue_name
from headcond.files.results import atomic, write_sidecar

# Colour-blind safe (Okabe and Ito), one per series in the order of use.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000")

# Tissues keep their colour in every figure.
TISSUE_COLOURS = {
    "skin": "#E8B796",
    "fat": "#F2DE8A",
    "muscle": "#B5504A",
    "bone_cortical": "#F5F1E6",
    "bone_cancellous": "#D9C9A3",
    "dura": "#8C6BB1",
    "csf": "#56B4E9",
    "gm": "#8F8F8F",
    "wm": "#D6D6D6",
    "cerebellum": "#A98E7C",
    "vitreous_humour": "#1F78B4",
    "blood": "#C4001A",
    "mucous": "#EE9CB5",
    "scalp": "#E8B796",
    "compact_bone": "#F5F1E6",
    "spongy_bone": "#D9B36C",
}

_SETTINGS = {
    "figure.dpi": 110,
    "savefig.dpi": 130,
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}
plt.rcParams.update(_SETTINGS)  # titles, legends and colour bars are made later than the axes


def new_figure(
    width: float, height: float, rows: int = 1, columns: int = 1, **options: object
) -> tuple[Figure, np.ndarray]:
    """Return a figure of `width` x `height` inches and its axes (rows, columns)."""
    return plt.subplots(
        rows, columns, figsize=(width, height), squeeze=False, layout="constrained", **options
    )


def save(
    figure: Figure, path: str | Path, note: str = "", provenance: Mapping[str, Any] | None = None
) -> None:
    """Write `figure` as PNG with its JSON sidecar, atomically, and close it.

    `note` states in the figure itself what is not a measurement of a person (generated head,
    simulated contrast), because figures are passed on without their captions.
    """
    if note:
        figure.supxlabel(note, fontsize=8, color="0.35", x=0.99, ha="right")
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png", dpi=_SETTINGS["savefig.dpi"])
    plt.close(figure)
    write_sidecar(path, note=note, provenance=provenance)


def upper_limit(values: np.ndarray, percentile: float = 99.0) -> float:
    """Upper end of a colour scale: a percentile of the values above zero, 1 without such."""
    positive = values[np.isfinite(values) & (values > 0)]
    return float(np.percentile(positive, percentile)) if positive.size else 1.0


def shared_legend(figure: Figure, panel: Axes, columns: int, **options: object) -> None:
    """Draw one legend above all panels, from the curves of one of them, each label once."""
    handles, labels = panel.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    options = {"loc": "outside upper center", "ncols": columns} | options
    figure.legend(unique.values(), unique.keys(), **options)


def tissue_legend(figure: Figure, panel: Axes, names: Sequence[str], **options: object) -> None:
    """Draw the legend of tissue colours."""
    for name in names:
        style = {"color": TISSUE_COLOURS[name], "markeredgecolor": "0.4", "linestyle": "none"}
        panel.plot([], [], marker="s", label=tissue_name(name), **style)
    figure.legend(*panel.get_legend_handles_labels(), **options)


def draw_boxes(
    panel: Axes, values: Sequence[np.ndarray], series: int, count: int, label: str, **options: Any
) -> None:
    """Draw the boxes of one of `count` series next to each other at 0, 1, 2, ...

    Boxes are quartiles, whiskers the 5th and 95th percentile.

    Parameters
    ----------
    panel : axes to draw on.
    values : what each box summarises.
    series, count : number of the series, which sets its colour and place, and of all series.
    label : name of the series in the legend.
    options : further arguments of `Axes.boxplot`.
    """
    colour, width = COLOURS[series], 0.8 / count
    drawn = panel.boxplot(
        values,
        positions=np.arange(len(values)) + (series - (count - 1) / 2) * width,
        widths=0.85 * width,
        patch_artist=True,
        whis=(5, 95),
        manage_ticks=False,
        flierprops={"markersize": 2, "markeredgecolor": colour},
        **{"medianprops": {"color": "black"}, **options},
    )
    for box in drawn["boxes"]:
        box.set(facecolor=colour, alpha=0.6)
    panel.plot([], [], "s", color=colour, alpha=0.6, label=label)
