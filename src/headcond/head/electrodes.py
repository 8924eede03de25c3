"""Disc electrodes on the scalp: patches of surface triangles of a stated area."""

from __future__ import annotations

from collections.abc import Sequence

import numba
import numpy as np
from scipy.spatial import cKDTree

from headcond.checks import InputError, check_finite, check_positive, check_shape
from headcond.head import topology
from headcond.head.mesh import Electrodes, Mesh, triangle_areas

# A patch of nominal radius whose area is off by more than this factor is on a fold or an edge.
AREA_FACTOR = 1.5
# Triangles whose normal turns further than this away from the disc's belong to a fold.
_NORMAL_COSINE = np.cos(np.radians(75.0))
_FARTHEST = 0.02  # m, of a position from the surface
# Directions tried for a displaced electrode.
_DIRECTIONS = 12


def outer_surface(mesh: Mesh) -> np.ndarray:
    """Triangles (F, 3) of the surface that bounds the head from outside, outward oriented.

    Cavities inside the mesh are surfaces of their own; the outer one is the
    edge-connected component that encloses the largest volume.
    """
    triangles = topology.boundary_faces(mesh.tetrahedra, topology.face_neighbours(mesh.tetrahedra))[
        0
    ]
    number = topology.triangle_components(triangles)
    a, b, c = (mesh.nodes[triangles[:, corner]] for corner in range(3))
    enclosed = np.bincount(number, np.einsum("fi,fi->f", a, np.cross(b, c)) / 6.0)
    return triangles[number == np.argmax(enclosed)]


def place_discs(
    mesh: Mesh, labels: Sequence[str], positions: np.ndarray, diameter: float = 0.012
) -> Electrodes:
    """Put round electrodes onto the head's outer surface.

    Each position goes to the nearest point of the outer surface. The disc is in the
    plane through it, normal to the mean normal of the surface there; the triangles
    connected to the centre whose normals are within 75 degrees of the disc's belong to it
    with the part of their projection onto the plane that is inside the circle, whose radius
    is then scaled until the covered area of the (curved) surface is pi d^2 / 4.

    Parameters
    ----------
    mesh : the head.
    labels : (L,) unique names.
    positions : (L, 3) m, near the scalp.
    diameter : of the discs, m.

    Returns
    -------
    Electrodes with the projected centres.

    Raises
    ------
    InputError
        If a position is further than 20 mm from the surface, two discs overlap, or the area
        of a disc of nominal radius is off by more than a factor of `AREA_FACTOR` (it is on a
        fold or at an edge of the surface).
    """
    positions = check_finite(
        "electrode positions", check_shape("electrode positions", positions, (len(labels), 3))
    )
    diameter = check_positive("electrode diameter", diameter)
    surface = _Surface(mesh)
    centres, hosts, distances = surface.project(np.asarray(positions, float))
    off = [
        f"{label} ({1e3 * far:.0f} mm)"
        for label, far in zip(labels, distances, strict=True)
        if far > _FARTHEST
    ]
    if off:
        raise InputError(
            f"Electrodes off the head by more than {1e3 * _FARTHEST:g} mm: {', '.join(off)}. "
            "Positions are in metres, in the world coordinates of the head."
        )
    _refuse_overlap(labels, centres, diameter)
    discs = [
        surface.disc(centre, host, diameter, label)
        for label, centre, host in zip(labels, centres, hosts, strict=True)
    ]
    return Electrodes(
        tuple(labels), centres, tuple(d[0] for d in discs), tuple(d[1] for d in discs)
    )


def displace_discs(
    mesh: Mesh,
    electrodes: Electrodes,
    distance: float,
    diameter: float,
    generator: np.random.Generator,
) -> Electrodes:
    """Move every disc along the scalp in a random direction of its own.

    Directions are tried in a random order until the new disc overlaps none of the others,
    moved ones and those still to be moved, and is not on a fold; without such a direction
    the electrode stays.

    Parameters
    ----------
    mesh : the head.
    electrodes : discs on its surface.
    distance : in the tangent plane before projection onto the surface, m.
    diameter : of the discs, m.
    generator : see `headcond.random.generator`.

    Returns
    -------
    The moved discs, with the same labels.
    """
    check_positive("distance", distance)
    surface = _Surface(mesh)
    centres = electrodes.centres.copy()
    faces, weights = list(electrodes.faces), list(electrodes.weights)
    for n, label in enumerate(electrodes.labels):
        normal = _unit(_area_vectors(mesh.nodes, electrodes.faces[n]).sum(axis=0))
        first, second = _tangents(normal)
        turns = 2 * np.pi * (np.arange(_DIRECTIONS) + generator.random()) / _DIRECTIONS
        steps = np.outer(np.cos(turns), first) + np.outer(np.sin(turns), second)
        wanted = centres[n] + distance * generator.permutation(steps)
        others = np.delete(centres, n, axis=0)
        for centre, host in zip(*surface.project(wanted)[:2], strict=True):
            if len(others) and np.linalg.norm(others - centre, axis=1).min() < diameter:
                continue
            try:
                faces[n], weights[n] = surface.disc(centre, host, diameter, label)
            except InputError:  # a fold: another direction
                continue
            centres[n] = centre
            break
    return Electrodes(electrodes.labels, centres, tuple(faces), tuple(weights))


class _Surface:
    """The head's outer surface with the neighbours of its triangles."""

    def __init__(self, mesh: Mesh) -> None:
        self.nodes, self.triangles = mesh.nodes, outer_surface(mesh)
        one, other = topology.triangle_pairs(self.triangles)
        source, goal = np.concatenate([one, other]), np.concatenate([other, one])
        ends = np.cumsum(np.bincount(source, minlength=len(self.triangles)))
        self.neighbours = np.split(goal[np.argsort(source, kind="stable")], ends[:-1])

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Nearest surface points (L, 3), their triangles (L,) and distances (L,)."""
        corners = self.nodes[self.triangles]
        middle = corners.mean(axis=1)
        reach = np.max(np.linalg.norm(corners - middle[:, None], axis=2))
        tree = cKDTree(middle)
        nearest = tree.query(points)[0]
        feet, hosts = np.empty_like(points), np.empty(len(points), int)
        for n, point in enumerate(points):
            # A triangle's nearest point is at most `reach` nearer than its centroid.
            near = np.array(sorted(tree.query_ball_point(point, nearest[n] + reach)))
            closest = nearest_on_triangles(point, corners[near])
            best = int(np.argmin(np.sum((closest - point) ** 2, axis=1)))
            feet[n], hosts[n] = closest[best], near[best]
        return feet, hosts, np.linalg.norm(feet - points, axis=1)

    def disc(
        self, centre: np.ndarray, host: int, diameter: float, label: str
    ) -> tuple[np.ndarray, np.ndarray]:
        """Triangles (F, 3) of a disc and the covered part (F,) of each."""
        radius, wanted = diameter / 2, np.pi * diameter**2 / 4
        # Mean normal of what is within the radius: first of all of it, then of what faces its way.
        near = self._connected(centre, host, None, radius)
        for _ in range(2):
            normal = _unit(self._area_vectors(near).sum(axis=0))
            near = self._connected(centre, host, normal, radius)
        near = self._connected(centre, host, normal, AREA_FACTOR * radius)
        triangles = self.triangles[near]
        flat = (self.nodes[triangles] - centre) @ np.stack(_tangents(normal), axis=1)
        areas, projected = triangle_areas(self.nodes, triangles), self._area_vectors(near) @ normal

        def parts(r: float) -> np.ndarray:
            return circle_overlaps(flat, r) / projected

        covered = float(parts(radius) @ areas)
        if not wanted / AREA_FACTOR <= covered <= wanted * AREA_FACTOR:
            raise InputError(
                f"Electrode {label}: a disc of {1e3 * diameter:g} mm covers {1e6 * covered:.0f} "
                f"mm2 of surface instead of {1e6 * wanted:.0f}: it is on a fold or an edge. Move "
                "it."
            )
        low, high = 0.0, AREA_FACTOR * radius
        for _ in range(60):  # the covered area grows with the radius
            r = 0.5 * (low + high)
            low, high = (r, high) if parts(r) @ areas < wanted else (low, r)
        part = np.clip(parts(high), 0.0, 1.0)
        reached = float(part @ areas)
        if abs(reached - wanted) > 1e-3 * wanted:
            raise InputError(
                f"Electrode {label}: the surface around it holds only {1e6 * reached:.0f} mm2 of "
                f"the {1e6 * wanted:.0f} mm2 of a disc. Move it."
            )
        keep = part * areas > 1e-9 * wanted
        return triangles[keep], part[keep]

    def _connected(
        self, centre: np.ndarray, host: int, normal: np.ndarray | None, radius: float
    ) -> np.ndarray:
        """Triangles (ascending) connected to `host`, within `radius`, facing as `normal` does."""

        def facing(triangles: np.ndarray) -> np.ndarray:
            vectors = self._area_vectors(triangles)
            return vectors @ normal > _NORMAL_COSINE * np.linalg.norm(vectors, axis=1)

        reached, front = {host}, [host]
        while front:
            rim = np.array(
                sorted({int(n) for t in front for n in self.neighbours[t]} - reached), int
            )
            near = nearest_on_triangles(centre, self.nodes[self.triangles[rim]])
            reach = np.sum((near - centre) ** 2, axis=1) < radius**2
            if normal is not None:
                reach &= facing(rim)
            front = rim[reach].tolist()
            reached.update(front)
        patch = np.array(sorted(reached), int)
        # The host may be a sliver that turns.
        return patch if normal is None else patch[facing(patch)]

    def _area_vectors(self, numbers: np.ndarray) -> np.ndarray:
        return _area_vectors(self.nodes, self.triangles[numbers])


def nearest_on_triangles(point: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Point (F, 3) of each triangle (F, 3 corners, 3) nearest to `point` (3,)."""
    a, b, c = corners.transpose(1, 0, 2)
    feet = []
    for p, q in ((a, b), (b, c), (c, a)):
        edge = q - p
        along = np.einsum("fi,fi->f", point - p, edge) / np.einsum("fi,fi->f", edge, edge)
        feet.append(p + np.clip(along, 0, 1)[:, None] * edge)
    far = [np.sum((foot - point) ** 2, axis=1) for foot in feet]
    nearest = np.stack(feet)[np.argmin(far, axis=0), np.arange(len(corners))]
    normal = np.cross(b - a, c - a)
    square = np.einsum("fi,fi->f", normal, normal)
    foot = point - (np.einsum("fi,fi->f", point - a, normal) / square)[:, None] * normal
    inside = np.ones(len(corners), bool)
    for p, q in ((a, b), (b, c), (c, a)):
        inside &= np.einsum("fi,fi->f", np.cross(q - p, foot - p), normal) >= 0
    return np.where(inside[:, None], foot, nearest)


def _refuse_overlap(labels: Sequence[str], centres: np.ndarray, diameter: float) -> None:
    pairs = sorted(cKDTree(centres).query_pairs(diameter * (1 - 1e-9))) if len(labels) > 1 else []
    if pairs:
        overlaps = ", ".join(
            f"{labels[i]}-{labels[j]} ({1e3 * np.linalg.norm(centres[i] - centres[j]):.1f} mm)"
            for i, j in pairs
        )
        raise InputError(
            f"Electrodes of {1e3 * diameter:g} mm overlap, centre to centre: {overlaps}. "
            "Move them apart or make the diameter smaller."
        )


def _area_vectors(nodes: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    a, b, c = nodes[triangles].transpose(1, 0, 2)
    return 0.5 * np.cross(b - a, c - a)


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def _tangents(normal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    first = _unit(np.cross(normal, np.eye(3)[np.argmin(np.abs(normal))]))
    return first, np.cross(normal, first)


@numba.njit(cache=True)
def circle_overlaps(triangles: np.ndarray, radius: float) -> np.ndarray:
    """Areas (F,) that plane triangles (F, 3, 2) share with the circle about the origin.

    Each edge p -> q adds the signed area of what the triangle (origin, p, q) has inside the
    circle: a sector before the edge enters the circle, a triangle within, a sector after.
    """
    areas = np.empty(len(triangles))
    for f in range(len(triangles)):
        total = 0.0
        for corner in range(3):
            p, q = triangles[f, corner], triangles[f, (corner + 1) % 3]
            ex, ey = q[0] - p[0], q[1] - p[1]
            a, b = ex * ex + ey * ey, p[0] * ex + p[1] * ey
            root = b * b - a * (p[0] * p[0] + p[1] * p[1] - radius * radius)
            enters = leaves = 0.0
            if root > 0 and a > 0:
                enters = min(max((-b - np.sqrt(root)) / a, 0.0), 1.0)
                leaves = min(max((-b + np.sqrt(root)) / a, 0.0), 1.0)
            if enters == leaves:
                total += radius * radius * _angle(p[0], p[1], q[0], q[1])
                continue
            ux, uy = p[0] + enters * ex, p[1] + enters * ey
            vx, vy = p[0] + leaves * ex, p[1] + leaves * ey
            total += ux * vy - uy * vx
            if enters > 0.0:
                total += radius * radius * _angle(p[0], p[1], ux, uy)
            if leaves < 1.0:
                total += radius * radius * _angle(vx, vy, q[0], q[1])
        areas[f] = 0.5 * abs(total)
    return areas


@numba.njit(cache=True)
def _angle(px, py, qx, qy):  # noqa: ANN001
    return np.arctan2(px * qy - py * qx, px * qx + py * qy)
