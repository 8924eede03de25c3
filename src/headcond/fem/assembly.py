"""P1 finite elements on tetrahedra: one sparsity pattern, one stiffness block per tissue.

All integrals are exact: on a tetrahedron of volume V with constant conductivity tensor s,
int s grad phi_a . grad phi_b = V (s g_a) . g_b with the constant gradients g_a.
"""

from __future__ import annotations

from collections.abc import Collection

import numba
import numpy as np

from headcond.checks import InputError
from headcond.head.mesh import Mesh


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
    missing = _add_values(
        data, indptr, indices, rows.astype(np.int64), columns.astype(np.int64), values.astype(float)
    )
    if missing:
        raise InputError(f"{missing} entries are outside the sparsity pattern of the mesh.")


@numba.njit(cache=True)
def _node_rows(tetrahedra, nodes, extra_start, extra):  # noqa: ANN001
    """Rows of the nodes: neighbours by element, then electrodes; two passes, no sorting of all."""
    start = np.zeros(nodes + 1, np.int64)
    for m in range(tetrahedra.shape[0]):
        for a in range(4):
            start[tetrahedra[m, a] + 1] += 1
    for i in range(nodes):
        start[i + 1] += start[i]
    elements = np.empty(start[nodes], np.int64)
    fill = start[:-1].copy()
    for m in range(tetrahedra.shape[0]):
        for a in range(4):
            i = tetrahedra[m, a]
            elements[fill[i]] = m
            fill[i] += 1
    seen = np.full(nodes, -1, np.int64)
    indptr = np.zeros(nodes + 1, np.int64)
    for i in range(nodes):
        count = 0
        for k in range(start[i], start[i + 1]):
            for b in range(4):
                j = tetrahedra[elements[k], b]
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
                j = tetrahedra[elements[k], b]
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
