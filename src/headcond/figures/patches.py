"""Conductivity in homogeneous patches: where they lie, and boxes of every map (Fig. 7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from headcond.checks import voxel_sizes
from headcond.figures.maps import frame
from headcond.figures.style import COLOURS, new_figure

_SHORT = {"bone_cancellous": "bone (canc.)", "bone_cortical": "bone (cort.)", "gm": "GM",
          "wm": "WM", "csf": "CSF"}  # fmt: skip


def patches(
    table: pd.DataFrame,
    values: Mapping[str, float],
    image: np.ndarray,
    affine: np.ndarray,
    maps: Sequence[str],
    titles: Mapping[str, str],
) -> Figure:
    """Draw the patches in their slice, and boxes of each map in each patch.

    What a map takes for air (0 S/m) stands at half of the table's lowest conductivity, below
    which a map counts as air.

    Parameters
    ----------
    table : `condnet.patches.sample_patches`.
    values : S/m by tissue, the conductivity table, marked by circles.
    image : (nx, ny, nz) normalised image on the RAS+ grid of `affine`, behind the patches.
    affine : (4, 4) voxel to world, mm.
    maps : columns of `table` that are drawn, in order.
    titles : what the figure calls them; a map without an entry keeps its name.
    """
    table = table.assign(**table[list(maps)].clip(lower=min(values.values()) / 2))
    figure, axes = new_figure(11.5, 4.3, 1, 2, gridspec_kw={"width_ratios": [1.0, 2.2]})
    panel, boxes = axes[0]
    sizes = voxel_sizes(affine)
    plane = image[:, :, int(table["k"].iloc[0])]
    panel.imshow(
        plane.T, origin="lower", cmap="gray", vmin=0, vmax=1, aspect=sizes[1] / sizes[0]
    )  # fmt: skip
    for limit, other in ((panel.set_xlim, 1), (panel.set_ylim, 0)):
        bright = np.flatnonzero((plane > 0.15).mean(axis=other) > 0.02)
        if bright.size:
            limit(bright[0] - 8 / sizes[1 - other], bright[-1] + 8 / sizes[1 - other])
    frame(panel, 0, 1, "")
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
    width = 0.8 / len(maps)
    for shift, (colour, name) in enumerate(zip(COLOURS, maps, strict=False)):
        drawn = boxes.boxplot(
            [table.loc[table["patch"] == number, name] for number in numbers],
            positions=np.arange(len(numbers)) + (shift - (len(maps) - 1) / 2) * width,
            widths=0.85 * width,
            patch_artist=True,
            whis=(5, 95),
            manage_ticks=False,
            flierprops={"markersize": 2, "markeredgecolor": colour},
            medianprops={"color": "black"}
            if table[name].nunique() > len(numbers)
            else {"color": colour, "linewidth": 3},  # one value per patch: a line, no box
        )
        for box in drawn["boxes"]:
            box.set(facecolor=colour, alpha=0.6)
        boxes.plot([], [], "s", color=colour, alpha=0.6, label=titles.get(name, name))
    boxes.plot(
        range(len(numbers)), [values[names[number]] for number in numbers], "o",
        markerfacecolor="none", markeredgecolor="black", markersize=9, label="table's value",
    )  # fmt: skip
    shown = [_SHORT.get(names[n], names[n].replace("_", " ")) for n in numbers]
    boxes.set_xticks(
        range(len(numbers)), [f"{n} {name}" for n, name in zip(numbers, shown, strict=True)]
    )
    boxes.set_yscale("log")
    boxes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    boxes.yaxis.set_major_formatter("{x:g}")
    boxes.yaxis.set_minor_formatter(NullFormatter())
    boxes.set_ylabel("conductivity (S/m)")
    figure.legend(
        *boxes.get_legend_handles_labels(), ncols=len(maps) + 1, loc="outside upper right"
    )
    return figure
