"""The two things that the rest of headcond knows of a head model: its mesh and its electrodes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headcond.checks import InputError, check_finite, check_shape
from headcond.head import topology


@dataclass(frozen=True)
class Mesh:
    """A labelled tetrahedral mesh.

    Attributes
    ----------
    nodes : (N, 3) float64, metres, RAS+ world coordinates.
    tetrahedra : (M, 4) int64 node indices, positively oriented.
    tissue : (M,) uint8; tissue k (from 1) is `tissue_names[k - 1]`.
    tissue_names : names in the order of their ids.
    """

    nodes: np.ndarray
    tetrahedra: np.ndarray
    tissue: np.ndarray
    tissue_names: tuple[str, ...]

    def __post_init__(self) -> None:
        check_finite("mesh nodes", check_shape("mesh nodes", self.nodes, (None, 3)))
        check_shape("mesh tetrahedra", self.tetrahedra, (None, 4))
        check_shape("mesh tissue", self.tissue, (len(self.tetrahedra),))
        if len(self.tetrahedra) == 0:
            raise InputError("The mesh has no tetrahedron.")
        low, high = int(self.tetrahedra.min()), int(self.tetrahedra.max())
        if low < 0 or high >= len(self.nodes):
            raise InputError(f"Mesh tetrahedra name nodes {low}..{high} of {len(self.nodes)}.")
        low, high = int(self.tissue.min()), int(self.tissue.max())
        if low < 1 or high > len(self.tissue_names):
            raise InputError(
                f"Mesh tissues {low}..{high}: names exist for 1..{len(self.tissue_names)}."
            )

    def volumes(self) -> np.ndarray:
        """Signed volumes (M,) of the tetrahedra in m^3; positive if well oriented."""
        corner = self.nodes[self.tetrahedra]
        edges = corner[:, 1:] - corner[:, :1]
        return np.linalg.det(edges) / 6.0

    def surface(self) -> np.ndarray:
        """Boundary triangles (F, 3) of the mesh as node indices, outward oriented."""
        return boundary_triangles(self.tetrahedra)


def boundary_triangles(tetrahedra: np.ndarray) -> np.ndarray:
    """Triangles (F, 3) that belong to one tetrahedron only, outward oriented.

    A positively oriented tetrahedron (a, b, c, d) has the outward faces
    (a, c, b), (a, b, d), (a, d, c) and (b, c, d).

    Raises
    ------
    InputError
        If three tetrahedra share one face.
    """
    return topology.boundary_faces(tetrahedra, topology.face_neighbours(tetrahedra))[0]


@dataclass(frozen=True)
class Electrodes:
    """Disc electrodes as patches of boundary triangles.

    Attributes
    ----------
    labels : names, one per electrode, unique.
    centres : (L, 3) m, disc centres on the scalp.
    faces : one (F_l, 3) array of node indices per electrode.
    weights : one (F_l,) array per electrode, the covered part of each triangle in (0, 1].
    """

    labels: tuple[str, ...]
    centres: np.ndarray
    faces: tuple[np.ndarray, ...]
    weights: tuple[np.ndarray, ...]

    def __post_init__(self) -> None:
        count = len(self.labels)
        if len(set(self.labels)) != count:
            raise InputError("Electrode labels are not unique.")
        check_shape("electrode centres", self.centres, (count, 3))
        if len(self.faces) != count or len(self.weights) != count:
            raise InputError(f"{count} electrodes need as many patches and weights.")
        for label, faces, weights in zip(self.labels, self.faces, self.weights, strict=True):
            if len(faces) == 0:
                raise InputError(f"Electrode {label} covers no boundary triangle.")
            check_shape(f"weights of electrode {label}", weights, (len(faces),))

    def areas(self, nodes: np.ndarray) -> np.ndarray:
        """Covered areas (L,) in m^2, given the mesh's `nodes` (N, 3) in metres."""
        return np.array(
            [
                np.sum(triangle_areas(nodes, faces) * weights)
                for faces, weights in zip(self.faces, self.weights, strict=True)
            ]
        )


def triangle_areas(nodes: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Areas (F,) of `triangles` (F, 3), in the square of the unit of `nodes` (N, 3)."""
    a, b, c = nodes[triangles].transpose(1, 0, 2)
    return 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)
