"""P1 finite elements on tetrahedra: one sparsity pattern, one stiffness block per tissue.

All integrals are exact: on a tetrahedron of volume V with constant conductivity tensor s,
int s grad phi_a . grad phi_b = V (s g_a) . g_b with the constant gradients g_a.
"""

from __future__ import annotations

from collections.abc import Collection

import numba
import numpy as np
from scipy.spatial import cKDTree

from headcond.checks import InputError, check_finite, check_option, check_shape
from headcond.head.mesh import Mesh, boundary_triangles


def gradients(nodes: np.ndarray, tetrahedra: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gradients of the barycentric coordinates and signed volumes.

    Parameters
    ----------
    nodes : (N, 3) m.
    tetrahedra : (M, 4).

    Returns
    -------
    gradients : (M, 4, 3) 1/m; their sum over the corners is zero.
    volumes : (M,) m^3, positive if well oriented.

    >>> g, v = gradients(np.vstack([np.zeros(3), np.eye(3)]), np.array([[0, 1, 2, 3]]))
    >>> (6 * v).round(12).tolist(), g[0, 0].tolist()
    ([1.0], [-1.0, -1.0, -1.0])
    """
    corner = nodes[tetrahedra]
    e1, e2, e3 = (corner[:, k] - corner[:, 0] for k in (1, 2, 3))
    dual = np.stack([np.cross(e2, e3), np.cross(e3, e1), np.cross(e1, e2)], axis=1)
    six = np.einsum("mi,mi->m", e1, dual[:, 0])
    dual /= six[:, None, None]
    return np.concatenate([-dual.sum(axis=1, keepdims=True), dual], axis=1), six / 6.0


def sparsity_pattern(
    tetrahedra: np.ndarray, nodes: int, patches: Collection[np.ndarray] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """CSR pattern of a mesh with electrodes: nodes sharing an element, electrodes their nodes.

    Parameters
    ----------
    tetrahedra : (M, 4) node indices.
    nodes : number N of nodes.
    patches : one (F_l, 3) array of triangles per electrode; electrode l is unknown N + l.

    Returns
    -------
    indptr : (N + L + 1,), indices : (nnz,), sorted in each row; int64 if nnz needs it,
    int32 otherwise.
    """
    members = [np.unique(patch) for patch in patches]
    node = np.concatenate([*members, np.empty(0, np.int64)]).astype(np.int64)
    electrode = np.repeat(np.arange(len(members)), [len(m) for m in members])
    order = np.argsort(node, kind="stable")
    start = np.searchsorted(node[order], np.arange(nodes + 1))
    indptr, indices = _node_rows(
        np.ascontiguousarray(tetrahedra, dtype=np.int64), nodes, start, nodes + electrode[order]
    )
    rows = [np.append(m, nodes + number) for number, m in enumerate(members)]
    indptr = np.append(indptr, indptr[-1] + np.cumsum([len(row) for row in rows], dtype=np.int64))
    kind = np.int64 if indptr[-1] > np.iinfo(np.int32).max else np.int32
    indices = np.concatenate([indices.astype(kind, copy=False), *rows])
    return indptr.astype(kind), indices.astype(kind, copy=False)


def add_stiffness(
    data: np.ndarray,
    indptr: np.ndarray,
    indices: np.ndarray,
    mesh: Mesh,
    blocks: np.ndarray,
    normals: np.ndarray | None = None,
) -> None:
    """Add the stiffness of every tetrahedron to its block, in place.

    Parameters
    ----------
    data : (Q, nnz) values on the pattern `indptr`, `indices`.
    mesh : whose nodes are the first unknowns.
    blocks : (T, 2) for tissue t: (q, -1) if isotropic, (radial, tangential) otherwise.
    normals : (M, 3) radial directions, unit length in tetrahedra of anisotropic tissues;
        None if there are none. sigma = sigma_r n n^T + sigma_t (I - n n^T).
    """
    if normals is None:
        normals = np.empty((0, 3))
    _scatter(
        data, indptr, indices, np.ascontiguousarray(mesh.nodes, dtype=float),
        np.ascontiguousarray(mesh.tetrahedra, dtype=np.int64),
        mesh.tissue.astype(np.int64) - 1, np.ascontiguousarray(blocks, dtype=np.int64),
        np.ascontiguousarray(normals, dtype=float),
    )  # fmt: skip


def add_values(
    data: np.ndarray,
    indptr: np.ndarray,
    indices: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    values: np.ndarray,
) -> None:
    """Add `values` (k,) at (`rows`, `columns`) to one block `data` (nnz,), in place.

    Raises
    ------
    InputError
        If an entry is not part of the pattern.
    """
    missing = _add_values(data, indptr, indices, rows.astype(np.int64), columns.astype(np.int64),
                          values.astype(float))  # fmt: skip
    if missing:
        raise InputError(f"{missing} entries lie outside the sparsity pattern of the mesh.")


def radial_directions(mesh: Mesh, tissues: Collection[str], reference: str) -> np.ndarray:
    """Radial directions (M, 3) of a head's tissues, named by what they are relative to.

    Parameters
    ----------
    mesh : head with the tissue `scalp`.
    tissues : names of the tissues that need directions.
    reference : normal of the nearest part of the outer "skull" (surface of all that is not
        scalp) or of the "scalp"; or away from the "centre" of all that is not scalp.
    """
    check_option("radial reference", reference, ("skull", "scalp", "centre"))
    outer = _elements(mesh, ["scalp"])
    if reference == "scalp":
        return normals_from_surface(mesh, tissues, mesh.surface())
    inner = np.delete(mesh.tetrahedra, outer, axis=0)
    if reference == "centre":
        corners = mesh.nodes[inner]
        volume = np.linalg.det(corners[:, 1:] - corners[:, :1])
        return normals_from_centre(
            mesh, tissues, np.average(corners.mean(axis=1), axis=0, weights=volume)
        )
    return normals_from_surface(mesh, tissues, boundary_triangles(inner))


def normals_from_centre(mesh: Mesh, tissues: Collection[str], centre: np.ndarray) -> np.ndarray:
    """Radial directions away from one point (the brain's centre, say).

    Parameters
    ----------
    mesh : the mesh.
    tissues : names of the tissues that need directions.
    centre : (3,) m.

    Returns
    -------
    (M, 3) unit vectors from `centre` to the barycentres; zero in other tissues.
    """
    centre = check_finite("centre", check_shape("centre", np.asarray(centre, float), (3,)))
    chosen = _elements(mesh, tissues)
    normals = np.zeros((len(mesh.tetrahedra), 3))
    normals[chosen] = _unit(mesh.nodes[mesh.tetrahedra[chosen]].mean(axis=1) - centre)
    return normals


def normals_from_surface(mesh: Mesh, tissues: Collection[str], surface: np.ndarray) -> np.ndarray:
    """Radial directions from the normal of the nearest part of a surface.

    Parameters
    ----------
    mesh : the mesh.
    tissues : names of the tissues that need directions.
    surface : (F, 3) outward triangles of the mesh's nodes: the scalp (`mesh.surface()`) or
        the outer skull (`boundary_triangles` of the skull and all within).

    Returns
    -------
    (M, 3) unit vectors: at the point of the surface nearest to the barycentre, between the
    area-weighted normals of its triangle's corners; zero in other tissues.
    """
    check_shape("surface", surface, (None, 3))
    if len(surface) == 0:
        raise InputError("The surface that gives the radial directions has no triangle.")
    a, b, c = mesh.nodes[surface].transpose(1, 0, 2)
    area = np.cross(b - a, c - a)
    used, corner = np.unique(surface, return_inverse=True)
    corner = corner.reshape(-1, 3)
    vertex = np.zeros((len(used), 3))
    for k in range(3):
        np.add.at(vertex, corner[:, k], area)
    length = np.linalg.norm(vertex, axis=1)
    # A node where the surface folds onto itself has no normal: one of its triangles lends it.
    folded = np.flatnonzero(length <= 1e-6 * length.max())
    lender = np.zeros(len(used), int)
    lender[corner] = np.arange(len(surface))[:, None]
    vertex[folded] = area[lender[folded]]
    vertex = _unit(vertex)
    tree = cKDTree((a + b + c) / 3)
    chosen = _elements(mesh, tissues)
    normals = np.zeros((len(mesh.tetrahedra), 3))
    for part in np.array_split(chosen, max(1, len(chosen) // 50_000)):
        middle = mesh.nodes[mesh.tetrahedra[part]].mean(axis=1)
        normals[part] = _nearest_normals(middle, tree, mesh.nodes[used], corner, area, vertex)
    return normals


def _nearest_normals(
    points: np.ndarray,
    tree: cKDTree,
    nodes: np.ndarray,
    triangles: np.ndarray,
    area: np.ndarray,
    vertex: np.ndarray,
) -> np.ndarray:
    """Unit normals (K, 3) at the nearest of the triangles whose centroids are nearest."""
    near = tree.query(points, k=min(12, len(triangles)))[1].reshape(len(points), -1)
    corners = nodes[triangles[near]]  # (K, candidates, 3 corners, 3)
    normal = area[near]
    offset = points[:, None] - corners[..., 0, :]
    e1, e2 = (corners[..., k, :] - corners[..., 0, :] for k in (1, 2))
    square = np.maximum(np.einsum("kci,kci->kc", normal, normal), np.finfo(float).tiny)
    second = np.einsum("kci,kci->kc", np.cross(offset, e2), normal) / square
    third = np.einsum("kci,kci->kc", np.cross(e1, offset), normal) / square
    weight = np.clip(np.stack([1 - second - third, second, third], axis=-1), 0, None)
    weight /= weight.sum(axis=-1, keepdims=True)
    foot = np.einsum("kcv,kcvi->kci", weight, corners)
    best = np.argmin(np.linalg.norm(points[:, None] - foot, axis=2), axis=1)
    row = np.arange(len(points))
    return _unit(np.einsum("kv,kvi->ki", weight[row, best], vertex[triangles[near[row, best]]]))


def _elements(mesh: Mesh, tissues: Collection[str]) -> np.ndarray:
    for name in tissues:
        if name not in mesh.tissue_names:
            raise InputError(
                f"The mesh has no tissue {name!r}; it has {', '.join(mesh.tissue_names)}."
            )
    numbers = [mesh.tissue_names.index(name) + 1 for name in tissues]
    return np.flatnonzero(np.isin(mesh.tissue, numbers))


def _unit(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    if np.any(length == 0):
        raise InputError("A direction has length 0: a barycentre on the centre, or a flat fold.")
    return vectors / length


@numba.njit(cache=True)
def _node_rows(tetrahedra, nodes, extra_start, extra):  # noqa: ANN001
    """Rows of the nodes: neighbours by element, then electrodes; two passes, no sorting of all."""
    start = np.zeros(nodes + 1, np.int64)
    for m in range(tetrahedra.shape[0]):
        for a in range(4):
            start[tetrahedra[m, a] + 1] += 1
    for i in range(nodes):
        start[i + 1] += start[i]
    around = np.empty(start[nodes], np.int64)
    fill = start[:-1].copy()
    for m in range(tetrahedra.shape[0]):
        for a in range(4):
            i = tetrahedra[m, a]
            around[fill[i]] = m
            fill[i] += 1
    seen = np.full(nodes, -1, np.int64)
    indptr = np.zeros(nodes + 1, np.int64)
    for i in range(nodes):
        count = 0
        for k in range(start[i], start[i + 1]):
            for b in range(4):
                j = tetrahedra[around[k], b]
                if seen[j] != i:
                    seen[j] = i
                    count += 1
        indptr[i + 1] = indptr[i] + count + extra_start[i + 1] - extra_start[i]
    indices = np.empty(indptr[nodes], np.int64)
    seen[:] = -1
    for i in range(nodes):
        at = indptr[i]
        for k in range(start[i], start[i + 1]):
            for b in range(4):
                j = tetrahedra[around[k], b]
                if seen[j] != i:
                    seen[j] = i
                    indices[at] = j
                    at += 1
        indices[indptr[i] : at].sort()
        for k in range(extra_start[i], extra_start[i + 1]):
            indices[at] = extra[k]
            at += 1
    return indptr, indices


@numba.njit(cache=True)
def _position(indptr, indices, row, column):  # noqa: ANN001
    low, high = indptr[row], indptr[row + 1]
    while low < high:
        middle = (low + high) // 2
        if indices[middle] < column:
            low = middle + 1
        else:
            high = middle
    if low < indptr[row + 1] and indices[low] == column:
        return low
    return -1


@numba.njit(cache=True)
def _add_values(data, indptr, indices, rows, columns, values):  # noqa: ANN001
    missing = 0
    for k in range(rows.size):
        at = _position(indptr, indices, rows[k], columns[k])
        if at < 0:
            missing += 1
        else:
            data[at] += values[k]
    return missing


@numba.njit(cache=True)
def _scatter(data, indptr, indices, nodes, tetrahedra, tissue, blocks, normals):  # noqa: ANN001
    g = np.empty((4, 3))
    along = np.empty(4)
    for m in range(tetrahedra.shape[0]):
        corner = tetrahedra[m]
        o = nodes[corner[0]]
        e1 = nodes[corner[1]] - o
        e2 = nodes[corner[2]] - o
        e3 = nodes[corner[3]] - o
        for k in range(3):
            p, q = (k + 1) % 3, (k + 2) % 3
            g[1, k] = e2[p] * e3[q] - e2[q] * e3[p]
            g[2, k] = e3[p] * e1[q] - e3[q] * e1[p]
            g[3, k] = e1[p] * e2[q] - e1[q] * e2[p]
        six = e1[0] * g[1, 0] + e1[1] * g[1, 1] + e1[2] * g[1, 2]
        for k in range(3):
            g[0, k] = -(g[1, k] + g[2, k] + g[3, k])
        radial, tangential = blocks[tissue[m], 0], blocks[tissue[m], 1]
        if tangential >= 0:
            n = normals[m]
            for a in range(4):
                along[a] = g[a, 0] * n[0] + g[a, 1] * n[1] + g[a, 2] * n[2]
        factor = 1.0 / (6.0 * six)  # V / (6 V)^2: g is not yet divided by 6 V
        for a in range(4):
            for b in range(a):
                here = _position(indptr, indices, corner[a], corner[b])
                there = _position(indptr, indices, corner[b], corner[a])
                whole = factor * (g[a, 0] * g[b, 0] + g[a, 1] * g[b, 1] + g[a, 2] * g[b, 2])
                part = whole
                if tangential >= 0:
                    part = factor * along[a] * along[b]
                    rest = whole - part
                    data[tangential, here] += rest
                    data[tangential, there] += rest
                    data[tangential, _position(indptr, indices, corner[a], corner[a])] -= rest
                    data[tangential, _position(indptr, indices, corner[b], corner[b])] -= rest
                data[radial, here] += part
                data[radial, there] += part
                # Minus the sum of the row: keeps the constants in the kernel to the last digit.
                data[radial, _position(indptr, indices, corner[a], corner[a])] -= part
                data[radial, _position(indptr, indices, corner[b], corner[b])] -= part
