"""MATLAB files of others: read, or refused by name."""

from __future__ import annotations

import math
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io
from scipy.io.matlab import MatReadError

from headcond.checks import InputError
from headcond.io import LARGEST, open_hdf5

# All that SciPy's reader raises on a file that is cut short, damaged or of another kind.
_UNREADABLE = (
    OSError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError,
    NotImplementedError, OverflowError, MemoryError, UnboundLocalError, zlib.error, MatReadError,
    RecursionError, ZeroDivisionError,
)  # fmt: skip

# MATLAB's classes of numbers, by which HDF5 files tell them from text and cells.
_CLASSES = {"double", "single"} | {f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64)}

# Types of elements in a file of version 5, and classes of arrays that hold other arrays.
_NUMERIC, _MATRIX, _PACKED = {*range(1, 8), 9, 12, 13, 16, 17, 18}, 14, 15
_CONTAINERS = {1, 2, 3, 16, 17}
_INDEXED = {1, 2, 3}  # with dimensions of their own: cells, structs, objects


def variables(path: str | Path) -> set[str]:
    """Names of the variables of a MATLAB file before version 7.3; `InputError` as `load`."""
    return {name for name, _, _ in _read(scipy.io.whosmat, path)}


def load(path: str | Path, **options: Any) -> dict[str, Any]:
    """Variables of a MATLAB file before version 7.3; `options` go to `scipy.io.loadmat`.

    Raises
    ------
    InputError
        If the file is absent, damaged or of version 7.3 (HDF5).
    """

    def checked(path: str | Path, **options: Any) -> dict[str, Any]:
        _check_tags(Path(path).read_bytes())
        return scipy.io.loadmat(path, **options)

    return _read(checked, path, **options)


def numbers(path: str | Path, names: Collection[str]) -> dict[str, np.ndarray]:
    """Real numbers in a MATLAB file of either kind (up to v7, or v7.3, which is HDF5).

    Parameters
    ----------
    path : the file; HDF5 may claim no more than `headcond.io.LARGEST`.
    names : of variables ("sinks"), or of fields of a single struct ("Data.u").

    Returns
    -------
    Arrays of float64 in MATLAB's shape by name; names that the file lacks are left out.

    Raises
    ------
    InputError
        If the file is absent or damaged, or something named is no single struct, or a cell, an
        object, a text, complex or sparse instead of real numbers.
    """
    asked = {name: name.partition(".")[::2] for name in names}
    if h5py.is_hdf5(path):
        with open_hdf5(path, "a MATLAB file") as file:
            return _numbers(path, asked, file)
    variables_asked = sorted({variable for variable, _ in asked.values()})
    return _numbers(path, asked, load(path, variable_names=variables_asked))


def _numbers(
    path: str | Path, asked: Mapping[str, tuple[str, str]], content: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    found = {}
    for name, (variable, field) in asked.items():
        if variable not in content:
            continue
        value = content[variable]
        if field:
            record = _record(value)
            if record is None:
                raise InputError(f"{path}: its variable {variable} is not a single struct.")
            if field not in record:
                continue
            value = record[field]
        array = _dataset(value) if isinstance(value, h5py.Dataset) else value
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
            raise InputError(
                f"{path}: {name} holds no real numbers but something else (a cell, an object, "
                "text, or complex or sparse numbers): save it as a full array of double."
            )
        found[name] = array.astype(float)
    return found


def _record(value: Any) -> Mapping[str, Any] | None:
    if isinstance(value, h5py.Group):
        return value
    # Objects of a class are subclasses of an array, whose fields are none of the class's own.
    single = type(value) is np.ndarray and value.dtype.names and value.size == 1
    return dict(zip(value.dtype.names, value.item(), strict=True)) if single else None


def _dataset(values: h5py.Dataset) -> np.ndarray | None:
    """An array of MATLAB's numbers, which HDF5 holds transposed; None for any other class."""
    kind = values.attrs.get("MATLAB_class", b"double")
    if (kind.decode() if isinstance(kind, bytes) else str(kind)) not in _CLASSES:
        return None
    if values.attrs.get("MATLAB_empty", 0):  # then the data are its shape
        return np.empty((0, 0))
    return np.asarray(values[()]).T


def _read(read: Any, path: str | Path, **options: Any) -> Any:
    try:
        return read(path, **options)
    except _UNREADABLE as error:
        raise InputError(
            f"{path}: cannot be read as a MATLAB file ({error}). Copy it again, or save it with "
            "-v7 in MATLAB."
        ) from error


def _check_tags(content: bytes) -> None:
    """Refuse a file of version 5 with an unknown element, whose type SciPy does not check.

    It looks the type up in a table without a look at its length, so one wrong byte ends the
    whole program (SciPy 1.17, its pull request 25349). The elements are walked through as in
    MathWorks' description of the format, "MAT-File Level 5".
    """
    order = "little" if content[126:128] == b"IM" else "big"  # as SciPy takes it
    if 0 not in content[:4]:  # else it is a file of version 4
        _walk(content, 128, len(content), order, {_MATRIX, _PACKED})


def _walk(content: bytes, start: int, end: int, order: Any, allowed: Collection[int]) -> int:
    count = 0
    while start + 8 <= end:
        count += 1
        kind, size = (int.from_bytes(content[n : n + 4], order) for n in (start, start + 4))
        first = start + 8
        start = first + size + (0 if kind == _PACKED else -size % 8)
        if kind >> 16:  # up to four bytes stand in the tag itself
            kind, size, first, start = kind & 0xFFFF, kind >> 16, first - 4, first
            if size > 4:
                raise ValueError(f"an element of {size} bytes in a tag")
        if kind not in allowed:
            raise ValueError(f"an element of the type {kind} where there can be none")
        if first + size > end:
            raise ValueError("an element that is longer than what holds it")
        if kind == _PACKED:
            unpack = zlib.decompressobj()
            inner = unpack.decompress(content[first : first + size], LARGEST)
            if not unpack.eof:
                raise ValueError("packed data that are cut short, or too large")
            _walk(inner, 0, len(inner), order, {_MATRIX})
        elif kind == _MATRIX and size:
            if [int.from_bytes(content[n : n + 4], order) for n in (first, first + 4)] != [6, 8]:
                raise ValueError("an array that does not begin with its class")
            flags = int.from_bytes(content[first + 8 : first + 12], order)
            inside = _NUMERIC | ({_MATRIX} if flags & 0xFF in _CONTAINERS else set())
            if flags & 0xFF in _INDEXED:  # at least a tag for each that it holds
                length = int.from_bytes(content[first + 20 : first + 24], order)
                dims = content[first + 24 : first + 24 + length]
                kind = "<u4" if order == "little" else ">u4"
                dims = np.frombuffer(dims, kind, len(dims) // 4)
                if math.prod(dims.tolist()) > size:
                    raise ValueError("an array of more arrays than there are")
            parts = _walk(content, first, first + size, order, inside)
            # Flags, dimensions, name, numbers, and imaginary ones if the flags say so.
            if flags & 0xFF not in _CONTAINERS and parts < 4 + (flags >> 11 & 1):
                raise ValueError("an array without its numbers")
    return count
