"""Cuts through tetrahedral meshes, and surfaces of the head from three sides."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from headcond.figures.slices import PLANES
from headcond.figures.style import COLOURS, TISSUE_COLOURS, new_figure, tissue_legend

# Direction from which a person looks, the world axes along x and y, and their signs.
VIEWS = {
    "from the left": ((-1, 0, 0), ((1, -1), (2, 1))),
    "from the front": ((0, 1, 0), ((0, -1), (2, 1))),
    "from above": ((0, 0, 1), ((0, 1), (1, 1))),
}
_DRAWN_EDGES = 12_000  # polygons of a cut up to which their edges are drawn
_EDGES = np.array([(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)])


def plot_mesh_cuts(
    nodes: np.ndarray,
    tetrahedra: np.ndarray,
    tissue: np.ndarray,
    names: Sequence[str],
    through: np.ndarray,
) -> Figure:
    """Draw three cuts of a mesh through the point `through` (3,) m, coloured by tissue.

    nodes (N, 3) m, tetrahedra (M, 4), tissue (M,) with id k for names[k - 1].
    """
    figure, axes = new_figure(11.5, 4.0, 1, 3)
    for panel, (title, (axis, across, up)) in zip(axes[0], PLANES.items(), strict=True):
        polygons, owner = plane_polygons(nodes, tetrahedra, axis, through[axis])
        shown = [polygon[:, (across, up)] * 1e3 for polygon in polygons]
        colours = [TISSUE_COLOURS[names[tissue[element] - 1]] for element in owner]
        # Edges of a fine mesh would blacken its tissues.
        edge = "0.25" if len(shown) < _DRAWN_EDGES else "face"
        panel.add_collection(
            PolyCollection(shown, facecolors=colours, edgecolors=edge, linewidths=0.15)
        )
        panel.autoscale_view()
        xlabel, ylabel = f"{'xyz'[across]} (mm)", f"{'xyz'[up]} (mm)"
        panel.set(aspect="equal", title=title, xlabel=xlabel, ylabel=ylabel)
    tissue_legend(figure, axes[0, 0], names, loc="outside lower center", ncols=len(names))
    return figure


def plot_potential_cuts(
    nodes: np.ndarray,
    tetrahedra: np.ndarray,
    fields: dict[str, np.ndarray],
    through: np.ndarray,
    percentile: float = 98.0,
) -> Figure:
    """Draw potentials (N,) at the nodes in sagittal and coronal cuts, a column per title.

    Each column is divided by a percentile of its absolute values, so that the peaks at the
    electrodes do not hide the rest.
    """
    figure, axes = new_figure(2.9 * len(fields), 6.2, 2, len(fields))
    for row, name in enumerate(("sagittal", "coronal")):
        axis, across, up = PLANES[name]
        polygons, owner = plane_polygons(nodes, tetrahedra, axis, through[axis])
        shown = [polygon[:, (across, up)] * 1e3 for polygon in polygons]
        for panel, (title, field) in zip(axes[row], fields.items(), strict=True):
            values = field[tetrahedra[owner]].mean(axis=1)
            values = values - np.median(values)
            limit = np.percentile(np.abs(values), percentile)
            image = PolyCollection(
                shown, array=values / limit, cmap="RdBu_r", clim=(-1, 1), edgecolors="face",
                linewidths=0.1,
            )  # fmt: skip
            panel.add_collection(image)
            panel.autoscale_view()
            panel.set(aspect="equal", xlabel=f"{'xyz'[across]} (mm)")
            panel.set_title(f"{title}\n{name}" if row == 0 else name)
        axes[row, 0].set_ylabel(f"{'xyz'[up]} (mm)")
    figure.colorbar(image, ax=axes, shrink=0.6, label=f"potential / {percentile:g}th percentile")
    return figure


def plane_polygons(
    nodes: np.ndarray, tetrahedra: np.ndarray, axis: int, height: float
) -> tuple[list[np.ndarray], np.ndarray]:
    """Polygons in which the plane x[axis] = height cuts the tetrahedra.

    Returns
    -------
    polygons : list of (3 or 4, 3) corners in order around the polygon.
    owner : (number of polygons,) index of the tetrahedron of each.
    """
    side = nodes[:, axis] >= height
    above = side[tetrahedra].sum(axis=1)
    owner = np.flatnonzero((above > 0) & (above < 4))
    corners = nodes[tetrahedra[owner]]
    start, end = corners[:, _EDGES[:, 0]], corners[:, _EDGES[:, 1]]
    crossed = side[tetrahedra[owner]][:, _EDGES[:, 0]] != side[tetrahedra[owner]][:, _EDGES[:, 1]]
    rise = end[..., axis] - start[..., axis]
    part = np.where(crossed, (height - start[..., axis]) / np.where(crossed, rise, 1.0), 0.0)
    points = start + part[..., None] * (end - start)
    plane = [i for i in range(3) if i != axis]
    polygons = []
    for point, hit in zip(points, crossed, strict=True):
        polygon = point[hit]
        around = polygon[:, plane] - polygon[:, plane].mean(axis=0)
        polygons.append(polygon[np.argsort(np.arctan2(around[:, 1], around[:, 0]))])
    return polygons, owner


def plot_surface(
    nodes: np.ndarray,
    triangles: np.ndarray,
    *,
    values: np.ndarray | None = None,
    unit: str = "",
    signed: bool = True,
    marked: np.ndarray | None = None,
    points: dict[str, np.ndarray] | None = None,
    cloud: np.ndarray | None = None,
    lines: Sequence[np.ndarray] = (),
) -> Figure:
    """Draw a surface from the left, the front and above.

    Parameters
    ----------
    nodes, triangles : (N, 3) m and (F, 3), outward oriented.
    values : (F,) values that colour the triangles, on a scale labelled `unit`; skin if None.
    signed : centre the scale at zero, instead of from zero up.
    marked : (F,) bool, triangles drawn in dark grey (electrode patches).
    points : name -> world position (3,) m, drawn as a dot with its name where visible.
    cloud : points (K, 3) m drawn over the surface as dots (the windings of a coil).
    lines : polylines (K, 3) m drawn over the surface (its handle).
    """
    figure, axes = new_figure(12.0, 4.4, 1, 3)
    corners = nodes[triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-300)
    light = np.array([-0.35, 0.5, 0.8]) / np.linalg.norm([-0.35, 0.5, 0.8])
    image = None
    for panel, (title, (towards, plane)) in zip(axes[0], VIEWS.items(), strict=True):
        view = np.array(towards, float)
        seen = np.flatnonzero(normals @ view > 0)
        # Painter's order: far triangles first.
        seen = seen[np.argsort((corners[seen].mean(axis=1)) @ view)]

        def flat(xyz: np.ndarray, plane: tuple = plane) -> np.ndarray:
            return np.stack([xyz[..., axis] * sign for axis, sign in plane], axis=-1) * 1e3

        # Smoothed edges of small triangles would let those behind shine through.
        faces = PolyCollection(flat(corners[seen]), linewidths=0.1, antialiaseds=len(seen) < 20_000)
        if values is None:
            shade = 0.55 + 0.45 * np.clip(normals[seen] @ (light + view) / 1.6, 0, 1)
            colour = np.array([0.91, 0.76, 0.66])[None] * shade[:, None]
            if marked is not None:
                colour[marked[seen]] = (0.15, 0.25, 0.45)
            faces.set_facecolor(colour)
            faces.set_edgecolor(colour)
        else:
            span = np.max(np.abs(values))
            colours = ("RdBu_r", (-span, span)) if signed else ("viridis", (0.0, span))
            faces.set(array=values[seen], cmap=colours[0], clim=colours[1], edgecolor="face")
            image = faces
        panel.add_collection(faces)
        for name, position in (points or {}).items():
            nearest = np.argmin(np.linalg.norm(corners.mean(axis=1) - position, axis=1))
            if normals[nearest] @ view > 0.15:
                place = {"xytext": (0, 3), "textcoords": "offset points", "ha": "center"}
                text = panel.annotate(name, flat(position), fontsize=7, va="bottom", **place)
                text.set_path_effects([withStroke(linewidth=2, foreground="white")])
                panel.plot(*flat(position), ".", color="black", markersize=3)
        if cloud is not None:
            panel.plot(*flat(cloud).T, ".", color=COLOURS[1], markersize=1)
        for line in lines:
            panel.plot(*flat(line).T, "-", color=COLOURS[1], linewidth=2.5)
        panel.autoscale_view()
        panel.set(aspect="equal", title=title, xticks=[], yticks=[])
        panel.spines[:].set_visible(False)
    if image is not None:
        figure.colorbar(image, ax=axes[0].tolist(), label=unit, shrink=0.7)
    return figure
