"""Topology of a tetrahedral mesh: faces, neighbours, nodes' tetrahedra, components."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sparse
from scipy.sparse.csgraph import connected_components

from headcond.checks import InputError

# Outward faces of a positively oriented tetrahedron; face f is opposite to node (3, 2, 1, 0)[f].
FACES = ((0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3))


def face_neighbours(tetrahedra: np.ndarray) -> np.ndarray:
    """Tetrahedra behind the four faces of each tetrahedron.

    Parameters
    ----------
    tetrahedra : (M, 4) node indices.

    Returns
    -------
    (M, 4) int64; entry (t, f) is the tetrahedron that shares face `FACES[f]` of t, -1 if none.

    Raises
    ------
    InputError
        If three tetrahedra share one face.
    """
    count = len(tetrahedra)
    faces = np.sort(np.stack([tetrahedra[:, list(face)] for face in FACES], axis=1), axis=2)
    faces = faces.reshape(-1, 3)
    base = int(tetrahedra.max()) + 1
    if base < 2_000_000:  # three indices fit one 64-bit key, which sorts ten times faster
        faces = faces.astype(np.int64)
        key = (faces[:, 0] * base + faces[:, 1]) * base + faces[:, 2]
        order = np.argsort(key, kind="stable")
        same = key[order[1:]] == key[order[:-1]]
    else:
        order = np.lexsort(faces.T[::-1])
        same = np.all(faces[order[1:]] == faces[order[:-1]], axis=1)
    if np.any(same[1:] & same[:-1]):
        raise InputError("Three tetrahedra share one face: the mesh overlaps itself.")
    neighbours = np.full(4 * count, -1, np.int64)
    first, second = order[:-1][same], order[1:][same]
    neighbours[first] = second // 4
    neighbours[second] = first // 4
    return neighbours.reshape(count, 4)


def node_tetrahedra(tetrahedra: np.ndarray, nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Tetrahedra of each node as (indptr (nodes + 1,), tetrahedron numbers (4 M,)), ascending."""
    flat = tetrahedra.ravel()
    order = np.argsort(flat, kind="stable")
    indptr = np.zeros(nodes + 1, np.int64)
    np.cumsum(np.bincount(flat, minlength=nodes), out=indptr[1:])
    return indptr, (order // 4).astype(np.int64)


def face_pairs(neighbours: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both tetrahedra (F,), (F,) of every inner face, each face once."""
    one = np.repeat(np.arange(len(neighbours)), 4)
    other = neighbours.ravel()
    once = other > one
    return one[once], other[once]


def components(neighbours: np.ndarray, same: np.ndarray | None = None) -> np.ndarray:
    """Number (M,) of the face-connected component of each tetrahedron.

    With `same` (M,), only faces between tetrahedra of equal value connect.
    """
    one, other = face_pairs(neighbours)
    if same is not None:
        joined = same[one] == same[other]
        one, other = one[joined], other[joined]
    return _pieces(one, other, len(neighbours))


def boundary_faces(tetrahedra: np.ndarray, neighbours: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Outward boundary triangles (F, 3) and the tetrahedron (F,) that each belongs to."""
    tets, face = np.nonzero(neighbours < 0)
    corners = np.array(FACES)[face]
    return tetrahedra[tets[:, None], corners], tets


def triangle_components(triangles: np.ndarray) -> np.ndarray:
    """Number (F,) of the edge-connected component of each triangle."""
    return _pieces(*triangle_pairs(triangles), len(triangles))


def _pieces(one: np.ndarray, other: np.ndarray, count: int) -> np.ndarray:
    graph = sparse.coo_matrix((np.ones(len(one), bool), (one, other)), (count, count))
    return connected_components(graph, directed=False)[1]


def triangle_pairs(triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (E,), (E,) of triangles that share an edge.

    Where more than two meet in one edge (two parts of a head that touch along a line),
    only those that follow each other in the mesh's numbering are paired.
    """
    edges = np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1).astype(np.int64)
    key = edges[:, 0] * (int(triangles.max()) + 1) + edges[:, 1]
    order = np.argsort(key, kind="stable")
    same = key[order[1:]] == key[order[:-1]]
    return order[:-1][same] // 3, order[1:][same] // 3
