"""Heads from ROMpEIT's files: mesh, electrodes, and tissues by other names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from headcond.checks import InputError, check_shape
from headcond.files import matlab
from headcond.head.mesh import Electrodes, Mesh, boundary_triangles, triangle_areas
from headcond.tissues import EIT_TISSUES

# Variables of a head of ROMpEIT: nodes, tetrahedra with layers, faces with electrodes.
ROMPEIT = ("p", "t", "f")


def read_rompeit(
    path: Path, names: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[str, ...]] | None:
    """Read a head of ROMpEIT: `p` (N, 3), `t` (M, 5) with layers from 1, `f` (F, 4).

    The layout is that which ROMpEIT's own functions load: the fifth column of `t` is the
    layer, counted from outside; the fourth of `f` the electrode, 0 for the bare scalp.

    Parameters
    ----------
    path : the .mat file.
    names : of the layers, in their order.

    Returns
    -------
    points, tetrahedra (from 0), layers and names; None for a file of another kind.
    """
    if not set(ROMPEIT) <= matlab.variables(path):
        return None
    content = matlab.numbers(path, ROMPEIT)
    points = check_shape(f"{path}: p", content["p"], (None, 3))
    tets = check_shape(f"{path}: t", content["t"], (None, 5))
    layers = np.unique(tets[:, 4])
    if not np.array_equal(layers, np.arange(1, len(layers) + 1)) or len(layers) > len(names):
        raise InputError(
            f"{path}: its layers are {layers}; {len(names)} names are given "
            f"({', '.join(names)}), for the layers 1 to {len(names)}."
        )
    return points, tets[:, :4] - 1.0, tets[:, 4], tuple(names[: len(layers)])


def read_electrodes(path: str | Path, mesh: Mesh) -> Electrodes:
    """Electrodes that a ROMpEIT file marks on its own surface, named E1, E2, ...

    Parameters
    ----------
    path : the file.
    mesh : as `headcond.head.formats.read_mesh` reads it.

    Raises
    ------
    InputError
        If the file marks no electrodes, or a triangle of one is not on the surface.
    """
    path = Path(path)
    names = ("t", "f")
    if path.suffix != ".mat" or not set(names) <= matlab.variables(path):
        raise InputError(f"{path}: only ROMpEIT's files contain electrodes; name a cap instead.")
    content = matlab.numbers(path, names)
    marked = check_shape(f"{path}: f", content["f"], (None, 4)).astype(np.int64)
    number = marked[:, 3]
    count = int(number.max(initial=0))
    if count < 2 or set(range(1, count + 1)) - set(number.tolist()):
        raise InputError(f"{path}: its faces mark no electrodes 1, 2, ... in their fourth column.")
    used = np.unique(content["t"][:, :4].astype(np.int64))  # as `read_mesh` numbers the nodes
    faces = np.searchsorted(used, marked[:, :3])
    # The surface's own triangles, so that they look outwards.
    surface = boundary_triangles(mesh.tetrahedra)
    place = {tuple(face): n for n, face in enumerate(np.sort(surface, axis=1).tolist())}
    patches = []
    for electrode in range(1, count + 1):
        keys = map(tuple, np.sort(faces[number == electrode], axis=1).tolist())
        rows = [place.get(key, -1) for key in keys]
        if min(rows) < 0:
            raise InputError(f"{path}: electrode {electrode} has triangles inside the head.")
        patches.append(surface[rows])
    areas = [triangle_areas(mesh.nodes, patch) for patch in patches]
    centres = [
        np.average(mesh.nodes[patch].mean(axis=1), axis=0, weights=area)
        for patch, area in zip(patches, areas, strict=True)
    ]
    return Electrodes(
        tuple(f"E{n}" for n in range(1, count + 1)),
        np.array(centres),
        tuple(patches),
        tuple(np.ones(len(patch)) for patch in patches),
    )


def rename_tissues(mesh: Mesh, tissues: Mapping[str, str]) -> Mesh:
    """The mesh with the tissues of the EIT pipeline, in their order.

    Parameters
    ----------
    mesh : any names.
    tissues : name in the mesh -> tissue; names that are tissues already need no entry.

    Raises
    ------
    InputError
        If a name is not a tissue, or `tissues` names none of the mesh's.
    """
    stray = sorted(set(tissues) - set(mesh.tissue_names))
    if stray:
        raise InputError(f"The mesh has no tissue {stray[0]}: {', '.join(mesh.tissue_names)}.")
    goals = [tissues.get(name, name) for name in mesh.tissue_names]
    unknown = [name for name in goals if name not in EIT_TISSUES]
    if unknown:
        raise InputError(
            f"The mesh calls a tissue {unknown[0]}: state in head.tissues which of "
            f"{', '.join(EIT_TISSUES)} it is."
        )
    held = {goals[number - 1] for number in np.unique(mesh.tissue)}
    names = tuple(name for name in EIT_TISSUES if name in held)
    table = np.array([0, *(names.index(g) + 1 if g in names else 0 for g in goals)], np.uint8)
    return Mesh(mesh.nodes, mesh.tetrahedra, table[mesh.tissue], names)
