"""Implicit shapes and random smooth fields on rectangular grids.

A shape is a signed distance in millimetres, negative inside, exact or of first order near
its surface. Grids are three open axes x (nx, 1, 1), y (1, ny, 1), z (1, 1, nz) in mm.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Axes = tuple[np.ndarray, np.ndarray, np.ndarray]


def open_axes(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> Axes:
    """Broadcastable float32 axes of a grid from its three coordinate vectors, mm."""
    return (
        np.asarray(x, np.float32)[:, None, None],
        np.asarray(y, np.float32)[None, :, None],
        np.asarray(z, np.float32)[None, None, :],
    )


def window(axes: Axes, low: Sequence[float], high: Sequence[float]) -> tuple:
    """Slices of the part of a grid between two corners (mm), and its axes."""
    cuts = tuple(
        slice(*np.searchsorted(axis.ravel(), (start, stop)).tolist())
        for axis, start, stop in zip(axes, low, high, strict=True)
    )
    return cuts, open_axes(*(axis.ravel()[cut] for axis, cut in zip(axes, cuts, strict=True)))


def ellipsoid(axes: Axes, centre: Sequence[float], radii: Sequence[float]) -> np.ndarray:
    """Distance (first order) to an ellipsoid with axes along the grid."""
    scaled = [(a - c) / r for a, c, r in zip(axes, centre, radii, strict=True)]
    value = np.sqrt(scaled[0] ** 2 + scaled[1] ** 2 + scaled[2] ** 2)
    slopes = [(s / r) ** 2 for s, r in zip(scaled, radii, strict=True)]
    slope = np.sqrt(slopes[0] + slopes[1] + slopes[2])
    return (value - 1) * value / np.maximum(slope, 1e-6)


def capsule(axes: Axes, start: Sequence[float], end: Sequence[float], radius: float) -> np.ndarray:
    """Distance to a capsule: all points within `radius` of the segment from start to end."""
    start, end = np.asarray(start, float), np.asarray(end, float)
    along = end - start
    offset = [a - np.float32(s) for a, s in zip(axes, start, strict=True)]
    share = sum(o * np.float32(d / (along @ along)) for o, d in zip(offset, along, strict=True))
    share = np.clip(share, 0, 1)
    square = sum((o - share * np.float32(d)) ** 2 for o, d in zip(offset, along, strict=True))
    return np.sqrt(square) - np.float32(radius)


def smooth_min(a: np.ndarray, b: np.ndarray, blend: float) -> np.ndarray:
    """Union of two shapes with a fillet of about `blend` mm; never above min(a, b)."""
    near = np.maximum(blend - np.abs(a - b), 0)
    return np.minimum(a, b) - near * near * np.float32(0.25 / blend)


def sheet(across: np.ndarray, beyond: np.ndarray) -> np.ndarray:
    """Distance to a bounded sheet: `across` from its faces, `beyond` from its edge."""
    outside = np.sqrt(np.maximum(across, 0) ** 2 + np.maximum(beyond, 0) ** 2)
    return outside + np.minimum(np.maximum(across, beyond), 0)


def arch(
    axes: Axes, centre: Sequence[float], radii: tuple[float, float], thickness: float
) -> np.ndarray:
    """Distance to a horseshoe: the front half of an elliptic ring, its section an upright oval."""
    x, y, z = (axis - np.float32(c) for axis, c in zip(axes, centre, strict=True))
    flat = (x, y, np.zeros((1, 1, 1), np.float32))
    ring = ellipsoid(flat, (0, 0, 0), (*radii, 1.0))
    return np.sqrt(ring**2 + (0.7 * z) ** 2 + np.maximum(-y, 0) ** 2) - np.float32(thickness)


def cosine_field(
    axes: Sequence[np.ndarray],
    extent: Sequence[float],
    length: float,
    generator: np.random.Generator,
    band: float | None = None,
) -> np.ndarray:
    """Random smooth field of unit variance, as a cosine series on the box [0, extent].

    Within about `length` of the faces of the box the variance rises, to twice at a face.

    The series depends on the box and on the generator only, so the same field can be
    evaluated on any grid inside the box.

    Parameters
    ----------
    axes : three coordinate vectors inside the box (any unit, that of `extent`).
    length : standard deviation of the Gaussian that smooths white noise; with `band`,
        the wavelength instead.
    band : if given, keep only wave numbers near 2 pi / length, within this relative width
        (one standard deviation): a pattern of stripes and folds.

    Returns
    -------
    (nx, ny, nz) float32.
    """
    top = 2.8 / length if band is None else 2 * np.pi / length * (1 + 2 * band)
    waves = [np.pi / side * np.arange(int(np.ceil(top * side / np.pi)) + 1) for side in extent]
    number = np.sqrt(waves[0][:, None, None] ** 2 + waves[1][:, None] ** 2 + waves[2] ** 2)
    if band is None:
        weight = np.exp(-0.5 * (number * length) ** 2)
    else:
        weight = np.exp(-0.5 * ((number * length / (2 * np.pi) - 1) / band) ** 2)
    for axis, count in enumerate(number.shape):
        # Orthonormal cosines: the constant one is lower by sqrt(2), which makes the variance
        # the same everywhere but near the faces of the box.
        shape = [1, 1, 1]
        shape[axis] = count
        weight = weight * np.where(np.arange(count) == 0, np.sqrt(0.5), 1.0).reshape(shape)
    values = generator.standard_normal(number.shape) * weight
    values *= np.sqrt(8 / (weight**2).sum())
    for axis, wave in zip(axes, waves, strict=True):
        basis = np.cos(np.multiply.outer(np.asarray(axis, float).ravel(), wave))
        values = np.tensordot(values.astype(np.float32), basis.astype(np.float32), ([0], [1]))
    return values


def folding(
    foot: np.ndarray, wavelength: float, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Distance to a random labyrinth of lines on a closed surface around the origin.

    The lines are the zero set of a band-pass random field, |field| / |slope along the
    surface| from each point, mm.

    Parameters
    ----------
    foot : (n, 3) points of the surface, within 96 mm of the origin along each axis.
    wavelength : of the field, mm; lines are half of it apart.
    generator : source of the field.

    Returns
    -------
    distance : (n,) mm, first order.
    sharpness : (n,) from 0, where the field is flat and its zero set no line, to 1.
    """
    step = 1.5
    nodes = np.arange(-96.0, 96.0 + step, step)
    field = cosine_field([nodes + 150] * 3, (300.0,) * 3, wavelength, generator, band=0.12)
    gradient = np.stack(np.gradient(field, step), axis=-1).astype(np.float32)
    index = np.clip((foot - nodes[0]) / step, 0, len(nodes) - 1.001)
    whole = index.astype(np.intp)
    share = (index - whole).astype(np.float32)
    value = np.zeros(len(foot), np.float32)
    for corner in np.ndindex(2, 2, 2):
        at = tuple((whole + corner).T)
        weight = np.prod(np.where(corner, share, 1 - share), axis=1)
        value += weight * field[at]
    nearest = gradient[tuple(np.rint(index).astype(np.intp).T)]
    normal = foot / np.linalg.norm(foot, axis=1, keepdims=True)
    along = np.einsum("ij,ij->i", nearest, normal)
    slope = np.sqrt(np.maximum(np.einsum("ij,ij->i", nearest, nearest) - along**2, 0))
    typical = np.sqrt(np.mean(slope**2))
    slope /= typical
    sharpness = np.minimum(1, (slope / 0.6) ** 2)
    return np.abs(value) / np.hypot(slope, 0.4) / typical, sharpness
