"""Slices of volumes on one RAS+ grid: anatomy, conductivity maps, fields, and profiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from headcond.checks import voxel_sizes
from headcond.figures.style import TISSUE_COLOURS, new_figure, upper_limit

# Array axis that is cut, and the array axes shown along x and y.
PLANES = {"axial": (2, 0, 1), "sagittal": (0, 1, 2), "coronal": (1, 0, 2)}
_ENDS = {0: ("L", "R"), 1: ("P", "A"), 2: ("I", "S")}


def conductivity_limits(table: Mapping[str, float]) -> tuple[float, float]:
    """Ends of the colour scale of conductivity maps of a table, S/m.

    From half of the lowest tissue conductivity, below which a map counts as air, to the highest.
    """
    return min(table.values()) / 2, max(table.values())


def conductivity_colours(limits: tuple[float, float]) -> tuple[str, LogNorm]:
    """Colour map and logarithmic scale of conductivity: bone (0.02) to CSF (2 S/m) stay apart."""
    return "turbo", LogNorm(*limits, clip=True)


def bounding_box(mask: np.ndarray, margin: int = 3) -> tuple[slice, slice, slice]:
    """Slices of the smallest box around `mask`, widened by `margin` voxels."""
    box = []
    for axis in range(3):
        filled = np.flatnonzero(mask.any(axis=tuple(i for i in range(3) if i != axis)))
        box.append(
            slice(max(filled[0] - margin, 0), min(filled[-1] + margin + 1, mask.shape[axis]))
        )
    return tuple(box)


def slices(
    volumes: Mapping[str, np.ndarray],
    affine: np.ndarray,
    centre: Sequence[int],
    *,
    unit: str | Mapping[str, str],
    limits: Mapping[str, tuple[float, float] | Normalize] | tuple[float, float] | Normalize,
    colour_map: str | Mapping[str, str] = "viridis",
    mark: bool = False,
    outline: np.ndarray | None = None,
    outline_colour: str = "cyan",
) -> Figure:
    """Draw the three planes through voxel `centre`, one column per volume.

    Parameters
    ----------
    volumes : title -> (nx, ny, nz) array; all on the RAS+ grid of `affine`.
    affine : (4, 4) voxel to world, mm.
    centre : voxel (i, j, k) through which the planes go.
    unit : label of the colour bars, for all volumes or by title.
    limits : colour range, or the scale itself, for all volumes or by title.
    colour_map : matplotlib name, for all volumes or by title.
    mark : draw a cross at `centre`.
    outline : (nx, ny, nz) bool region whose border is drawn in `outline_colour`.

    A colour bar stands beside the last column, and beside every column whose range or map
    differs from its neighbour's.
    """
    sizes = voxel_sizes(affine)
    titles = list(volumes)
    shape = np.array(next(iter(volumes.values())).shape)
    heights = [shape[PLANES[plane][2]] * sizes[PLANES[plane][2]] for plane in PLANES]
    width = max(shape[PLANES[plane][1]] * sizes[PLANES[plane][1]] for plane in PLANES)
    inch = 2.1 / width
    figure, axes = new_figure(
        2.15 * len(titles) + 0.7,
        sum(heights) * inch + 0.5,
        len(PLANES),
        len(titles),
        gridspec_kw={"height_ratios": heights},
    )

    def look(title: str) -> tuple:
        span = limits[title] if isinstance(limits, Mapping) else limits
        name = colour_map[title] if isinstance(colour_map, Mapping) else colour_map
        label = unit[title] if isinstance(unit, Mapping) else unit
        return span if isinstance(span, Normalize) else tuple(span), name, label

    for column, title in enumerate(titles):
        span, name, label = look(title)
        norm = span if isinstance(span, Normalize) else Normalize(*span)
        for row, (plane, (cut, across, up)) in enumerate(PLANES.items()):
            panel = axes[row, column]
            picture = np.take(volumes[title], centre[cut], axis=cut).T
            image = panel.imshow(
                picture,
                origin="lower",
                norm=norm,
                cmap=name,
                interpolation="nearest",
                aspect=sizes[up] / sizes[across],
            )
            frame(panel, across, up, f"{plane}" if column == 0 else "")
            if mark:
                panel.plot(centre[across], centre[up], "+", color="white", markersize=9)
            if outline is not None:
                draw_outline(panel, np.take(outline, centre[cut], axis=cut), outline_colour)
            if row == 0:
                panel.set_title(title)
        if column == len(titles) - 1 or look(titles[column + 1]) != look(title):
            colour_bar(figure, image, list(axes[:, column]), label, shrink=0.6)
    return figure


def draw_outline(panel: object, region: np.ndarray, colour: str = "cyan") -> None:
    """Draw the border of a plane's region (n, m) along the edges of its voxels."""
    if region.any():
        # Every voxel as 8 x 8 points, so that the contour follows its edges.
        fine = np.pad(region, 1).repeat(8, axis=0).repeat(8, axis=1).astype(float)
        x, y = ((np.arange(length) + 0.5) / 8 - 1.5 for length in fine.shape)
        limits = panel.get_xlim(), panel.get_ylim()
        panel.contour(x, y, fine.T, levels=[0.5], colors=colour, linewidths=0.9)
        panel.set(xlim=limits[0], ylim=limits[1])


def anatomy(
    images: Mapping[str, np.ndarray],
    labels: np.ndarray | None,
    tissues: Sequence[str],
    affine: np.ndarray,
    centre: Sequence[int],
) -> Figure:
    """Draw T1w, T2w, ... in grey and, where there are labels, the tissues beside them."""
    sizes = voxel_sizes(affine)
    columns = len(images) + (labels is not None)
    shape = np.array(next(iter(images.values())).shape)
    heights = [shape[PLANES[plane][2]] * sizes[PLANES[plane][2]] for plane in PLANES]
    figure, axes = new_figure(
        2.2 * columns + 1.4,
        2.1 * len(PLANES) + 0.2,
        len(PLANES),
        columns,
        gridspec_kw={"height_ratios": heights},
    )
    for column, (title, volume) in enumerate(images.items()):
        high = upper_limit(volume, 99.8)
        for row, (plane, (cut, across, up)) in enumerate(PLANES.items()):
            panel = axes[row, column]
            panel.imshow(
                np.take(volume, centre[cut], axis=cut).T,
                origin="lower",
                cmap="gray",
                vmin=0,
                vmax=high,
                aspect=sizes[up] / sizes[across],
            )
            frame(panel, across, up, plane if column == 0 else "")
        axes[0, column].set_title(title)
    if labels is not None:
        colours = ListedColormap(["black", *(TISSUE_COLOURS[name] for name in tissues)])
        for row, (cut, across, up) in enumerate(PLANES.values()):
            panel = axes[row, -1]
            panel.imshow(
                np.take(labels, centre[cut], axis=cut).T,
                origin="lower",
                cmap=colours,
                vmin=-0.5,
                vmax=len(tissues) + 0.5,
                interpolation="nearest",
                aspect=sizes[up] / sizes[across],
            )
            frame(panel, across, up, "")
        axes[0, -1].set_title("tissues")
        present = [name for index, name in enumerate(tissues, 1) if np.any(labels == index)]
        marks = [
            axes[0, -1].plot([], [], "s", color=TISSUE_COLOURS[name], markeredgecolor="0.5")[0]
            for name in present
        ]
        figure.legend(
            marks,
            [name.replace("_", " ") for name in present],
            loc="outside right center",
            fontsize=8,
        )
    return figure


def colour_bar(
    figure: Figure, image: ScalarMappable, panels: Sequence[Axes], label: str, **options: object
) -> None:
    """Draw the colour bar of `image` beside `panels`, with plain numbers on a logarithmic one."""
    bar = figure.colorbar(image, ax=panels, label=label, pad=0.02, **options)
    if isinstance(image.norm, LogNorm):
        bar.set_ticks(LogLocator(subs=(1, 2, 5)), minor=False)
        bar.ax.yaxis.set_major_formatter("{x:g}")
        bar.ax.yaxis.set_minor_formatter(NullFormatter())


def frame(panel: Axes, across: int, up: int, label: str) -> None:
    """Give a panel its label, a black ground and the letters of the directions it shows."""
    panel.set_xticks([])
    panel.set_yticks([])
    for spine in panel.spines.values():
        spine.set_visible(False)
    panel.set_ylabel(label)
    panel.set_facecolor("black")
    for text, place, align in (
        (_ENDS[across][0], (0.01, 0.5), "left"),
        (_ENDS[across][1], (0.99, 0.5), "right"),
        (_ENDS[up][1], (0.5, 0.97), "center"),
    ):
        panel.text(
            *place,
            text,
            transform=panel.transAxes,
            color="white",
            fontsize=7,
            ha=align,
            va="center",
        )
