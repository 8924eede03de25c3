"""Coil files of SimNIBS: dipoles (.ccd), coil definitions (.tcd) and A-field grids (NIfTI).

A .ccd is text: a count, then positions (m) and moments (A m^2 per A). A .tcd is JSON; its
`coilElementList` holds dipoles (type 1: mm, A m^2), line elements (type 2: start and vector,
mm) and sampled A-fields (type 3: T m per A/s and an affine in mm). A NIfTI file holds A for a
rate of change of 1 A/s, its three components along the last axis.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from headcond.checks import InputError, check_finite
from headcond.files.results import read_image
from headcond.tms.coil import Coil, PotentialGrid, combine, from_dipoles

_LARGEST = 2.0  # m: no coil extends farther from its own origin
_SMALLEST = 1e-3  # m: none keeps within this of it; metres read as millimetres do
_MOMENT = 10.0  # A m^2 per A: a hundred turns around a square of 30 cm stay below it
_STRONGEST = 1e-3  # T m / A: A of a thousand turns right on the wire stays below it


def read(path: str | Path) -> Coil:
    """Read a coil file by its ending: .ccd, .tcd, .nii or .nii.gz.

    Raises
    ------
    InputError
        If the file is absent or of an unknown kind, a count does not match, a row is
        incomplete, or the numbers cannot be in the format's units.
    """
    path = Path(path)
    name = path.name.lower()
    for ending, reader in _READERS.items():
        if name.endswith(ending):
            return reader(path)
    raise InputError(f"{path}: a coil file ends in {', '.join(_READERS)}, not {path.suffix!r}.")


read_coil = read  # in `headcond` and `headcond.tms`


def read_dipoles(path: Path) -> Coil:
    """Read a dipole file (.ccd)."""
    lines = _text(path).splitlines()
    rows = [line.split() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    try:
        count, table = int(rows[0][0]), np.array(rows[1:], float)
    except (IndexError, ValueError) as error:
        raise InputError(f"{path}: expected a count, then rows of six numbers.") from error
    if table.shape != (count, 6):
        raise InputError(f"{path}: {count} dipoles announced, but the table is {table.shape}.")
    check_finite(str(path), table)
    _check_reach(str(path), table[:, :3])
    _check_moments(str(path), table[:, 3:])
    return from_dipoles(table[:, :3], table[:, 3:], name=path.stem)


def read_definition(path: Path) -> Coil:
    """Read a coil definition (.tcd) at its initial, undeformed shape; elements are superposed.

    Arrays must be plain lists. Elements on several stimulators, and deformations whose
    initial value is not 0, are refused: their currents and shape are not in the file alone.
    """
    try:
        content = json.loads(_text(path))
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: is not JSON ({error}).") from error
    elements = content.get("coilElementList") if isinstance(content, Mapping) else None
    if not isinstance(elements, list) or not elements:
        raise InputError(f"{path}: holds no coilElementList.")
    if not all(isinstance(element, Mapping) for element in elements):
        raise InputError(f"{path}: coilElementList must hold mappings, one per element.")
    stimulators = {str(element.get("stimulator")) for element in elements}
    if len(stimulators) > 1:
        raise InputError(
            f"{path}: its elements belong to {len(stimulators)} stimulators; write one file per "
            "stimulator."
        )
    _refuse_deformed(path, content, elements)
    coils = [_element(f"{path}, element {n}", element) for n, element in enumerate(elements)]
    return combine(*coils, name=str(content.get("name") or path.stem))


def read_grid(path: Path) -> Coil:
    """Read an A-field grid (.nii, .nii.gz): (nx, ny, nz, 3) or (nx, ny, nz, 1, 3), T m / A."""
    values, affine = read_image(path, float)
    if values.ndim == 5 and values.shape[3] == 1:
        values = values[:, :, :, 0]
    return _grid(str(path), values, affine, path.name.split(".")[0])


_READERS: dict[str, Callable[[Path], Coil]] = {
    ".ccd": read_dipoles,
    ".tcd": read_definition,
    ".nii.gz": read_grid,
    ".nii": read_grid,
}


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}).") from error


def _check_reach(where: str, positions: np.ndarray) -> None:
    reach = np.abs(positions).max(initial=0)
    if reach > _LARGEST or (len(positions) > 1 and reach < _SMALLEST):
        raise InputError(
            f"{where}: positions reach {reach:.3g} m, so they are not in the format's units."
        )


def _check_moments(where: str, moments: np.ndarray) -> None:
    most = np.abs(moments).max(initial=0)
    if most > _MOMENT:
        raise InputError(
            f"{where}: moments reach {most:.3g} A m^2 per A, so they are not in the format's units."
        )


def _array(where: str, element: Mapping[str, Any], key: str, columns: int | None) -> np.ndarray:
    if key not in element:
        raise InputError(f"{where}: {key!r} is missing.")
    if isinstance(element[key], str):
        raise InputError(
            f"{where}: {key!r} is stored as compressed binary; save the coil as plain text."
        )
    try:
        values = np.array(element[key], float)
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: {key!r} is not an array of numbers.") from error
    if columns is not None and (values.ndim != 2 or values.shape[1] != columns):
        raise InputError(
            f"{where}: {key!r} must have {columns} numbers per row, its shape is {values.shape}."
        )
    return check_finite(f"{where}, {key}", values)


def _element(where: str, element: Mapping[str, Any]) -> Coil:
    kind = element.get("type")
    if kind == 3:
        values, affine = (_array(where, element, key, None) for key in ("data", "affine"))
        return _grid(where, values, affine, str(element.get("name", "grid")))
    if kind not in (1, 2):
        raise InputError(f"{where}: type {kind!r} is not one of 1 (dipoles), 2 (lines), 3 (grid).")
    points, values = (_array(where, element, key, 3) for key in ("points", "values"))
    if len(points) != len(values):
        raise InputError(f"{where}: {len(points)} points but {len(values)} values.")
    points = points * 1e-3
    _check_reach(where, points)
    if kind == 1:
        _check_moments(where, values)
        return from_dipoles(points, values)
    _check_reach(where, points + values * 1e-3)
    return Coil(starts=points, ends=points + values * 1e-3)


def _grid(where: str, values: np.ndarray, affine: np.ndarray, name: str) -> Coil:
    if values.ndim != 4 or values.shape[3] != 3:
        raise InputError(
            f"{where}: an A-field grid has the shape (nx, ny, nz, 3), not {values.shape}."
        )
    check_finite(where, values)
    if np.abs(values).max() > _STRONGEST:
        raise InputError(
            f"{where}: A reaches {np.abs(values).max():.3g} T m per A, so it is not that of 1 A/s."
        )
    return Coil(grids=(PotentialGrid(values, affine, np.eye(4)),), name=name)


def _refuse_deformed(path: Path, content: Mapping[str, Any], elements: list) -> None:
    deforms, ranges = content.get("deformList", []), content.get("deformRangeList", [])
    for index in [n for element in elements for n in element.get("deformations") or []]:
        if not isinstance(index, int) or not 0 <= index < len(deforms):
            raise InputError(f"{path}: there is no deformation {index}.")
        deform = deforms[index]
        where = deform.get("deformRange")
        held = ranges[where] if where is not None and 0 <= where < len(ranges) else deform
        if held.get("initial", 0) != 0:
            raise InputError(
                f"{path}: deformation {index} does not start at 0; save the coil undeformed."
            )
