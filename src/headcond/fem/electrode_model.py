"""The complete electrode model on P1 tetrahedra, as an affine operator (eqs. 3 to 5).

Unknowns are u = [phi; U], the potentials of the nodes and of the electrodes; A(theta) u = [0; I]
with theta = (sigma of every tissue in S/m, 1/z with the contact impedance z in Ohm m^2).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection

import numpy as np
import scipy.sparse as sparse

from headcond.checks import InputError, check_finite, check_shape
from headcond.fem.assembly import add_stiffness, add_values, sparsity_pattern
from headcond.fem.operator import AffineOperator
from headcond.head.mesh import Electrodes, Mesh, boundary_triangles, triangle_areas

CONTACT = "contact"


def assemble(
    mesh: Mesh,
    electrodes: Electrodes,
    anisotropic: Collection[str] = (),
    normals: np.ndarray | None = None,
    relative_impedance: np.ndarray | None = None,
) -> AffineOperator:
    """Assemble the blocks of A(theta) = sum_k sigma_k A_k + (1/z) A_z.

    Parameters
    ----------
    mesh : labelled tetrahedra in one connected piece, metres.
    electrodes : patches of the mesh's boundary triangles; all integrals over a triangle are
        scaled by its weight, the part of it that the electrode covers.
    anisotropic : tissues with two coefficients, sigma_r n n^T + sigma_t (I - n n^T); they
        stand as `<tissue>_radial` and `<tissue>_tangential`.
    normals : (M, 3) radial directions n of their tetrahedra (see `normals_from_surface`,
        `normals_from_centre` in `headcond.fem.assembly`); other rows are not read.
    relative_impedance : (L,) contact impedance of each electrode in units of z; ones by
        default.

    Returns
    -------
    AffineOperator with names = the tissues in order, then `contact` (coefficient 1/z). Its
    attributes hold the mesh digest, the numbers of nodes and tetrahedra, tissue names and
    volumes (m^3), electrode areas (m^2), relative impedances and anisotropic tissues.

    Raises
    ------
    InputError
        If a tissue is empty, an element inverted, a node in no element, the mesh in several
        pieces, or an electrode without area, off the boundary or overlapping another one.
    """
    volumes = _check_mesh(mesh)
    areas = _check_electrodes(mesh, electrodes)
    names, blocks = _blocks(mesh, anisotropic)
    directions = _check_normals(mesh, anisotropic, normals)
    scale = np.ones(len(areas))
    if relative_impedance is not None:
        scale = check_shape("relative_impedance", np.asarray(relative_impedance, float),
                            (len(areas),))  # fmt: skip
        if not np.all(np.isfinite(scale) & (scale > 0)):
            raise InputError("relative_impedance must be finite and above 0 for every electrode.")

    count = len(mesh.nodes)
    indptr, indices = sparsity_pattern(mesh.tetrahedra, count, electrodes.faces)
    _check_connected(indptr, indices, count)
    data = np.zeros((len(names), len(indices)))
    add_stiffness(data, indptr, indices, mesh, blocks, directions)
    for number, (faces, weights) in enumerate(
        zip(electrodes.faces, electrodes.weights, strict=True)
    ):
        contact = triangle_areas(mesh.nodes, faces) * weights / scale[number]
        add_values(data[-1], indptr, indices, *_surface_entries(faces, contact, count + number))
    return AffineOperator(
        names, indptr, indices, data, tuple(electrodes.labels), count,
        {
            "mesh_digest": mesh_digest(mesh),
            "nodes": count,
            "tetrahedra": len(mesh.tetrahedra),
            "tissues": list(mesh.tissue_names),
            "tissue_volumes": volumes.tolist(),
            "electrode_areas": areas.tolist(),
            "relative_impedance": scale.tolist(),
            "anisotropic": list(anisotropic),
        },
    )  # fmt: skip


def mesh_digest(mesh: Mesh) -> str:
    """SHA-256 of a mesh's nodes, tetrahedra, tissues and names, as hexadecimal text."""
    digest = hashlib.sha256("\x1f".join(mesh.tissue_names).encode())
    for array, kind in ((mesh.nodes, "<f8"), (mesh.tetrahedra, "<i8"), (mesh.tissue, "<u1")):
        digest.update(np.ascontiguousarray(array, dtype=kind))
    return digest.hexdigest()


def _surface_entries(
    faces: np.ndarray, areas: np.ndarray, electrode: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Entries of the contact block: a/12 (1 + delta_ij), -a/3 and a per triangle of area a."""
    f = len(faces)
    local = (np.ones((3, 3)) + np.eye(3)) / 12.0
    to = np.full((f, 3), electrode)
    third = np.repeat(-areas / 3.0, 3)
    rows = [np.repeat(faces, 3, axis=1).ravel(), faces.ravel(), to.ravel(), to[:, 0]]
    columns = [np.tile(faces, (1, 3)).ravel(), to.ravel(), faces.ravel(), to[:, 0]]
    values = [(areas[:, None, None] * local).ravel(), third, third, areas]
    return np.concatenate(rows), np.concatenate(columns), np.concatenate(values)


def _blocks(mesh: Mesh, anisotropic: Collection[str]) -> tuple[tuple[str, ...], np.ndarray]:
    for name in anisotropic:
        if name not in mesh.tissue_names:
            raise InputError(
                f"Anisotropic tissue {name!r} is not in the mesh: {', '.join(mesh.tissue_names)}."
            )
    names: list[str] = []
    blocks = []
    for tissue in mesh.tissue_names:
        if tissue in anisotropic:
            blocks.append((len(names), len(names) + 1))
            names += [f"{tissue}_radial", f"{tissue}_tangential"]
        else:
            blocks.append((len(names), -1))
            names.append(tissue)
    names.append(CONTACT)
    if len(set(names)) != len(names):
        raise InputError(f"The names of the blocks are not unique: {', '.join(names)}.")
    return tuple(names), np.array(blocks)


def _check_mesh(mesh: Mesh) -> np.ndarray:
    """Volumes (T,) of the tissues, after refusing inverted elements and empty tissues."""
    volumes = mesh.volumes()
    bad = np.flatnonzero(~(volumes > 0))
    if len(bad):
        raise InputError(
            f"{len(bad)} tetrahedra are inverted or flat (the first is number {bad[0]}, volume "
            f"{volumes[bad[0]]:.3e} m^3): orient or repair the mesh."
        )
    count = len(mesh.tissue_names)
    per_tissue = np.bincount(mesh.tissue - 1, weights=volumes, minlength=count)
    for name, volume in zip(mesh.tissue_names, per_tissue, strict=True):
        if volume == 0:
            raise InputError(
                f"Tissue {name!r} has no tetrahedron: its conductivity would change nothing. "
                "Check the labels, or leave it out of the mesh's names."
            )
    return per_tissue


def _check_electrodes(mesh: Mesh, electrodes: Electrodes) -> np.ndarray:
    """Covered areas (L,) in m^2, after refusing patches that are none."""
    if len(electrodes.labels) < 2:
        raise InputError("At least two electrodes are needed: a source and a sink.")
    faces = np.concatenate(electrodes.faces)
    weights = np.concatenate(electrodes.weights)
    owner = np.repeat(np.arange(len(electrodes.faces)), [len(f) for f in electrodes.faces])
    if faces.min() < 0 or faces.max() >= len(mesh.nodes):
        raise InputError(f"Electrode triangles name nodes beyond the mesh's {len(mesh.nodes)}.")
    if not np.all((weights > 0) & (weights <= 1 + 1e-12)):
        raise InputError("Weights of electrode triangles must lie in (0, 1].")
    # Only tetrahedra with three nodes on electrodes can own such a triangle: few of them.
    touched = np.zeros(len(mesh.nodes), bool)
    touched[faces] = True
    near = mesh.tetrahedra[touched[mesh.tetrahedra].sum(axis=1) >= 3]
    boundary = {tuple(face) for face in np.sort(boundary_triangles(near), axis=1).tolist()}
    covered: dict[tuple[int, ...], float] = {}
    for face, weight, number in zip(
        np.sort(faces, axis=1).tolist(), weights.tolist(), owner.tolist(), strict=True
    ):
        label, key = electrodes.labels[number], tuple(face)
        if key not in boundary:
            raise InputError(
                f"Electrode {label}: triangle {key} is not on the boundary of the mesh."
            )
        covered[key] = covered.get(key, 0.0) + weight
        if covered[key] > 1 + 1e-9:
            raise InputError(
                f"Electrode {label} overlaps another electrode, or itself, at triangle {key}."
            )
    areas = electrodes.areas(mesh.nodes)
    for label, area in zip(electrodes.labels, areas, strict=True):
        if not area > 0:
            raise InputError(f"Electrode {label} covers no area.")
    return areas


def _check_normals(
    mesh: Mesh, anisotropic: Collection[str], normals: np.ndarray | None
) -> np.ndarray | None:
    if not anisotropic:
        return None
    if normals is None:
        raise InputError(
            f"Anisotropic tissues ({', '.join(anisotropic)}) need radial directions: pass normals."
        )
    normals = check_shape("normals", np.asarray(normals, float), (len(mesh.tetrahedra), 3))
    numbers = [mesh.tissue_names.index(name) + 1 for name in anisotropic]
    used = check_finite("normals", normals[np.isin(mesh.tissue, numbers)])
    if np.any(np.abs(np.linalg.norm(used, axis=1) - 1) > 1e-6):
        raise InputError("normals of the anisotropic tissues must have length 1.")
    return normals


def _check_connected(indptr: np.ndarray, indices: np.ndarray, nodes: int) -> None:
    size = len(indptr) - 1
    stray = np.flatnonzero(np.diff(indptr[: nodes + 1]) == 0)
    if len(stray):
        raise InputError(f"{len(stray)} nodes belong to no tetrahedron (the first is {stray[0]}).")
    graph = sparse.csr_matrix((np.ones(len(indices), np.int8), indices, indptr), (size, size))
    pieces, label = sparse.csgraph.connected_components(graph[:nodes, :nodes], directed=False)
    if pieces > 1:
        sizes = np.sort(np.bincount(label))[::-1]
        raise InputError(
            f"The mesh falls into {pieces} pieces (of {', '.join(map(str, sizes[:5]))} nodes): "
            "current cannot pass between them. Keep the largest one."
        )
