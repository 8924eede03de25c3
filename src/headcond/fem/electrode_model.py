"""The complete electrode model on P1 tetrahedra, as an affine operator (eqs. 3 to 5).

Unknowns are u = [phi; U], the potentials of the nodes and of the electrodes. For all test
functions v = [psi; V], with tissues Omega_k and electrodes E_l,

    sum_k sigma_k int_Omega_k grad phi . grad psi
        + (1/z) sum_l int_E_l (phi - U_l) (psi - V_l) = sum_l I_l V_l,

so A(theta) u = [0; I] with theta = (sigma of every tissue in S/m, 1/z with the contact
impedance z in Ohm m^2).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection

import numpy as np

from headcond.checks import InputError, check_finite, check_shape
from headcond.fem.assembly import add_stiffness, add_values, sparsity_pattern
from headcond.fem.operator import AffineOperator
from headcond.head.mesh import Electrodes, Mesh, triangle_areas

CONTACT = "contact"


def assemble(
    mesh: Mesh,
    electrodes: Electrodes,
    anisotropic: Collection[str] = (),
    normals: np.ndarray | None = None,
    relative_impedance: np.ndarray | None = None,
) -> AffineOperator:
    """Assemble the blocks of A(theta) = sum_k sigma_k A_k + (1/z) A_z (eq. 5).

    Parameters
    ----------
    mesh : labelled tetrahedra in one connected piece, metres.
    electrodes : patches of the mesh's boundary triangles; all integrals over a triangle are
        scaled by its weight, the part of it that the electrode covers.
    anisotropic : tissues with two coefficients, sigma_r n n^T + sigma_t (I - n n^T), and the
        blocks `<tissue>_radial` and `<tissue>_tangential`.
    normals : (M, 3) radial directions n of their tetrahedra (see `normals_from_surface`,
        `normals_from_centre` in `headcond.fem.anisotropy`); other rows are not read.
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
        If `Mesh.check` or `Electrodes.check` refuse theirs, or the radial directions or
        impedances do not fit them.
    """
    mesh.check()
    electrodes.check(mesh)
    names, blocks = _blocks(mesh, anisotropic)
    normals = _check_normals(mesh, anisotropic, normals)
    impedance = _relative_impedances(relative_impedance, len(electrodes.labels))

    nodes = len(mesh.nodes)
    indptr, indices = sparsity_pattern(mesh.tetrahedra, nodes, electrodes.faces)
    data = np.zeros((len(names), len(indices)))
    add_stiffness(data, indptr, indices, mesh, blocks, normals)
    patches = zip(electrodes.faces, electrodes.weights, impedance, strict=True)
    for number, (faces, weights, relative) in enumerate(patches):
        areas = triangle_areas(mesh.nodes, faces) * weights / relative
        add_values(data[-1], indptr, indices, *_contact_entries(faces, areas, nodes + number))
    return AffineOperator(
        names, indptr, indices, data, tuple(electrodes.labels), nodes,
        {
            "mesh_digest": mesh_digest(mesh),
            "nodes": nodes,
            "tetrahedra": len(mesh.tetrahedra),
            "tissues": list(mesh.tissue_names),
            "tissue_volumes": mesh.tissue_volumes().tolist(),
            "electrode_areas": electrodes.areas(mesh.nodes).tolist(),
            "relative_impedance": impedance.tolist(),
            "anisotropic": list(anisotropic),
        },
    )  # fmt: skip


def mesh_digest(mesh: Mesh) -> str:
    """SHA-256 of a mesh's nodes, tetrahedra, tissues and names, as hexadecimal text."""
    digest = hashlib.sha256("\x1f".join(mesh.tissue_names).encode())
    for array, kind in ((mesh.nodes, "<f8"), (mesh.tetrahedra, "<i8"), (mesh.tissue, "<u1")):
        digest.update(np.ascontiguousarray(array, dtype=kind))
    return digest.hexdigest()


def _contact_entries(
    faces: np.ndarray, areas: np.ndarray, electrode: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Entries of the contact block: a/12 (1 + delta_ij), -a/3 and a per triangle of area a."""
    local = (np.ones((3, 3)) + np.eye(3)) / 12.0
    to = np.full((len(faces), 3), electrode)
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


def _relative_impedances(values: np.ndarray | None, electrodes: int) -> np.ndarray:
    if values is None:
        return np.ones(electrodes)
    values = check_shape("relative_impedance", np.asarray(values, float), (electrodes,))
    if not np.all(np.isfinite(values) & (values > 0)):
        raise InputError("relative_impedance must be finite and above 0 for every electrode.")
    return values
