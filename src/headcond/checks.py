"""Checks for public entries, and the errors that headcond raises."""

from __future__ import annotations

import difflib
from collections.abc import Collection

import numpy as np
from numpy.typing import ArrayLike


class InputError(ValueError):
    """Input that headcond cannot use; the message names the key or file and what to do."""


class ConvergenceError(RuntimeError):
    """A linear solve that missed its tolerance.

    Attributes
    ----------
    name : what was solved (an injection pair, say).
    residual : true relative residual that was reached.
    reason : what the solver reports.
    """

    def __init__(self, name: str, residual: float, tolerance: float, reason: str) -> None:
        super().__init__(
            f"{name or 'linear system'}: no convergence, true relative residual {residual:.3e} "
            f"instead of {tolerance:.3e} ({reason})."
        )
        self.name, self.residual, self.reason = name, residual, reason


class MissingBackend(ImportError):
    """A solver library or device that is needed and not available; the message names it."""


def check_option(name: str, value: object, allowed: Collection) -> object:
    """Return `value` if it is one of `allowed`, else raise with the nearest spelling.

    Raises
    ------
    InputError
        If `value` is not among `allowed`.
    """
    if value in allowed:
        return value
    shown = [repr(option) for option in allowed]
    if len(shown) > 40:  # such as the electrodes of a cap
        shown = [*shown[:10], f"... ({len(shown)} in all)"]
    options = ", ".join(shown)
    near = difflib.get_close_matches(str(value), [str(option) for option in allowed], n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise InputError(f"Invalid value for {name}: {value!r}. Allowed are {options}.{hint}")


def check_positive(name: str, value: float) -> float:
    """Return `value` as float if it is finite and above zero, else raise `InputError`."""
    number = float(value)
    if not np.isfinite(number) or number <= 0:
        raise InputError(f"{name} must be a finite number above 0, got {value!r}.")
    return number


def check_finite(name: str, values: ArrayLike) -> np.ndarray:
    """Return `values` as an array if all are finite, else raise `InputError` with the count."""
    array = np.asarray(values)
    bad = int(np.count_nonzero(~np.isfinite(array)))
    if bad:
        raise InputError(f"{name} holds {bad} values that are NaN or infinite.")
    return array


def check_shape(name: str, values: ArrayLike, shape: tuple[int | None, ...]) -> np.ndarray:
    """Return `values` as an array of `shape` (None fits any length), else raise `InputError`."""
    array = np.asarray(values)
    fits = array.ndim == len(shape) and all(
        want is None or have == want for have, want in zip(array.shape, shape, strict=True)
    )
    if not fits:
        wanted = tuple("any" if want is None else want for want in shape)
        raise InputError(f"{name} must have shape {wanted}, got {array.shape}.")
    return array


def check_affine(name: str, affine: ArrayLike) -> np.ndarray:
    """Return a finite, invertible voxel-to-world matrix (4, 4), else raise `InputError`."""
    matrix = check_finite(name, check_shape(name, np.asarray(affine, float), (4, 4)))
    if not np.allclose(matrix[3], [0, 0, 0, 1]):
        raise InputError(f"{name} is not an affine: its last row is {matrix[3]}, not (0, 0, 0, 1).")
    if abs(np.linalg.det(matrix[:3, :3])) < 1e-12:
        raise InputError(f"{name} is singular: its voxels have no volume.")
    return matrix


def voxel_sizes(affine: ArrayLike) -> np.ndarray:
    """Edge lengths (3,) of a voxel, in the affine's own unit (millimetres for NIfTI)."""
    return np.linalg.norm(np.asarray(affine, float)[:3, :3], axis=0)
