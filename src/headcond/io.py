"""Files in and out: atomic writes, volumes, tables and their provenance sidecars."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import platform
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd

from headcond import __version__
from headcond.checks import InputError, check_affine

_PACKAGES = (
    "numpy",
    "scipy",
    "torch",
    "pytorch-lightning",
    "nibabel",
    "SimpleITK",
    "petsc4py",
    "mpi4py",
    "pyamg",
    "snakemake",
)


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; on success sync it and rename it to `path`.

    A failure inside the block removes the temporary file and leaves what stood at
    `path` as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    suffix = "".join(path.suffixes[-2:])  # .nii.gz decides how nibabel writes
    temporary = path.with_name(
        f".{path.name[: len(path.name) - len(suffix)]}-{secrets.token_hex(4)}{suffix}"
    )
    try:
        yield temporary
        with open(temporary, "rb") as handle:
            os.fsync(handle.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def sidecar_path(path: str | Path) -> Path:
    """Where the JSON sidecar of `path` lies: the same name with the suffix `.json`."""
    path = Path(path)
    name = path.name
    for suffix in (".nii.gz", path.suffix):
        if suffix and name.endswith(suffix):
            name = name[: -len(suffix)]
            break
    return path.with_name(name + ".json")


def write_json(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write `content` as indented JSON, atomically; numpy values become plain ones."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, default=_plain, allow_nan=False) + "\n")


def read_json(path: str | Path) -> dict[str, Any]:
    """Read a JSON object; raise `InputError` naming the file if it is not one."""
    try:
        content = json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as JSON ({error}).") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a JSON object, found {type(content).__name__}.")
    return content


def write_sidecar(
    path: str | Path,
    *,
    units: Mapping[str, str] | str | None = None,
    provenance: Mapping[str, Any] | None = None,
    **content: Any,
) -> None:
    """Write the JSON sidecar of `path`: what it is, in which units, and what made it.

    Parameters
    ----------
    path : path of the result that the sidecar describes.
    units : unit of the values, or one per column or dataset.
    provenance : rule, parameters, source digest, seed and inputs of the step.
    **content : further entries (iterations, residuals, ...).
    """
    entry = dict(content)
    if units is not None:
        entry["units"] = units
    entry["provenance"] = {"versions": versions(), **(provenance or {})}
    write_json(sidecar_path(path), entry)


def versions() -> dict[str, str]:
    """Versions of headcond, Python and the packages it is built on, where installed."""
    found = {"headcond": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def read_volume(path: str | Path, dtype: Any = np.float32) -> tuple[np.ndarray, np.ndarray]:
    """Read a 3-D NIfTI volume.

    Returns
    -------
    data : (nx, ny, nz) array of `dtype`, in the file's voxel order.
    affine : (4, 4) voxel-to-world matrix, RAS+ millimetres.

    Raises
    ------
    InputError
        If the file is absent, no image, not 3-D (a trailing axis of length one is
        dropped), or does not say where its voxels lie (see `_world`).
    """
    try:
        image = nibabel.load(str(path))
        data = np.asanyarray(image.dataobj)
    except (OSError, EOFError, ValueError, nibabel.filebasedimages.ImageFileError) as error:
        raise InputError(f"{path}: cannot be read as an image ({error}).") from error
    if data.ndim == 4 and data.shape[3] == 1:
        data = data[..., 0]
    if data.ndim != 3:
        raise InputError(
            f"{path}: expected a 3-D volume, found shape {data.shape}. Save one volume of a "
            "series, or its mean, as a file of its own."
        )
    return np.ascontiguousarray(data, dtype=dtype), _world(path, image)


def read_components(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Read a 4-D NIfTI of several maps as (components, nx, ny, nz) float32, and its affine."""
    try:
        image = nibabel.load(str(path))
        data = np.asanyarray(image.dataobj, dtype=np.float32)
    except (OSError, EOFError, ValueError, nibabel.filebasedimages.ImageFileError) as error:
        raise InputError(f"{path}: cannot be read as an image ({error}).") from error
    if data.ndim != 4:
        raise InputError(f"{path}: expected a 4-D volume, found shape {data.shape}.")
    return np.ascontiguousarray(np.moveaxis(data, -1, 0)), _world(path, image)


def write_volume(path: str | Path, data: np.ndarray, affine: np.ndarray, **sidecar: Any) -> None:
    """Write a volume (3-D, or 4-D with components last) as NIfTI with its JSON sidecar.

    `sidecar` goes to `write_sidecar`. Boolean masks are stored as uint8.
    """
    data = np.asarray(data)
    if data.dtype == bool:
        data = data.astype(np.uint8)
    image = nibabel.Nifti1Image(data, check_affine("affine", affine))
    image.header.set_xyzt_units("mm")
    with atomic(path) as temporary:
        nibabel.save(image, str(temporary))
    write_sidecar(path, **sidecar)


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a TSV table; subject and electrode names stay text."""
    text = {"subject": str, "electrode": str, "pair": str}
    try:
        return pd.read_csv(path, sep="\t", dtype=text, keep_default_na=True)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a TSV table ({error}).") from error


def write_table(path: str | Path, table: pd.DataFrame, **sidecar: Any) -> None:
    """Write a TSV table with its JSON sidecar; `sidecar` goes to `write_sidecar`."""
    with atomic(path) as temporary:
        table.to_csv(temporary, sep="\t", index=False, na_rep="n/a", float_format="%.9g")
    write_sidecar(path, **sidecar)


def _world(path: str | Path, image: Any) -> np.ndarray:
    """Voxel-to-world matrix (4, 4) that the file states, never one that its reader made up.

    Without a form code of its own, NIfTI's reader lays the centre of the volume into the
    origin and flips the first axis; Analyze files hold no matrix at all.
    """
    header = image.header
    nifti = isinstance(header, nibabel.Nifti1Header)
    if isinstance(header, nibabel.AnalyzeHeader) and not (
        nifti and (header["sform_code"] or header["qform_code"])
    ):
        found = "sform_code and qform_code are 0" if nifti else "the format holds none"
        raise InputError(
            f"{path}: no orientation is stated ({found}), so left and right cannot be told. "
            "Convert the scan again from its DICOM files, or write the right affine into it."
        )
    return check_affine(f"{path}: affine", image.affine)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
