"""Radial directions of an anisotropic skull, element by element."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from scipy.spatial import cKDTree

from headcond.checks import InputError, check_finite, check_option, check_shape
from headcond.head.mesh import Mesh, boundary_triangles


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
        centre = np.average(corners.mean(axis=1), axis=0, weights=volume)
        return normals_from_centre(mesh, tissues, centre)
    return normals_from_surface(mesh, tissues, boundary_triangles(inner))


def normals_from_centre(mesh: Mesh, tissues: Collection[str], centre: np.ndarray) -> np.ndarray:
    """Radial directions away from one point (such as the brain's centre).

    Parameters
    ----------
    mesh, tissues : as for `radial_directions`.
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
    mesh, tissues : as for `radial_directions`.
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
