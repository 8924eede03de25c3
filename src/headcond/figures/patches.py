"""Conductivity in homogeneous patches: their places, and boxes of every map (Fig. 7 of CondNet)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from headcond.checks import voxel_sizes
from headcond.figures.names import map_name, tissue_name
from headcond.figures.slices import show_plane
from headcond.figures.style import COLOURS, draw_boxes, new_figure


def plot_patches(
    table: pd.DataFrame,
    values: Mapping[str, float],
    image: np.ndarray,
    affine: np.ndarray,
    maps: Sequence[str],
) -> Figure:
    """Draw the patches in their slice, and boxes of each map in each patch.

    Air in a map (0 S/m) is drawn at half of the table's lowest conductivity, below which a map
    counts as air.

    Parameters
    ----------
    table : `condnet.patches.sample_patches`.
    values : S/m by tissue, the conductivity table, drawn as circles.
    image : (nx, ny, nz) normalised image on the RAS+ grid of `affine`, behind the patches.
    affine : (4, 4) voxel to world, mm.
    maps : columns of `table` that are drawn, in order.
    """
    table = table.assign(**table[list(maps)].clip(lower=min(values.values()) / 2))
    figure, axes = new_figure(11.5, 4.3, 1, 2, gridspec_kw={"width_ratios": [1.0, 2.2]})
    panel, boxes = axes[0]
    sizes = voxel_sizes(affine)
    plane = image[:, :, int(table["k"].iloc[0])]
    show_plane(panel, plane, "axial", sizes, vmin=0, vmax=1, interpolation="auto")
    for limit, other in ((panel.set_xlim, 1), (panel.set_ylim, 0)):
        bright = np.flatnonzero((plane > 0.15).mean(axis=other) > 0.02)
        if bright.size:
            limit(bright[0] - 8 / sizes[1 - other], bright[-1] + 8 / sizes[1 - other])
    numbers = sorted(table["patch"].unique())
    names = {}
    for number in numbers:
        rows = table[table["patch"] == number]
        names[number] = rows["tissue"].iloc[0]
        colour = COLOURS[(number - 1) % (len(COLOURS) - 1)]
        inside = np.zeros(image.shape[:2])
        inside[rows["i"], rows["j"]] = 1
        panel.contour(inside.T, [0.5], colors=[colour], linewidths=1.4)
        x, y = rows["i"].mean(), rows["j"].mean()
        outward = np.array([x, y]) - np.array(image.shape[:2]) / 2
        outward *= 14 / sizes[0] / max(np.linalg.norm(outward), 1e-9)
        panel.annotate(
            str(number), (x, y), (x + outward[0], y + outward[1]), color="white", fontsize=8,
            ha="center", va="center", fontweight="bold",
            bbox={"boxstyle": "circle,pad=0.15", "facecolor": colour, "edgecolor": "none"},
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.8},
        )  # fmt: skip
    panel.set_title("patches in the axial slice")
    for series, name in enumerate(maps):
        samples = [table.loc[table["patch"] == number, name] for number in numbers]
        # A map with one value per patch has no boxes, but lines.
        flat = table[name].nunique() <= len(numbers)
        line = {"medianprops": {"color": COLOURS[series], "linewidth": 3}} if flat else {}
        draw_boxes(boxes, samples, series, len(maps), map_name(name), **line)
    boxes.plot(
        range(len(numbers)), [values[names[number]] for number in numbers], "o",
        markerfacecolor="none", markeredgecolor="black", markersize=9, label="conductivity table",
    )  # fmt: skip
    labels = [f"{n} " + tissue_name(names[n]).replace(" ", "\n") for n in numbers]
    boxes.set_xticks(range(len(numbers)), labels)
    boxes.set(yscale="log", ylabel="conductivity (S/m)")
    boxes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    boxes.yaxis.set_major_formatter("{x:g}")
    boxes.yaxis.set_minor_formatter(NullFormatter())
    handles = boxes.get_legend_handles_labels()
    figure.legend(*handles, ncols=len(maps) + 1, loc="outside upper right")
    return figure
