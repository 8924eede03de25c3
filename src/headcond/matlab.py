"""MATLAB files of others: read, or refused by name."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import scipy.io
from scipy.io.matlab import MatReadError

from headcond.checks import InputError

# All that SciPy's reader raises on a file that is cut short, damaged or of another kind.
_UNREADABLE = (
    OSError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError,
    NotImplementedError, OverflowError, MemoryError, UnboundLocalError, zlib.error, MatReadError,
)  # fmt: skip


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
    return _read(scipy.io.loadmat, path, **options)


def _read(read: Any, path: str | Path, **options: Any) -> Any:
    try:
        return read(path, **options)
    except _UNREADABLE as error:
        raise InputError(
            f"{path}: cannot be read as a MATLAB file ({error}). Copy it again, or save it with "
            "-v7 in MATLAB."
        ) from error
