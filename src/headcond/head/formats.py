"""Head models in files: one HDF5 file between stages, VTU for ParaView, foreign meshes."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import h5py
import meshio
import numpy as np

from headcond.checks import InputError, check_finite, check_option, check_shape
from headcond.files import matlab
from headcond.files.hdf5 import open_hdf5
from headcond.files.results import atomic, write_sidecar
from headcond.files.untrusted import failure_of, time_limit
from headcond.head.mesh import Electrodes, Mesh
from headcond.head.rompeit import ROMPEIT, read_rompeit
from headcond.tissues import EIT_TISSUES, label_scheme

_FORMAT = "headcond-head-1"
_ARRAYS = ("nodes", "tetrahedra", "tissue")
# Bytes that reading a mesh may take, and more for each of the file (ASCII 5, packed VTU 40).
_MEMORY, _GROWTH = 1 << 29, 200
_EIDORS = ("vtx", "tri", "materials")
_UNITS = {"m": 1.0, "cm": 1e-2, "mm": 1e-3}
# A head, or a good part of one, is this large (metres).
_PLAUSIBLE = (0.05, 0.6)


def write_head(path: str | Path, mesh: Mesh, electrodes: Electrodes, **facts: Any) -> None:
    """Write mesh and electrodes into one HDF5 file with its JSON sidecar, atomically.

    `facts` (JSON-like: provenance, cap, diameter, ...) go into the file and the sidecar.
    """
    offsets = np.cumsum([0, *map(len, electrodes.faces)])
    with atomic(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["format"] = _FORMAT
        file.attrs["tissue_names"] = list(mesh.tissue_names)
        file.attrs["facts"] = json.dumps(facts)
        for name in _ARRAYS:
            file.create_dataset(
                name, data=getattr(mesh, name), compression="gzip", compression_opts=1, shuffle=True
            )
        group = file.create_group("electrodes")
        group.attrs["labels"] = list(electrodes.labels)
        group["centres"] = np.asarray(electrodes.centres, float)
        group["offsets"] = offsets
        group["faces"] = np.concatenate([*electrodes.faces, np.empty((0, 3), np.int64)])
        group["weights"] = np.concatenate([*electrodes.weights, np.empty(0)])
    units = {"nodes": "m", "electrodes/centres": "m"}
    write_sidecar(path, units=units, **facts)


def read_head(path: str | Path) -> tuple[Mesh, Electrodes]:
    """Read what `write_head` wrote.

    Raises
    ------
    InputError
        If the file is absent, truncated or of another format.
    """
    with open_hdf5(path, "a head file") as file:
        if file.attrs.get("format") != _FORMAT:
            raise InputError(f"{path}: not a head file of format {_FORMAT}.")
        mesh = Mesh(*(file[name][:] for name in _ARRAYS), tuple(file.attrs["tissue_names"]))
        group = file["electrodes"]
        cuts = group["offsets"][1:-1]
        electrodes = Electrodes(
            tuple(group.attrs["labels"]),
            group["centres"][:],
            tuple(np.split(group["faces"][:].astype(np.int64), cuts)),
            tuple(np.split(group["weights"][:], cuts)),
        )
    return mesh, electrodes


def write_mesh(
    path: str | Path,
    mesh: Mesh,
    electrodes: Electrodes | None = None,
    point_data: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Write a mesh as VTU in millimetres, for ParaView and PyVista.

    Parameters
    ----------
    path : ends in .vtu.
    mesh : tetrahedra with the cell data `tissue`.
    electrodes : their triangles as further cells, with the cell data `electrode` (number
        from 1 in the order of the labels, 0 elsewhere) and `electrode_weight` (covered part).
    point_data : fields at the nodes by name, (N,) or (N, k).
    """
    if Path(path).suffix != ".vtu":
        raise InputError(f"{path}: meshes are exported as VTU; end the name in .vtu.")
    fields = {
        name: check_shape(f"point data {name}", values, (len(mesh.nodes), *np.shape(values)[1:]))
        for name, values in (point_data or {}).items()
    }
    count = len(mesh.tetrahedra)
    cells: list[tuple[str, np.ndarray]] = [("tetra", mesh.tetrahedra)]
    data = {"tissue": [mesh.tissue]}
    if electrodes is not None:
        faces = np.concatenate(electrodes.faces)
        number = np.repeat(np.arange(1, len(electrodes.labels) + 1), [*map(len, electrodes.faces)])
        cells.append(("triangle", faces))
        data["tissue"].append(np.zeros(len(faces), np.uint8))
        data["electrode"] = [np.zeros(count, np.int32), number.astype(np.int32)]
        data["electrode_weight"] = [np.zeros(count), np.concatenate(electrodes.weights)]
    content = meshio.Mesh(1e3 * mesh.nodes, cells, point_data=fields, cell_data=data)
    with atomic(path) as temporary:
        content.write(temporary, file_format="vtu")


def read_mesh(
    path: str | Path, unit: str | None = None, tissue_names: tuple[str, ...] = EIT_TISSUES
) -> Mesh:
    """Read a tetrahedral head mesh made elsewhere, or by `write_mesh`.

    - .vtu: tetrahedra with the cell data `tissue`, numbered as `tissue_names`.
    - .msh (gmsh): physical groups of the tetrahedra in SimNIBS's numbering, merged into the six
      tissues: eyes, muscle, fat and skin are scalp; blood (there the venous sinuses) is csf.
    - .mat, or a folder with one: EIDORS's `vtx`, `tri` and `materials` (names and ref);
      tissues keep the file's names in lower case. Unpack .7z archives first.
    - .mat of ROMpEIT (`p`, `t`, `f`): layers numbered as `tissue_names`; its electrodes
      come from `headcond.head.rompeit.read_electrodes`.

    Parameters
    ----------
    path : file, or for EIDORS its folder.
    unit : "m", "cm" or "mm", the unit of the file's coordinates; no format states it
        reliably, so it is never assumed.
    tissue_names : of a .vtu, or of ROMpEIT's layers.

    Returns
    -------
    Mesh in metres, positively oriented, without unused nodes.

    Raises
    ------
    InputError
        If `unit` is absent (the message guesses it from the extent) or impossible for a head, a
        tissue is unknown, or elements are flat or oriented both ways.
    """
    path = _mesh_file(path)
    readers = {".vtu": _read_vtu, ".msh": _read_gmsh, ".mat": _read_mat}
    *arrays, names = readers[path.suffix](path, tissue_names)
    points, tets, tissue = _checked(path, *arrays, len(names))
    points = points * _scale(path, points, unit)
    used, tets = np.unique(tets, return_inverse=True)
    tets = tets.reshape(-1, 4).astype(np.int64)
    mesh = Mesh(points[used], tets, tissue, tuple(names))
    return _oriented(path, mesh)


def check_mesh(path: str | Path) -> None:
    """Check the beginning of a mesh file, in a moment whatever its size.

    Raises
    ------
    InputError
        If the file is absent or is not of the kind that its name implies; `read_mesh` checks
        the rest.
    """
    path = _mesh_file(path)
    try:
        if path.suffix == ".mat":
            names = matlab.variables(path)
            right = set(ROMPEIT) <= names or set(_EIDORS) <= names
        elif path.suffix == ".vtu":
            _, root = next(iter(ElementTree.iterparse(path, events=("start",))))
            right = root.tag == "VTKFile" and root.get("type") == "UnstructuredGrid"
        else:
            with path.open("rb") as file:
                right = file.readline(100).strip() == b"$MeshFormat"
    except (OSError, ElementTree.ParseError, StopIteration, ValueError, LookupError) as error:
        raise InputError(f"{path}: cannot be read as a mesh ({error}).") from error
    if not right:
        kind = {
            ".vtu": "an unstructured grid of VTK",
            ".msh": "a mesh of gmsh",
            ".mat": f"EIDORS's ({', '.join(_EIDORS)}) or ROMpEIT's ({', '.join(ROMPEIT)})",
        }[path.suffix]
        raise InputError(f"{path}: it is not {kind}. Export it again.")


def _mesh_file(path: str | Path) -> Path:
    # The file itself, where EIDORS's folder is named; of a kind that can be read.
    path = Path(path)
    if path.is_dir():
        files = sorted(path.glob("*.mat"))
        if len(files) != 1:
            raise InputError(f"{path}: expected one .mat file in the folder, found {len(files)}.")
        path = files[0]
    if path.suffix not in (".vtu", ".msh", ".mat"):
        raise InputError(
            f"{path}: not a mesh format that can be read; these are .vtu, .msh, and the .mat of "
            "EIDORS and of ROMpEIT (unpack a .7z archive first)."
        )
    if not path.exists():
        raise InputError(f"{path}: there is no such file.")
    return path


def _checked(
    path: Path, points: np.ndarray, tets: np.ndarray, tissue: np.ndarray, tissues: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    # Points (N, 3), tetrahedra (M, 4) from 0 and tissues (M,) from 1 as a reader returns them.
    try:
        with np.errstate(invalid="ignore"):
            points = np.asarray(points, float)
            tets, tissue = (np.asarray(part).astype(np.int64) for part in (tets, tissue))
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(
            f"{path}: points, elements or tissues are not numbers ({error})."
        ) from None
    check_finite(f"{path}: points", check_shape(f"{path}: points", points, (None, 3)))
    check_shape(f"{path}: tetrahedra", tets, (None, 4))
    check_shape(f"{path}: tissues", tissue, (len(tets),))
    if not len(tets) or tets.min() < 0 or tets.max() >= len(points):
        raise InputError(
            f"{path}: its {len(tets)} tetrahedra name points beyond its {len(points)}: the file "
            "is damaged, or counts points from elsewhere. Export it again."
        )
    if tissue.min() < 1 or tissue.max() > tissues:
        raise InputError(
            f"{path}: tissues are numbered {tissue.min()} to {tissue.max()}, known are 1 to "
            f"{tissues}."
        )
    return points, tets, tissue.astype(np.uint8)


def _scale(path: Path, points: np.ndarray, unit: str | None) -> float:
    extent = float(np.ptp(points, axis=0).max())
    low, high = _PLAUSIBLE
    fits = [name for name, scale in _UNITS.items() if low <= extent * scale <= high]
    likely = f"looks like {' or '.join(fits)}" if fits else "fits a head in none of m, cm, mm"
    if unit is None:
        raise InputError(
            f"{path}: state the unit of its coordinates; the extent of {extent:.4g} {likely}."
        )
    check_option("unit", unit, tuple(_UNITS))
    if unit not in fits:
        raise InputError(
            f"{path}: an extent of {extent:.4g} {unit} is not a head; it {likely}. "
            "State the right unit."
        )
    return _UNITS[unit]


def _oriented(path: Path, mesh: Mesh) -> Mesh:
    volume = mesh.volumes()
    if np.all(volume < 0):  # the other convention
        return Mesh(mesh.nodes, mesh.tetrahedra[:, [0, 2, 1, 3]], mesh.tissue, mesh.tissue_names)
    bad = int(np.count_nonzero(volume <= 0))
    if bad:
        raise InputError(
            f"{path}: {bad} of {len(volume)} tetrahedra are inverted or flat while the others are "
            "not: the mesh folds over itself. Repair it in the program that made it."
        )
    return mesh


def _read_vtu(path: Path, names: tuple[str, ...]) -> tuple:
    content = _meshio(path)
    tets, tissue = _tetra_block(path, content, "tissue")
    return content.points, tets, tissue, names


def _read_gmsh(path: Path, names: tuple[str, ...]) -> tuple:
    content = _meshio(path)
    tets, number = _tetra_block(path, content, "gmsh:physical")
    merged = {"wm": "wm", "gm": "gm"} | dict.fromkeys(("csf", "dura", "blood"), "csf")
    merged |= {
        "cerebellum": "gm",
        "bone_cortical": "compact_bone",
        "bone_cancellous": "spongy_bone",
    }
    table = {
        key: EIT_TISSUES.index(merged.get(name, "scalp")) + 1
        for key, name in label_scheme("simnibs").items()
        if key > 0
    }
    unknown = sorted(set(np.unique(number).tolist()) - set(table))
    if unknown:
        raise InputError(f"{path}: physical groups {unknown} are not SimNIBS's tissues.")
    tissue = np.array([table.get(k, 0) for k in range(max(table) + 1)], np.uint8)[number]
    return content.points, tets, tissue, EIT_TISSUES


def _read_mat(path: Path, names: tuple[str, ...]) -> tuple:
    if head := read_rompeit(path, names):
        return head
    content = matlab.load(path, squeeze_me=True, struct_as_record=False)
    try:
        points, tets, materials = (content[name] for name in _EIDORS)
        tets = np.asarray(tets, float) - 1
        tissue = np.asarray(materials.ref)
        names = tuple(str(name).strip().lower() for name in np.atleast_1d(materials.names))
    except (KeyError, AttributeError, ValueError, TypeError) as error:
        raise InputError(
            f"{path}: neither an EIDORS mesh with vtx, tri, materials ({error}), nor a head of "
            "ROMpEIT with p, t, f."
        ) from error
    return points, tets, tissue, names


def _meshio(path: Path) -> meshio.Mesh:
    # Its general `meshio.read` ends the whole program on an unreadable file.
    read = meshio.vtu.read if path.suffix == ".vtu" else meshio.gmsh.read
    # It takes the memory that a header states before it checks that the file holds as much.
    most = _MEMORY + _GROWTH * path.stat().st_size
    if damage := failure_of(partial(read, path), time_limit(path), most):
        raise InputError(
            f"{path}: cannot be read as a mesh: {damage}. It is damaged: export it again."
        )
    try:
        return read(path)
    except (
        meshio.ReadError, ElementTree.ParseError, OSError, ValueError, KeyError, IndexError,
        TypeError, OverflowError, MemoryError, zlib.error,
    ) as error:  # fmt: skip
        raise InputError(f"{path}: cannot be read as a mesh ({error}).") from error


def _tetra_block(path: Path, content: meshio.Mesh, name: str) -> tuple[np.ndarray, np.ndarray]:
    blocks = [n for n, block in enumerate(content.cells) if block.type == "tetra"]
    if not blocks:
        raise InputError(f"{path}: holds no tetrahedron.")
    if name not in content.cell_data:
        raise InputError(f"{path}: its tetrahedra have no cell data {name!r}.")
    tets = np.concatenate([content.cells[n].data for n in blocks])
    return tets, np.concatenate([content.cell_data[name][n] for n in blocks]).astype(np.int64)
