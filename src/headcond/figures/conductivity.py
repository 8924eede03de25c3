"""Training losses, conductivity maps in slices and profiles, and the spread of the axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, ScalarFormatter

from headcond.checks import voxel_sizes
from headcond.figures.slices import (
    PLANES,
    box_centre,
    colour_bar,
    conductivity_colours,
    plot_slices,
    show_plane,
)
from headcond.figures.style import COLOURS, new_figure, shared_legend

OFF_MIDLINE = 12.0
"""Distance of the sagittal plane left of the midline, mm: next to the falx, through brain."""
DETAIL = 44.0
"""Edge of the square that is magnified, mm."""
INSET = (0.42, 0.38)
"""Part of a panel's width and height that the magnified square takes, top left."""

_UNIT = "conductivity (S/m)"
_INTENSITY = "normalised intensity"


def plot_losses(histories: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw training and validation loss per epoch, one colour per axis (Fig. 4 of CondNet).

    Parameters
    ----------
    histories : axis -> table with the columns epoch, train_loss, validation_loss and
        train_floor (entropy of the training targets, the lower bound of the loss); and
        unseen_loss, of a head outside the training set, where validation is by slices.
    """
    figure, axes = new_figure(6.5, 3.4)
    panel = axes[0, 0]
    curves = {"train_loss": ("-", "training"), "validation_loss": ("--", "validation"),
              "unseen_loss": ("-.", "unseen head")}  # fmt: skip
    for colour, (axis, table) in zip(COLOURS, histories.items(), strict=False):
        for column, (line, label) in curves.items():
            if column in table and table[column].notna().any():
                label = f"{axis}, {label}"
                panel.plot(table["epoch"], table[column], line, color=colour, label=label)
        panel.axhline(table["train_floor"].iloc[-1], color=colour, linewidth=0.9, linestyle=":")
    panel.set(xlabel="epoch", ylabel="binary cross-entropy (nats per voxel)", yscale="log")
    panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 4, 6, 8)))
    panel.yaxis.set_major_formatter(ScalarFormatter())
    panel.yaxis.set_minor_formatter(NullFormatter())
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    floor = Line2D([], [], linestyle=":", color="0.4", linewidth=0.8)
    handles, names = panel.get_legend_handles_labels()
    figure.legend(
        [*handles, floor], [*names, "entropy of the targets"], ncols=4, fontsize=8,
        loc="outside upper center",
    )  # fmt: skip
    return figure


def central_voxel(mask: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Voxel (3,) in the centre of a head's box, `OFF_MIDLINE` left of the midline (RAS+ grid)."""
    centre = box_centre(mask)
    centre[0] -= round(OFF_MIDLINE / voxel_sizes(affine)[0])
    return centre


def plot_maps(
    images: Mapping[str, np.ndarray],
    maps: Mapping[str, np.ndarray],
    affine: np.ndarray,
    centre: Sequence[int],
    limits: tuple[float, float],
    *,
    details: bool = False,
) -> Figure:
    """Draw images in grey and conductivity maps on one scale in three planes (Figs. 6 and 8).

    Parameters
    ----------
    images, maps : title -> (nx, ny, nz), normalised intensity and S/m, on the RAS+ grid of
        `affine`.
    affine : (4, 4) voxel to world, mm.
    centre : voxel through which the planes go.
    limits : ends of the one logarithmic colour scale of all maps, S/m.
    details : magnify the square of `DETAIL` mm that holds the most borders of the first map in
        the corner of every panel, and frame it in the images.
    """
    name, norm = conductivity_colours(limits)
    volumes = {**images, **maps}
    unit = dict.fromkeys(images, _INTENSITY) | dict.fromkeys(maps, _UNIT)
    spans = dict.fromkeys(images, (0.0, 1.0)) | dict.fromkeys(maps, norm)
    colours = dict.fromkeys(images, "gray") | dict.fromkeys(maps, name)
    figure = plot_slices(volumes, affine, centre, unit=unit, limits=spans, colour_map=colours)
    if details:
        shown = [panel for panel in figure.axes if panel.get_label() != "<colorbar>"]
        first = next(iter(maps.values()))
        for row, (cut, across, up) in enumerate(PLANES.values()):
            sizes = voxel_sizes(affine)[[across, up]]
            corner, edge = most_detailed_square(np.take(first, centre[cut], axis=cut), sizes)
            for column, panel in enumerate(shown[row * len(volumes) : (row + 1) * len(volumes)]):
                _magnify(panel, corner, edge, framed=column < len(images))
    return figure


def plot_axis_spread(
    estimated: np.ndarray,
    deviation: np.ndarray,
    affine: np.ndarray,
    centre: Sequence[int],
    limits: tuple[float, float],
) -> Figure:
    """Draw the standard deviation of the three axes' predictions, in S/m and in % of their mean.

    Parameters
    ----------
    estimated, deviation : (nx, ny, nz) S/m, mean and standard deviation of the three axes.
    affine, centre, limits : as for `plot_maps`.
    """
    name, norm = conductivity_colours(limits)
    head = estimated > 0
    deviation = np.where(head, deviation, 0.0)
    relative = 100 * np.divide(deviation, estimated, out=np.zeros_like(deviation), where=head)
    high = float(np.percentile(deviation[head], 99)) if head.any() else 1.0
    shown = {"estimated": estimated, "deviation": deviation, "relative deviation": relative}
    units = (_UNIT, "standard deviation (S/m)", "standard deviation (% of the estimate)")
    unit, spans, colour_map = (
        dict(zip(shown, values, strict=True))
        for values in (units, (norm, (0.0, high), (0.0, 100.0)), (name, "magma", "magma"))
    )
    return plot_slices(shown, affine, centre, unit=unit, limits=spans, colour_map=colour_map)


def plot_profile(
    volumes: Mapping[str, np.ndarray],
    affine: np.ndarray,
    centre: Sequence[int],
    limits: tuple[float, float],
    shown: Sequence[str] = ("uniform", "estimated"),
) -> Figure:
    """Draw conductivity along the left-right line through a voxel, with slices (Fig. 2).

    Parameters
    ----------
    volumes : title -> (nx, ny, nz) S/m on the RAS+ grid of `affine`, one curve each.
    affine : (4, 4) voxel to world, mm.
    centre : voxel through which the line and the axial slices go.
    limits : ends of the logarithmic colour scale of the slices, S/m.
    shown : titles of the maps whose axial slice is drawn with the line.
    """
    figure, axes = new_figure(
        11.0, 3.1, 1, len(shown) + 1, gridspec_kw={"width_ratios": [*(1 for _ in shown), 2.6]}
    )
    sizes = voxel_sizes(affine)
    name, norm = conductivity_colours(limits)
    for panel, title in zip(axes[0], shown, strict=False):
        picture = volumes[title][:, :, centre[2]]
        image = show_plane(panel, picture, "axial", sizes, norm=norm, cmap=name)
        panel.axhline(centre[1], color="white", linestyle="--", linewidth=1)
        panel.set_title(title)
    colour_bar(figure, image, list(axes[0, :-1]), _UNIT, shrink=0.85)
    panel = axes[0, -1]
    position = (np.arange(next(iter(volumes.values())).shape[0]) - centre[0]) * sizes[0]
    for colour, (title, volume) in zip(COLOURS, volumes.items(), strict=False):
        curve, line = volume[:, centre[1], centre[2]], "--" if title == "uniform" else "-"
        look = {"color": colour, "label": title, "linewidth": 1.2}
        panel.step(position, curve, line, where="mid", **look)
    panel.set(xlabel="position along the left-right line (mm)", ylabel=_UNIT)
    filled = np.flatnonzero(next(iter(volumes.values()))[:, centre[1], centre[2]])
    if filled.size:
        panel.set_xlim(position[filled[0]] - 5, position[filled[-1]] + 5)
    shared_legend(figure, panel, len(volumes))
    return figure


def most_detailed_square(plane: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the square of `DETAIL` mm with the most tissue borders outside the inset.

    Parameters
    ----------
    plane : (width, height) map with one value per tissue, 0 outside.
    sizes : (2,) edges of a pixel, mm.

    Returns
    -------
    corner : (2,) lowest indices of the square.
    edge : (2,) its edges in pixels, no longer than the plane.
    """
    border = np.zeros(plane.shape, np.float32)
    for axis in range(2):
        pad = [(0, int(other == axis)) for other in range(2)]
        border += np.pad(np.diff(plane, axis=axis) != 0, pad)
    edge = np.minimum(np.maximum(np.rint(DETAIL / sizes).astype(int), 1), plane.shape)
    # Sums over every square inside the plane, by corners of the running sum.
    total = np.pad(border.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    m, n = edge
    counts = total[m:, n:] - total[:-m, n:] - total[m:, :-n] + total[:-m, :-n]
    width, height = np.ceil(np.multiply(INSET, plane.shape)).astype(int)
    counts[:width, max(plane.shape[1] - height - n + 1, 0) :] = -1  # there the inset would hide it
    return np.array(np.unravel_index(np.argmax(counts), counts.shape)), edge


def _magnify(panel: Axes, corner: np.ndarray, edge: np.ndarray, *, framed: bool) -> None:
    """Magnify the square in the corner above the person's left or back."""
    (image,) = panel.images
    (x, y), (width, height) = corner, edge
    data = image.get_array()[y : y + height, x : x + width]
    inset = panel.inset_axes((0.0, 1.0 - INSET[1], *INSET))
    colours = {"norm": image.norm, "cmap": image.cmap, "interpolation": "nearest"}
    inset.imshow(data, origin="lower", aspect=panel.get_aspect(), **colours)
    inset.set(xticks=[], yticks=[])
    inset.spines[:].set(visible=True, color="white", linewidth=0.8)
    if framed:
        xs = np.array([x, x + width, x + width, x, x]) - 0.5
        ys = np.array([y, y, y + height, y + height, y]) - 0.5
        panel.plot(xs, ys, "-", color="yellow", linewidth=0.8)


def shared_limits(limits: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Ends of one scale that holds all of several, S/m."""
    lows, highs = zip(*limits, strict=True)
    return min(lows), max(highs)
