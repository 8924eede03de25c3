"""MATLAB files from any source."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io
from scipy.io.matlab import MatReadError

from headcond.checks import InputError
from headcond.files.hdf5 import open_hdf5
from headcond.files.untrusted import failure_of, time_limit

# All that SciPy's reader raises on a truncated or damaged file, or on another format.
_UNREADABLE = (
    OSError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError,
    NotImplementedError, OverflowError, MemoryError, UnboundLocalError, zlib.error, MatReadError,
    RecursionError, ZeroDivisionError,
)  # fmt: skip

# MATLAB's numeric classes, an attribute that separates them from text and cells in HDF5.
_CLASSES = {"double", "single"} | {f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64)}


def variables(path: str | Path) -> set[str]:
    """Names of the variables of a MATLAB file of any version; `InputError` as `numbers`."""
    if h5py.is_hdf5(path):
        with open_hdf5(path, "a MATLAB file") as file:
            return set(file)
    return {name for name, _, _ in _read(scipy.io.whosmat, path)}


def load(path: str | Path, **options: Any) -> dict[str, Any]:
    """Variables of a MATLAB file before version 7.3; `options` go to `scipy.io.loadmat`.

    Raises
    ------
    InputError
        If the file is absent, damaged or of version 7.3 (HDF5).
    """

    def checked(path: str | Path, **options: Any) -> dict[str, Any]:
        # SciPy's reader uses numbers of the file as table indices (its pull request 25349).
        if failure := failure_of(partial(scipy.io.loadmat, path, **options), time_limit(path)):
            raise ValueError(failure)
        return scipy.io.loadmat(path, **options)

    return _read(checked, path, **options)


def numbers(path: str | Path, names: Collection[str]) -> dict[str, np.ndarray]:
    """Real arrays in a MATLAB file of any version (up to v7, or v7.3, which is HDF5).

    Parameters
    ----------
    path : the file, of at most `headcond.files.untrusted.MAX_BYTES`.
    names : of variables ("sinks"), or of fields of a single struct ("Data.u").

    Returns
    -------
    Arrays of float64 in MATLAB's shape by name; missing names are left out.

    Raises
    ------
    InputError
        If the file is absent or damaged, a variable with named fields is not a single struct, or
        an entry is a cell, an object, text, complex or sparse.
    """
    parts = {name: name.partition(".")[::2] for name in names}
    if h5py.is_hdf5(path):
        with open_hdf5(path, "a MATLAB file") as file:
            return _numbers(path, parts, file)
    variable_names = sorted({variable for variable, _ in parts.values()})
    return _numbers(path, parts, load(path, variable_names=variable_names))


def _numbers(
    path: str | Path, parts: Mapping[str, tuple[str, str]], content: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    arrays = {}
    for name, (variable, field) in parts.items():
        if variable not in content:
            continue
        value = content[variable]
        if field:
            record = _struct(value)
            if record is None:
                raise InputError(f"{path}: its variable {variable} is not a single struct.")
            if field not in record:
                continue
            value = record[field]
        array = _dataset(value) if isinstance(value, h5py.Dataset) else value
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
            raise InputError(
                f"{path}: {name} is not an array of real numbers (but a cell, an object, text, or "
                "complex or sparse): save it as a full array of double."
            )
        arrays[name] = array.astype(float)
    return arrays


def _struct(value: Any) -> Mapping[str, Any] | None:
    if isinstance(value, h5py.Group):
        return value
    # Objects of a class are subclasses of an array; their fields are not those of the class.
    single = type(value) is np.ndarray and value.dtype.names and value.size == 1
    return dict(zip(value.dtype.names, value.item(), strict=True)) if single else None


def _dataset(values: h5py.Dataset) -> np.ndarray | None:
    """An array of MATLAB's numbers, transposed in HDF5; None for any other class."""
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
