"""Volumes of one RAS+ grid in axial, sagittal and coronal planes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patheffects import withStroke
from matplotlib.ticker import LogLocator, NullFormatter
from scipy import ndimage

from headcond.checks import voxel_sizes
from headcond.figures.style import TISSUE_COLOURS, new_figure, tissue_legend, upper_limit

# Array axis that is cut, and the array axes shown along x and y.
PLANES = {"axial": (2, 0, 1), "sagittal": (0, 1, 2), "coronal": (1, 0, 2)}
_OUTLINE = [withStroke(linewidth=1.5, foreground="black")]  # readable on bright tissue
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
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    return tuple(
        slice(max(side.start - margin, 0), min(side.stop + margin, length))
        for side, length in zip(box, mask.shape, strict=True)
    )


def box_centre(mask: np.ndarray) -> np.ndarray:
    """Voxel (3,) in the centre of the smallest box around `mask`."""
    return np.array([(side.start + side.stop - 1) // 2 for side in bounding_box(mask, 0)])


def show_plane(
    panel: Axes, picture: np.ndarray, plane: str, sizes: np.ndarray, **options: object
) -> AxesImage:
    """Show a plane (n, m) of a volume with the directions of its ends, on black.

    Parameters
    ----------
    picture : values along the plane's first and second axis, of `PLANES`.
    plane : "axial", "sagittal" or "coronal".
    sizes : (3,) edges of a voxel, mm.
    options : of `Axes.imshow`; grey and without interpolation if not given.
    """
    _, across, up = PLANES[plane]
    options = {"cmap": "gray", "interpolation": "nearest"} | options
    image = panel.imshow(picture.T, origin="lower", aspect=sizes[up] / sizes[across], **options)
    panel.set(xticks=[], yticks=[], facecolor="black")
    panel.spines[:].set_visible(False)
    (left, right), (_, top) = _ENDS[across], _ENDS[up]
    ends = ((left, 0.01, 0.5, "left"), (right, 0.99, 0.5, "right"), (top, 0.5, 0.97, "center"))
    for text, *place, align in ends:
        letter = panel.text(*place, text, transform=panel.transAxes, ha=align, va="center")
        letter.set(color="white", fontsize=7, path_effects=_OUTLINE)
    return image


def _panels(
    shape: Sequence[int], sizes: np.ndarray, columns: int, width: float, extra: float
) -> tuple[Figure, np.ndarray]:
    """Figure with a row per plane and panels of `width` inch, `extra` inch for what is around."""
    extent = np.multiply(shape, sizes)
    heights = [extent[up] for _, _, up in PLANES.values()]
    widest = max(extent[across] for _, across, _ in PLANES.values())
    figure, axes = new_figure(
        (width + 0.05) * columns + extra, sum(heights) * width / widest + 0.5, len(PLANES), columns,
        gridspec_kw={"height_ratios": heights},
    )  # fmt: skip
    for panel, plane in zip(axes[:, 0], PLANES, strict=True):
        panel.set_ylabel(plane)
    return figure, axes


def plot_slices(
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

    The last column has a colour bar, and every column whose range or map differs from that of
    the next one.
    """
    sizes, titles = voxel_sizes(affine), list(volumes)
    shape = next(iter(volumes.values())).shape
    figure, axes = _panels(shape, sizes, len(titles), 2.1, 0.7)

    def scale(title: str) -> tuple:
        span, name, label = (
            option[title] if isinstance(option, Mapping) else option
            for option in (limits, colour_map, unit)
        )
        return span if isinstance(span, Normalize) else tuple(span), name, label

    for column, title in enumerate(titles):
        span, name, label = scale(title)
        norm = span if isinstance(span, Normalize) else Normalize(*span)
        for panel, (plane, (cut, across, up)) in zip(axes[:, column], PLANES.items(), strict=True):
            picture = np.take(volumes[title], centre[cut], axis=cut)
            image = show_plane(panel, picture, plane, sizes, norm=norm, cmap=name)
            if mark:
                panel.plot(centre[across], centre[up], "+", color="white", markersize=9)
            if outline is not None:
                draw_outline(panel, np.take(outline, centre[cut], axis=cut), outline_colour)
        axes[0, column].set_title(title)
        if column == len(titles) - 1 or scale(titles[column + 1]) != scale(title):
            colour_bar(figure, image, list(axes[:, column]), label, shrink=0.6)
    return figure


def draw_outline(panel: Axes, region: np.ndarray, colour: str = "cyan") -> None:
    """Draw the border of a plane's region (n, m) along the edges of its voxels."""
    if region.any():
        # Every voxel as 8 x 8 points, so that the contour follows its edges.
        fine = np.pad(region, 1).repeat(8, axis=0).repeat(8, axis=1).astype(float)
        x, y = ((np.arange(length) + 0.5) / 8 - 1.5 for length in fine.shape)
        limits = panel.get_xlim(), panel.get_ylim()
        panel.contour(x, y, fine.T, levels=[0.5], colors=colour, linewidths=0.9)
        panel.set(xlim=limits[0], ylim=limits[1])


def plot_anatomy(
    images: Mapping[str, np.ndarray],
    labels: np.ndarray | None,
    tissues: Sequence[str],
    affine: np.ndarray,
    centre: Sequence[int],
) -> Figure:
    """Draw T1w, T2w, ... in grey and, where there are labels, the tissues in the last column.

    Parameters
    ----------
    images : title -> (nx, ny, nz) on the RAS+ grid of `affine`, any intensities.
    labels : (nx, ny, nz) of 0 (air) and k for tissues[k - 1], or None.
    affine : (4, 4) voxel to world, mm.
    centre : voxel (i, j, k) through which the planes go.
    """
    sizes = voxel_sizes(affine)
    shape = next(iter(images.values())).shape
    figure, axes = _panels(shape, sizes, len(images) + (labels is not None), 2.1, 1.4)
    for column, (title, volume) in enumerate(images.items()):
        high = upper_limit(volume, 99.8)
        for panel, (plane, (cut, _, _)) in zip(axes[:, column], PLANES.items(), strict=True):
            picture = np.take(volume, centre[cut], axis=cut)
            show_plane(panel, picture, plane, sizes, vmin=0, vmax=high, interpolation="auto")
        axes[0, column].set_title(title)
    if labels is not None:
        colours = ListedColormap(["black", *(TISSUE_COLOURS[name] for name in tissues)])
        span = {"vmin": -0.5, "vmax": len(tissues) + 0.5}
        for panel, (plane, (cut, _, _)) in zip(axes[:, -1], PLANES.items(), strict=True):
            picture = np.take(labels, centre[cut], axis=cut)
            show_plane(panel, picture, plane, sizes, cmap=colours, **span)
        axes[0, -1].set_title("tissues")
        present = [name for index, name in enumerate(tissues, 1) if np.any(labels == index)]
        tissue_legend(figure, axes[0, -1], present, loc="outside right center", fontsize=8)
    return figure


def colour_bar(
    figure: Figure, image: ScalarMappable, panels: Sequence[Axes], label: str, **options: object
) -> None:
    """Draw the colour bar of `image` next to `panels`; a logarithmic one has plain numbers."""
    bar = figure.colorbar(image, ax=panels, label=label, pad=0.02, **options)
    if isinstance(image.norm, LogNorm):
        bar.set_ticks(LogLocator(subs=(1, 2, 5)), minor=False)
        bar.ax.yaxis.set_major_formatter("{x:g}")
        bar.ax.yaxis.set_minor_formatter(NullFormatter())
