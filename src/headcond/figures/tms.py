"""Electric fields of the TMS coil: differences between models, and the hand knob magnified."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from headcond.checks import voxel_sizes
from headcond.figures.slices import draw_outline, plot_slices, show_plane
from headcond.figures.style import new_figure, upper_limit


def plot_differences(
    fields: Mapping[str, np.ndarray],
    reference: str,
    head: np.ndarray,
    affine: np.ndarray,
    centre: Sequence[int],
    outline: np.ndarray | None = None,
) -> Figure:
    """Draw the difference of each field's magnitude from the reference's (Fig. 9 of CondNet).

    Parameters
    ----------
    fields : name -> (nx, ny, nz) |E|, V/m.
    reference : the name whose field is subtracted from the others.
    head : (nx, ny, nz) bool; the rest is blank.
    affine : (4, 4) voxel to world, mm.
    centre : voxel through which the planes go.
    outline : (nx, ny, nz) bool region whose border is drawn.
    """
    largest = max(float(field[head].max()) for field in fields.values())
    shown = {
        f"{name} − {reference}": np.where(head, 100 * (field - fields[reference]) / largest, np.nan)
        for name, field in fields.items()
        if name != reference
    }
    top = max(upper_limit(np.abs(part[head]), 99.5) for part in shown.values())
    scale = {"unit": "difference (% of the largest |E|)", "limits": (-top, top)}
    border = {"mark": outline is None, "outline": outline, "outline_colour": "black"}
    return plot_slices(shown, affine, centre, colour_map="RdBu_r", **scale, **border)


def plot_hand_knobs(
    rows: Mapping[str, Mapping[str, np.ndarray]],
    affines: Mapping[str, np.ndarray],
    centres: Mapping[str, Sequence[int]],
    regions: Mapping[str, np.ndarray],
    width: float = 60.0,
) -> Figure:
    """Draw |E| in the sagittal plane around the hand knob (Fig. 10 of CondNet).

    Parameters
    ----------
    rows : subject -> field name -> (nx, ny, nz) |E|, V/m; RAS+ arrays.
    affines : (4, 4) voxel to world of each subject, mm.
    centres : voxel of each subject's hand knob.
    regions : (nx, ny, nz) bool of each subject, whose border is drawn.
    width : edge of the square that is shown, mm.

    All panels of a subject share a colour scale, each subject has its own.
    """
    names = list(next(iter(rows.values())))
    figure, axes = new_figure(2.3 * len(names) + 0.9, 2.3 * len(rows) + 0.5, len(rows), len(names))
    for line, (subject, fields) in zip(axes, rows.items(), strict=True):
        sizes, centre = voxel_sizes(affines[subject]), np.asarray(centres[subject])
        half = np.round(width / 2 / sizes).astype(int)
        low = np.maximum(centre - half, 0)
        window = tuple(slice(a, b + 1) for a, b in zip(low, centre + half, strict=True))
        planes = {name: field[centre[0], window[1], window[2]] for name, field in fields.items()}
        top = upper_limit(np.concatenate([plane.ravel() for plane in planes.values()]), 99.8)
        for panel, (name, plane) in zip(line, planes.items(), strict=True):
            scale = {"vmin": 0, "vmax": top, "cmap": "inferno"}
            image = show_plane(panel, plane, "sagittal", sizes, **scale)
            draw_outline(panel, regions[subject][centre[0], window[1], window[2]])
            if subject == next(iter(rows)):
                panel.set_title(name)
        line[0].set_ylabel(subject)
        figure.colorbar(image, ax=list(line), label="|E| (V/m)", shrink=0.8, pad=0.02)
    return figure
