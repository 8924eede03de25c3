"""Volume rendering of conductivity maps: a head without one octant, by parallel rays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from scipy import ndimage

from headcond.checks import InputError, voxel_sizes
from headcond.condnet.fusion import fill_slices
from headcond.figures.slices import bounding_box, box_centre, colour_bar, conductivity_colours
from headcond.figures.style import new_figure

VIEW = (-0.72, 1.0, 0.62)
"""Direction from the head to the viewer, RAS+: from the person's left, front and above."""
LIGHT = (-0.25, 1.0, 1.1)
"""Direction from the head to the light, RAS+."""
STEP = 2.0
"""Length of a step along a ray, mm; bisection then refines the point where it enters the head."""
SKIN = (0.5, 1.5, 2.5, 3.5)
"""Depths below the smoothed outline over which the colour of the skin is averaged, mm."""
_AIR = (0.16, 0.16, 0.18)  # inner air on a cut face
_FACES = np.array([0.97, 0.88, 1.0])  # shades of the sagittal, coronal and axial cut


def plot_renders(
    rows: Mapping[str, Mapping[str, np.ndarray]],
    affines: Mapping[str, np.ndarray],
    limits: tuple[float, float],
) -> Figure:
    """Draw a render of every map, one row per head and one column per map (Fig. 5 of CondNet).

    Parameters
    ----------
    rows : head -> title -> (nx, ny, nz) conductivity in S/m, air exactly 0, on the RAS+ grid of
        the head. All maps of a head are cut through the same point, the middle of the first one.
    affines : head -> (4, 4) voxel to world, mm.
    limits : ends of the one logarithmic colour scale, S/m.
    """
    titles = list(next(iter(rows.values())))
    lines, columns = len(rows), len(titles)
    figure, axes = new_figure(3.7 * columns + 0.9, 3.9 * lines + 0.2, lines, columns)
    for row, (head, maps) in enumerate(rows.items()):
        box = bounding_box(next(iter(maps.values())) > 0)
        sizes = voxel_sizes(affines[head])
        for column, title in enumerate(titles):
            panel = axes[row, column]
            picture = render(np.ascontiguousarray(maps[title][box]), sizes, limits)
            panel.imshow(picture, interpolation="lanczos")
            panel.set(xticks=[], yticks=[])
            panel.spines[:].set_visible(False)
            if row == 0:
                panel.set_title(title)
            if column == 0:
                panel.set_ylabel(head)
    name, norm = conductivity_colours(limits)
    image, label = ScalarMappable(norm, name), "conductivity (S/m)"
    colour_bar(figure, image, list(axes.ravel()), label, shrink=0.6)
    return figure


def render(
    conductivity: np.ndarray,
    sizes: Sequence[float],
    limits: tuple[float, float],
    pixel: float = 0.6,
) -> np.ndarray:
    """Render a head from which the octant towards the viewer is cut out.

    Parallel rays go through the filled outline of the map until they meet the skin or a cut
    face. A cut face shows the conductivity of single voxels, neither interpolated nor shaded,
    inner air dark; the skin shows the mean conductivity above 0 of its outermost 4 mm, shaded by
    light from above.

    Parameters
    ----------
    conductivity : (nx, ny, nz) S/m on a RAS+ grid, air exactly 0.
    sizes : (3,) edges of a voxel, mm.
    limits : ends of the logarithmic colour scale, S/m.
    pixel : edge of a pixel, mm.

    Returns
    -------
    (height, width, 3) float in 0..1, white where no ray meets the head.

    Raises
    ------
    InputError
        If no voxel is above 0 S/m.
    """
    if not np.any(conductivity > 0):
        raise InputError("The conductivity map is 0 S/m everywhere; there is no head to render.")
    sizes = np.asarray(sizes, float)
    solid = np.pad(outline(conductivity > 0), 4)
    conductivity = np.pad(conductivity, 4)
    smooth = ndimage.gaussian_filter(solid.astype(np.float32), 1.5 / sizes)
    view = np.array(VIEW) / np.linalg.norm(VIEW)
    # The cut goes through voxel centres, so that a face shows voxels and not their borders.
    centre = box_centre(solid) * sizes
    inward = np.sign(view)

    def inside(points: np.ndarray) -> np.ndarray:
        """Above 0 in the remaining part of the head."""
        removed = ((points - centre) * inward).min(axis=1)  # mm, above 0 in the octant
        return np.minimum(_sample(smooth, points / sizes) - 0.5, -removed)

    origins, length, shape = _rays(np.array(solid.shape) * sizes, view, pixel)
    hit, points = _march(inside, origins, -view, length)
    image = np.ones((len(origins), 3))
    image[hit] = _shade(points, conductivity, solid, smooth, sizes, centre, inward, limits)
    image = image.reshape(*shape, 3)
    seen = bounding_box((image < 1).any(axis=2, keepdims=True), margin=4)
    return image[seen[:2]]


def outline(mask: np.ndarray) -> np.ndarray:
    """Largest connected part of a mask, filled slice by slice along each axis."""
    parts, count = ndimage.label(mask)
    if count > 1:
        mask = parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])
    return fill_slices(mask)


def _rays(
    extent: np.ndarray, view: np.ndarray, pixel: float
) -> tuple[np.ndarray, float, tuple[int, int]]:
    """Starts (rays, 3) of parallel rays over a box from 0 to `extent` mm, their length, shape."""
    right = np.cross(-view, (0, 0, 1.0))
    right /= np.linalg.norm(right)
    up = np.cross(right, -view)
    corners = np.array(np.meshgrid(*((0, x) for x in extent))).reshape(3, -1).T
    spans = [(corners @ axis).min() for axis in (right, up, -view)]
    widths = [np.ptp(corners @ axis) for axis in (right, up, -view)]
    columns, rows = (int(np.ceil(width / pixel)) for width in widths[:2])
    across = spans[0] + (np.arange(columns) + 0.5) * pixel
    height = spans[1] + (np.arange(rows)[::-1] + 0.5) * pixel  # the first row is the top
    starts = across[None, :, None] * right + height[:, None, None] * up - spans[2] * view
    return starts.reshape(-1, 3), widths[2], (rows, columns)


def _march(
    inside: Callable[[np.ndarray], np.ndarray],
    origins: np.ndarray,
    direction: np.ndarray,
    length: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the rays that meet the solid, and the (hits, 3) points where they do."""
    going = np.arange(len(origins))
    hits, depths = [], []
    for depth in np.arange(0, length, STEP):
        met = inside(origins[going] + depth * direction) > 0
        hits.append(going[met])
        depths.append(np.full(np.count_nonzero(met), depth))
        going = going[~met]
    hit, far = np.concatenate(hits), np.concatenate(depths)
    near = far - STEP
    for _ in range(8):  # to STEP / 256
        middle = (near + far) / 2
        met = inside(origins[hit] + middle[:, None] * direction) > 0
        near, far = np.where(met, near, middle), np.where(met, middle, far)
    return hit, origins[hit] + far[:, None] * direction


def _shade(
    points: np.ndarray,
    conductivity: np.ndarray,
    solid: np.ndarray,
    smooth: np.ndarray,
    sizes: np.ndarray,
    centre: np.ndarray,
    inward: np.ndarray,
    limits: tuple[float, float],
) -> np.ndarray:
    """Colours (hits, 3) of the points where rays meet skin or cut."""
    near = (points - centre) * inward
    face = near.argmin(axis=1)
    # A cut point is moved off the kinks of rounding.
    index = np.rint((points - 0.05 * inward) / sizes).astype(int)
    cut = (np.abs(near.min(axis=1)) < 0.05) & solid[tuple(index.T)]
    sigma = conductivity[tuple(index.T)]
    slopes = [
        _sample(smooth, (points + step) / sizes) - _sample(smooth, (points - step) / sizes)
        for step in np.diag(sizes)
    ]
    normal = -np.stack(slopes, axis=1)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    skin = np.flatnonzero(~cut)
    below = [points[skin] - depth * normal[skin] for depth in SKIN]
    conducts = (conductivity > 0).astype(np.float32)
    total = sum(_sample(conductivity, place / sizes) for place in below)
    weight = sum(_sample(conducts, place / sizes) for place in below)
    sigma[skin] = np.where(weight > 0, total / np.maximum(weight, 1e-6), 0)
    name, norm = conductivity_colours(limits)
    colours = colormaps[name](norm(np.maximum(sigma, limits[0])))[:, :3]
    colours[sigma <= 0] = _AIR
    light = np.array(LIGHT) / np.linalg.norm(LIGHT)
    lit = 0.45 + 0.55 * np.clip(normal @ light, 0, 1)
    return colours * np.where(cut, _FACES[face], lit)[:, None]


def _sample(volume: np.ndarray, index: np.ndarray) -> np.ndarray:
    return ndimage.map_coordinates(volume, index.T, order=1, mode="constant", prefilter=False)
