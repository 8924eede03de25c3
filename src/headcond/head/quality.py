"""Quality of a mesh: sizes, volumes, shapes of its elements, and layers that leak."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from headcond.checks import InputError, check_affine, check_shape
from headcond.head import topology
from headcond.head.barrier import INSIDE, OUTSIDE, SKULL
from headcond.head.mesh import Mesh, triangle_areas

_PERCENTILES = (1, 5, 50)


def report(
    mesh: Mesh, labels: np.ndarray | None = None, affine: np.ndarray | None = None
) -> dict[str, Any]:
    """Report a mesh's quality as plain numbers, ready for JSON.

    Parameters
    ----------
    mesh : the head.
    labels, affine : its label volume, (nx, ny, nz) with 0 air and k the
        tissue `mesh.tissue_names[k - 1]`, and its voxel -> world matrix in mm. They give
        `voxel_volume_ratio`.

    Returns
    -------
    dict with

    - `nodes`, `tetrahedra`, `components` (face-connected pieces, 1 for a sound head),
      `inverted` (tetrahedra without positive volume);
    - `volume_m3` per tissue, `pieces` per tissue (face-connected), and, with labels,
      `voxel_volume_ratio` per tissue (mesh over voxels);
    - `dihedral_deg`: `min`, `max` over all angles, percentiles `p1`, `p5`, `p50` of each
      element's smallest angle; `histogram` of all angles in bins of 10 degrees;
    - `radius_ratio`: `min`, `p1`, `p5`, `p50` of 3 r_in / r_circ (1 is regular);
    - `edge_mm`: `min`, `p50`, `max`;
    - `surface`: `triangles`, `pieces` (outer surface and cavities), `area_m2`,
      `euler` (V - E + F; 2 per sphere-like piece), `open_edges` (0 for a closed surface);
    - `interface_faces`: number of faces between every two tissues that touch;
    - `leaks`: `faces` between scalp and csf, gm or wm, `nodes` where they meet, and
      `diploe_faces` between spongy bone and scalp, csf, gm or wm.
    """
    neighbours = topology.face_neighbours(mesh.tetrahedra)
    names = mesh.tissue_names
    volume = mesh.volumes()
    by_tissue = np.bincount(mesh.tissue, volume, len(names) + 1)[1:]
    pieces = topology.components(neighbours, mesh.tissue)
    content: dict[str, Any] = {
        "nodes": len(mesh.nodes),
        "tetrahedra": len(mesh.tetrahedra),
        "components": int(topology.components(neighbours).max()) + 1,
        "inverted": int(np.count_nonzero(volume <= 0)),
        "volume_m3": dict(zip(names, by_tissue.tolist(), strict=True)),
        "pieces": {
            name: len(np.unique(pieces[mesh.tissue == number]))
            for number, name in enumerate(names, start=1)
        },
    }
    if labels is not None:
        labels = check_shape("labels", labels, (None, None, None))
        voxel = 1e-9 * abs(np.linalg.det(check_affine("affine", affine)[:3, :3]))
        counts = np.bincount(labels.ravel(), minlength=len(names) + 1)[1 : len(names) + 1]
        content["voxel_volume_ratio"] = {
            name: float(have / (voxel * count)) if count else None
            for name, have, count in zip(names, by_tissue, counts, strict=True)
        }
    content["dihedral_deg"] = _dihedral(mesh)
    content["radius_ratio"] = _spread(radius_ratios(mesh))
    content["edge_mm"] = _edges(mesh)
    content["surface"] = _surface(mesh, neighbours)
    content["interface_faces"] = _interfaces(mesh, neighbours)
    content["leaks"] = leaks(mesh)
    return content


def dihedral_angles(mesh: Mesh) -> np.ndarray:
    """Dihedral angles (M, 6) in degrees."""
    corner = mesh.nodes[mesh.tetrahedra]
    one, two, three = (corner[:, i] - corner[:, 0] for i in (1, 2, 3))
    normals = [np.cross(two, three), np.cross(three, one), np.cross(one, two)]
    normals.insert(0, -(normals[0] + normals[1] + normals[2]))
    normals = [n / np.maximum(np.linalg.norm(n, axis=1), 1e-300)[:, None] for n in normals]
    cosines = [
        -np.einsum("mi,mi->m", normals[i], normals[j]) for i in range(4) for j in range(i + 1, 4)
    ]
    return np.degrees(np.arccos(np.clip(np.stack(cosines, axis=1), -1.0, 1.0)))


def radius_ratios(mesh: Mesh) -> np.ndarray:
    """Three times the radius of the inscribed over that of the circumscribed sphere, (M,).

    1 for the regular tetrahedron, 0 for a flat one.
    """
    corner = mesh.nodes[mesh.tetrahedra]
    a, b, c = (corner[:, i] - corner[:, 0] for i in (1, 2, 3))
    cross = [np.cross(b, c), np.cross(c, a), np.cross(a, b)]
    volume = np.abs(np.einsum("mi,mi->m", a, cross[0])) / 6
    area = 0.5 * sum(np.linalg.norm(n, axis=1) for n in (*cross, cross[0] + cross[1] + cross[2]))
    squares = [np.einsum("mi,mi->m", v, v)[:, None] for v in (a, b, c)]
    diameter = np.linalg.norm(sum(s * n for s, n in zip(squares, cross, strict=True)), axis=1)
    inscribed, circumscribed = 3 * volume / area, diameter / np.maximum(12 * volume, 1e-300)
    return 3 * inscribed / circumscribed


def leaks(mesh: Mesh) -> dict[str, int]:
    """Contacts that the skull should keep apart, as `report` lists them."""
    neighbours = topology.face_neighbours(mesh.tetrahedra)
    one, other = (mesh.tissue[side].astype(int) for side in topology.face_pairs(neighbours))
    names = (None, *mesh.tissue_names)
    outside = np.array([name in OUTSIDE for name in names])
    inside = np.array([name in INSIDE for name in names])
    spongy = np.array([name == "spongy_bone" for name in names])

    def faces(left: np.ndarray, right: np.ndarray) -> int:
        meet = (left[one] & right[other]) | (right[one] & left[other])
        return int(np.count_nonzero(meet))

    reached = []
    for side in (outside, inside):
        touched = np.zeros(len(mesh.nodes), bool)
        touched[mesh.tetrahedra[side[mesh.tissue]]] = True
        reached.append(touched)
    return {
        "faces": faces(outside, inside),
        "nodes": int(np.count_nonzero(reached[0] & reached[1])),
        "diploe_faces": faces(spongy, outside | inside),
    }


def _dihedral(mesh: Mesh) -> dict[str, Any]:
    angles = dihedral_angles(mesh)
    content = _spread(angles.min(axis=1))
    content["max"] = float(angles.max())
    content["histogram"] = np.histogram(angles, bins=np.arange(0, 181, 10))[0].tolist()
    return content


def skull_thickness(mesh: Mesh) -> tuple[np.ndarray, np.ndarray]:
    """Thickness of the skull under every triangle of its outer surface.

    Returns
    -------
    triangles : (F, 3) faces between scalp and bone, oriented out of the bone.
    thickness : (F,) m, from a triangle's centroid to the nearest node or centroid of the faces
        between bone and csf, gm or wm; at most half an edge more than to the surface itself.
        Bones of the face have no such side: theirs is the way to the braincase.

    Raises
    ------
    InputError
        If the mesh has no bone between scalp and csf, gm or wm.
    """
    groups = {name: n for n, group in enumerate((SKULL, OUTSIDE, INSIDE), 1) for name in group}
    kind = np.array([0, *(groups.get(name, 0) for name in mesh.tissue_names)])[mesh.tissue]
    neighbours = topology.face_neighbours(mesh.tetrahedra)
    behind = np.where(neighbours >= 0, kind[neighbours], 0)
    faces = []
    for other in (2, 3):
        tets, face = np.nonzero((kind == 1)[:, None] & (behind == other))
        faces.append(mesh.tetrahedra[tets[:, None], np.array(topology.FACES)[face]])
    outer, inner = faces
    if len(outer) == 0 or len(inner) == 0:
        raise InputError("The mesh has no skull: no bone touches scalp and csf, gm or wm.")
    goals = np.concatenate([mesh.nodes[np.unique(inner)], mesh.nodes[inner].mean(axis=1)])
    return outer, cKDTree(goals).query(mesh.nodes[outer].mean(axis=1))[0]


def _spread(values: np.ndarray) -> dict[str, Any]:
    percentiles = zip(_PERCENTILES, np.percentile(values, _PERCENTILES), strict=True)
    return {"min": float(values.min()), **{f"p{p}": float(q) for p, q in percentiles}}


def _edges(mesh: Mesh) -> dict[str, float]:
    pairs = np.concatenate([mesh.tetrahedra[:, [i, j]] for i in range(4) for j in range(i + 1, 4)])
    lengths = 1e3 * np.linalg.norm(mesh.nodes[pairs[:, 0]] - mesh.nodes[pairs[:, 1]], axis=1)
    values = {"min": lengths.min(), "p50": np.median(lengths), "max": lengths.max()}
    return {name: float(value) for name, value in values.items()}


def _surface(mesh: Mesh, neighbours: np.ndarray) -> dict[str, Any]:
    triangles = topology.boundary_faces(mesh.tetrahedra, neighbours)[0]
    edges = np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    _, shared = np.unique(edges, axis=0, return_counts=True)
    return {
        "triangles": len(triangles),
        "pieces": int(topology.triangle_components(triangles).max()) + 1,
        "area_m2": float(triangle_areas(mesh.nodes, triangles).sum()),
        "euler": len(np.unique(triangles)) - len(shared) + len(triangles),
        "open_edges": int(np.count_nonzero(shared % 2)),
    }


def _interfaces(mesh: Mesh, neighbours: np.ndarray) -> dict[str, int]:
    one, other = (mesh.tissue[side].astype(int) for side in topology.face_pairs(neighbours))
    count = len(mesh.tissue_names) + 1
    table = np.bincount(
        np.minimum(one, other) * count + np.maximum(one, other), minlength=count * count
    ).reshape(count, count)
    names = (None, *mesh.tissue_names)
    pairs = np.argwhere(np.triu(table, 1))
    return {f"{names[i]}-{names[j]}": int(table[i, j]) for i, j in pairs}
