"""Moves the nodes of a labelled lattice onto the tissue interfaces, within a quality guard."""

from __future__ import annotations

import numba
import numpy as np
from scipy import ndimage

from headcond.head.topology import FACES, node_tetrahedra

# No tetrahedron gets a dihedral angle below this, or above 180 degrees less this.
GUARD_DEGREES = 10.0
_SWEEPS = 8
_LARGEST_STEP = 0.3  # of the lattice's cell, per sweep
_SMOOTHING = 0.7  # voxels; takes the voxels' stairs off the interfaces


def distance_fields(labels: np.ndarray, spacing: np.ndarray, kinds: int) -> np.ndarray:
    """Distance to the nearest voxel of each label, slightly smoothed.

    Two labels a and b meet where their distances are equal: distance_a - distance_b is
    the signed distance to the interface, of slope one on both sides.

    Parameters
    ----------
    labels : (nx, ny, nz) uint8 below `kinds`, each of which occurs.
    spacing : (3,) edges of a voxel.
    kinds : number of labels, 0 included.

    Returns
    -------
    (kinds, nx, ny, nz) float32, in the unit of `spacing`.
    """
    fields = np.empty((kinds, *labels.shape), np.float32)
    for kind in range(kinds):
        far = ndimage.distance_transform_edt(labels != kind, sampling=spacing)
        ndimage.gaussian_filter(far.astype(np.float32), _SMOOTHING, output=fields[kind])
    return fields


def label_sets(
    tetrahedra: np.ndarray, neighbours: np.ndarray, label: np.ndarray, nodes: int
) -> np.ndarray:
    """Labels that meet in each node as bits (nodes,) uint32; bit 0 (air) on the boundary."""
    sets = np.zeros(nodes, np.uint32)
    bits = np.left_shift(np.uint32(1), label.astype(np.uint32))
    for corner in range(4):
        np.bitwise_or.at(sets, tetrahedra[:, corner], bits)
    tets, face = np.nonzero(neighbours < 0)
    corners = np.array(FACES)[face]
    sets[np.unique(tetrahedra[tets[:, None], corners])] |= np.uint32(1)
    return sets


def volumes(nodes: np.ndarray, tetrahedra: np.ndarray) -> np.ndarray:
    """Signed volumes (M,) of tetrahedra, in the cube of the unit of `nodes`."""
    a, b, c, d = (nodes[tetrahedra[:, corner]] for corner in range(4))
    return np.einsum("mi,mi->m", b - a, np.cross(c - a, d - a)) / 6.0


def snap(
    nodes: np.ndarray,
    tetrahedra: np.ndarray,
    sets: np.ndarray,
    fields: np.ndarray,
    to_voxel: np.ndarray,
    size: float,
    first: np.ndarray,
) -> np.ndarray:
    """Move interface nodes to where the distances of their labels agree; smooth the rest.

    Each sweep visits the nodes in order. A node where labels meet takes the damped Newton
    step to where the distances of the two nearest of them are equal, and slides along
    that interface towards the mean of its neighbours on it; the nodes around only slide.
    A step is halved, or dropped, where a dihedral angle would pass `GUARD_DEGREES`.

    Parameters
    ----------
    nodes : (N, 3) world coordinates.
    tetrahedra : (M, 4), all dihedral angles within the guard.
    sets : (N,) labels that meet in each node (`label_sets`).
    fields : (kinds, nx, ny, nz) `distance_fields`, in the unit of `nodes`.
    to_voxel : (4, 4) world -> voxel index.
    size : lattice cell, in the unit of `nodes`.
    first : (kinds,) bool, labels whose common surface goes first: where they and others meet
        in a node of three labels and more, the node goes to the interface between the nearest
        on either side. For the skull, whose thickness decides what current passes.

    Returns
    -------
    (N, 3) moved nodes.
    """
    indptr, tets = node_tetrahedra(tetrahedra, len(nodes))
    interface = (sets & (sets - np.uint32(1))) != 0
    active = interface.copy()
    for _ in range(2):
        active[np.unique(tetrahedra[active[tetrahedra].any(axis=1)])] = True
    moved = np.array(nodes, float)
    mesh = (tetrahedra, indptr, tets)
    frame = (np.ascontiguousarray(to_voxel[:3, :3]), to_voxel[:3, 3].copy())
    limits = (_LARGEST_STEP * size, np.cos(np.radians(GUARD_DEGREES)))
    for _ in range(_SWEEPS):
        _sweep(moved, mesh, sets, active, fields, frame, limits, np.asarray(first, bool))
    return moved


@numba.njit(cache=True)
def _sample(field, x, y, z, matrix, gradient):  # noqa: ANN001
    """Trilinear value; writes the world gradient. Outside the volume: that of its edge."""
    nx, ny, nz = field.shape
    x, y, z = (
        min(max(x, 0.0), nx - 1.001),
        min(max(y, 0.0), ny - 1.001),
        min(max(z, 0.0), nz - 1.001),
    )
    i, j, k = int(x), int(y), int(z)
    u, v, w = x - i, y - j, z - k
    f000, f001, f010, f011 = (
        field[i, j, k],
        field[i, j, k + 1],
        field[i, j + 1, k],
        field[i, j + 1, k + 1],
    )
    f100, f101, f110, f111 = (
        field[i + 1, j, k],
        field[i + 1, j, k + 1],
        field[i + 1, j + 1, k],
        field[i + 1, j + 1, k + 1],
    )
    low = (f000 * (1 - v) + f010 * v) * (1 - w) + (f001 * (1 - v) + f011 * v) * w
    high = (f100 * (1 - v) + f110 * v) * (1 - w) + (f101 * (1 - v) + f111 * v) * w
    dx = high - low
    dy = ((f010 - f000) * (1 - w) + (f011 - f001) * w) * (1 - u) + (
        (f110 - f100) * (1 - w) + (f111 - f101) * w
    ) * u
    dz = ((f001 - f000) * (1 - v) + (f011 - f010) * v) * (1 - u) + (
        (f101 - f100) * (1 - v) + (f111 - f110) * v
    ) * u
    for axis in range(3):
        gradient[axis] = dx * matrix[0, axis] + dy * matrix[1, axis] + dz * matrix[2, axis]
    return low * (1 - u) + high * u


@numba.njit(cache=True)
def _worst_cosine(nodes, a, b, c, d):  # noqa: ANN001
    """Largest |cos| of the six dihedral angles of a tetrahedron; 2 if it is not positive."""
    e1x, e1y, e1z = nodes[b, 0] - nodes[a, 0], nodes[b, 1] - nodes[a, 1], nodes[b, 2] - nodes[a, 2]
    e2x, e2y, e2z = nodes[c, 0] - nodes[a, 0], nodes[c, 1] - nodes[a, 1], nodes[c, 2] - nodes[a, 2]
    e3x, e3y, e3z = nodes[d, 0] - nodes[a, 0], nodes[d, 1] - nodes[a, 1], nodes[d, 2] - nodes[a, 2]
    # Area vectors of the faces opposite b, c, d; that opposite a closes the sum.
    bx, by, bz = e2y * e3z - e2z * e3y, e2z * e3x - e2x * e3z, e2x * e3y - e2y * e3x
    if e1x * bx + e1y * by + e1z * bz <= 0.0:
        return 2.0
    cx, cy, cz = e3y * e1z - e3z * e1y, e3z * e1x - e3x * e1z, e3x * e1y - e3y * e1x
    dx, dy, dz = e1y * e2z - e1z * e2y, e1z * e2x - e1x * e2z, e1x * e2y - e1y * e2x
    ax, ay, az = -bx - cx - dx, -by - cy - dy, -bz - cz - dz
    la, lb = ax * ax + ay * ay + az * az, bx * bx + by * by + bz * bz
    lc, ld = cx * cx + cy * cy + cz * cz, dx * dx + dy * dy + dz * dz
    worst = (ax * bx + ay * by + az * bz) ** 2 / (la * lb)
    worst = max(worst, (ax * cx + ay * cy + az * cz) ** 2 / (la * lc))
    worst = max(worst, (ax * dx + ay * dy + az * dz) ** 2 / (la * ld))
    worst = max(worst, (bx * cx + by * cy + bz * cz) ** 2 / (lb * lc))
    worst = max(worst, (bx * dx + by * dy + bz * dz) ** 2 / (lb * ld))
    worst = max(worst, (cx * dx + cy * dy + cz * dz) ** 2 / (lc * ld))
    return np.sqrt(worst)


@numba.njit(cache=True)
def _worst_around(nodes, tetrahedra, tets):  # noqa: ANN001
    worst = 0.0
    for t in tets:
        worst = max(
            worst,
            _worst_cosine(
                nodes, tetrahedra[t, 0], tetrahedra[t, 1], tetrahedra[t, 2], tetrahedra[t, 3]
            ),
        )
    return worst


@numba.njit(cache=True)
def _normal_system(point, kinds, fields, matrix, shift, ahead, system, right):  # noqa: ANN001
    """J^T J and -J^T r of the residuals d_k - mean d over the two labels nearest to a node.

    A node where more labels meet goes to the interface of the two nearest: in a layer
    thinner than the lattice, labels of both its sides meet, and a place between them would
    close the layer. On the boundary, air is one of the two; else, where labels `ahead` meet
    others, one of the two is ahead and one is not.
    """
    x = matrix[0, 0] * point[0] + matrix[0, 1] * point[1] + matrix[0, 2] * point[2] + shift[0]
    y = matrix[1, 0] * point[0] + matrix[1, 1] * point[1] + matrix[1, 2] * point[2] + shift[1]
    z = matrix[2, 0] * point[0] + matrix[2, 1] * point[1] + matrix[2, 2] * point[2] + shift[2]
    distances = np.empty(len(kinds))
    slopes = np.empty((len(kinds), 3))
    for n in range(len(kinds)):
        distances[n] = _sample(fields[kinds[n]], x, y, z, matrix, slopes[n])
    first = 0 if kinds[0] == 0 else int(np.argmin(distances))
    count = 0
    for kind in kinds:
        count += ahead[kind]
    two_sides = kinds[0] != 0 and 0 < count < len(kinds)
    second = -1
    for n in range(len(kinds)):
        if two_sides and ahead[kinds[n]] == ahead[kinds[first]]:
            continue
        if n != first and (second < 0 or distances[n] < distances[second]):
            second = n
    # With two labels, r = (d/2, -d/2) and J = (g/2, -g/2) of their difference d, gradient g.
    gap = distances[first] - distances[second]
    slope = slopes[first] - slopes[second]
    for p in range(3):
        right[p] = -0.5 * slope[p] * gap
        for q in range(3):
            system[p, q] = 0.5 * slope[p] * slope[q]


@numba.njit(cache=True)
def _sweep(nodes, mesh, sets, active, fields, frame, limits, ahead):  # noqa: ANN001
    tetrahedra, indptr, tets = mesh
    matrix, shift = frame
    largest, guard = limits
    system, right = np.empty((3, 3)), np.empty(3)
    mean, old, step = np.empty(3), np.empty(3), np.empty(3)
    for i in range(len(nodes)):
        if not active[i]:
            continue
        around = tets[indptr[i] : indptr[i + 1]]
        kinds = np.array([k for k in range(len(fields)) if (sets[i] >> k) & 1])
        mean[:] = 0.0
        count = 0
        for t in around:  # each neighbour counts once per tetrahedron that it shares
            for j in tetrahedra[t]:
                if j != i and (sets[j] & sets[i]) == sets[i]:
                    mean += nodes[j]
                    count += 1
        old[:] = nodes[i]
        step[:] = mean / count - old if count else old - old
        on_interface = len(kinds) > 1
        if on_interface:
            _normal_system(old, kinds, fields, matrix, shift, ahead, system, right)
            # Minimises |r + J s|^2 + w |s - slide|^2: on the interface first, smooth second.
            for axis in range(3):
                system[axis, axis] += 0.05
                right[axis] += 0.05 * 0.5 * step[axis]
            step[:] = np.linalg.solve(system, right)
        else:
            step *= 0.5
        length = np.sqrt(np.sum(step**2))
        if length == 0.0:
            continue
        if length > largest:
            step *= largest / length
        before = _worst_around(nodes, tetrahedra, around)
        limit = max(before, guard) if on_interface else before
        for _ in range(4):
            nodes[i] = old + step
            if _worst_around(nodes, tetrahedra, around) <= limit:
                break
            step *= 0.5
            nodes[i] = old
