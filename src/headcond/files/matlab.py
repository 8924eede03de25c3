"""MATLAB files of others: read, or refused by name."""

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
from headcond.files.untrusted import patience, trouble

# All that SciPy's reader raises on a file that is cut short, damaged or of another kind.
_UNREADABLE = (
    OSError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError,
    NotImplementedError, OverflowError, MemoryError, UnboundLocalError, zlib.error, MatReadError,
    RecursionError, ZeroDivisionError,
)  # fmt: skip

# MATLAB's classes of numbers, by which HDF5 files tell them from text and cells.
_CLASSES = {"double", "single"} | {f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64)}


def variables(path: str | Path) -> set[str]:
    """Names of the variables of a MATLAB file of either kind; `InputError` as `numbers`."""
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
        # SciPy's reader looks types up in tables by numbers of the file (its pull request 25349).
        if found := trouble(partial(scipy.io.loadmat, path, **options), patience(path)):
            raise ValueError(found)
        return scipy.io.loadmat(path, **options)

    return _read(checked, path, **options)


def numbers(path: str | Path, names: Collection[str]) -> dict[str, np.ndarray]:
    """Real numbers in a MATLAB file of either kind (up to v7, or v7.3, which is HDF5).

    Parameters
    ----------
    path : the file; HDF5 may claim no more than `headcond.files.untrusted.LARGEST`.
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
