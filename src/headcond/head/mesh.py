"""A head model: its labelled mesh and its electrodes, with the checks of both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

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
        return np.linalg.det(corner[:, 1:] - corner[:, :1]) / 6.0

    def tissue_volumes(self) -> np.ndarray:
        """Volumes (T,) of the tissues in m^3."""
        return np.bincount(self.tissue - 1, self.volumes(), len(self.tissue_names))

    def check(self) -> None:
        """Refuse a mesh on which the forward problem cannot be solved.

        Raises
        ------
        InputError
            If an element is inverted, a tissue empty, a node in no element, or the mesh in
            several pieces.
        """
        volumes = self.volumes()
        bad = np.flatnonzero(~(volumes > 0))
        if len(bad):
            raise InputError(
                f"{len(bad)} tetrahedra are inverted or flat (the first is number {bad[0]}, "
                f"volume {volumes[bad[0]]:.3e} m^3): orient or repair the mesh."
            )
        elements = np.bincount(self.tissue, minlength=len(self.tissue_names) + 1)[1:]
        for name, number in zip(self.tissue_names, elements, strict=True):
            if not number:
                raise InputError(
                    f"Tissue {name!r} has no tetrahedron: its conductivity would change nothing. "
                    "Check the labels, or leave it out of the mesh's names."
                )
        count = len(self.nodes)
        stray = np.flatnonzero(np.bincount(self.tetrahedra.ravel(), minlength=count) == 0)
        if len(stray):
            raise InputError(
                f"{len(stray)} nodes belong to no tetrahedron (the first is {stray[0]})."
            )
        first, others = np.repeat(self.tetrahedra[:, 0], 3), self.tetrahedra[:, 1:].ravel()
        graph = sparse.coo_matrix((np.ones(len(first), bool), (first, others)), (count, count))
        pieces, label = sparse.csgraph.connected_components(graph, directed=False)
        if pieces > 1:
            sizes = np.sort(np.bincount(label))[::-1]
            raise InputError(
                f"The mesh falls into {pieces} pieces (of {', '.join(map(str, sizes[:5]))} nodes): "
                "current cannot pass between them. Keep the largest one."
            )

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

    def check(self, mesh: Mesh) -> None:
        """Refuse electrodes that are not disjoint patches of the boundary of `mesh`.

        Raises
        ------
        InputError
            If there are fewer than two, or one has no area, is off the boundary, or overlaps
            another one.
        """
        if len(self.labels) < 2:
            raise InputError("At least two electrodes are needed: a source and a sink.")
        faces, weights = np.concatenate(self.faces), np.concatenate(self.weights)
        owner = np.repeat(np.arange(len(self.faces)), [len(f) for f in self.faces])
        if faces.min() < 0 or faces.max() >= len(mesh.nodes):
            raise InputError(f"Electrode triangles name nodes beyond the mesh's {len(mesh.nodes)}.")
        if not np.all((weights > 0) & (weights <= 1 + 1e-12)):
            raise InputError("Weights of electrode triangles must be in (0, 1].")
        # Only tetrahedra with three nodes on electrodes can own such a triangle: few of them.
        touched = np.zeros(len(mesh.nodes), bool)
        touched[faces] = True
        near = mesh.tetrahedra[touched[mesh.tetrahedra].sum(axis=1) >= 3]
        boundary = {tuple(face) for face in np.sort(boundary_triangles(near), axis=1).tolist()}
        covered: dict[tuple[int, ...], float] = {}
        for face, weight, number in zip(
            np.sort(faces, axis=1).tolist(), weights.tolist(), owner.tolist(), strict=True
        ):
            label, key = self.labels[number], tuple(face)
            if key not in boundary:
                raise InputError(
                    f"Electrode {label}: triangle {key} is not on the boundary of the mesh."
                )
            covered[key] = covered.get(key, 0.0) + weight
            if covered[key] > 1 + 1e-9:
                raise InputError(
                    f"Electrode {label} overlaps another electrode, or itself, at triangle {key}."
                )
        for label, area in zip(self.labels, self.areas(mesh.nodes), strict=True):
            if not area > 0:
                raise InputError(f"Electrode {label} covers no area.")

    def areas(self, nodes: np.ndarray) -> np.ndarray:
        """Covered areas (L,) in m^2, given the mesh's `nodes` (N, 3) in metres."""
        patches = zip(self.faces, self.weights, strict=True)
        return np.array([np.sum(triangle_areas(nodes, f) * weights) for f, weights in patches])


def triangle_areas(nodes: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Areas (F,) of `triangles` (F, 3), in the square of the unit of `nodes` (N, 3)."""
    a, b, c = nodes[triangles].transpose(1, 0, 2)
    return 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)
