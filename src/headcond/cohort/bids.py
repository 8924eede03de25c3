"""Real scans from a BIDS-like folder: who is in it, which files, and are they usable."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headcond.checks import InputError, check_option, voxel_sizes
from headcond.files.results import read_tsv, read_volume

logger = logging.getLogger(__name__)

SPLITS = ("train", "test")
NOTED_ANISOTROPY = 2.0
"""Ratio of a voxel's longest edge to its shortest above which a scan comes with a warning."""
LARGEST_ANISOTROPY = 8.0
"""Ratio above which a scan is refused: 4 mm slices of 0.5 mm pixels are the last that pass."""
THICKEST_SLICE_MM = 5.0
"""Longest voxel edge of a scan that is accepted: an adult's skull is about 6 mm thick, and
thicker slices may miss it. Both limits are ours."""
LEAST_OVERLAP = 0.25
"""Share of the smaller field of view of T1w and T2w that must lie in the other; ours."""
_ROUND_OFF = 1e-3  # of an affine's voxel edges: headers hold them as float32, often rounded
_LABEL = re.compile(r"[A-Za-z0-9]+")
_SUFFIX = re.compile(r"(?:[a-z]+-[A-Za-z0-9]+_)*[A-Za-z0-9]+")


@dataclass(frozen=True)
class Scan:
    """A scan that passed the checks.

    Attributes
    ----------
    data : (nx, ny, nz) float32, the file's voxel order, no negative values.
    affine : (4, 4) voxel -> RAS world, mm.
    warnings : what a reader of the results should know of; empty if nothing.
    """

    data: np.ndarray
    affine: np.ndarray
    warnings: tuple[str, ...]


def participants(folder: str | Path) -> list[dict[str, str]]:
    """Read participants.tsv.

    Parameters
    ----------
    folder : holds participants.tsv with a column participant_id ("sub-01" or "01"), an
        optional column split ("train" or "test"), and any others.

    Returns
    -------
    One dict per row, in the file's order: `participant_id` with its "sub-", all other
    columns as text, absent values ("n/a") left out.

    Raises
    ------
    InputError
        If the file is missing or no table, the column is absent, an id is listed twice
        or is anything but letters and digits, or a split is neither train nor test.
    """
    path = Path(folder) / "participants.tsv"
    if not path.is_file():
        raise InputError(f"{path} is missing: list the participants there, one per line.")
    table = read_tsv(path, dtype=str, keep_default_na=False)
    if "participant_id" not in table:
        raise InputError(f"{path}: has no column participant_id, only {list(table)}.")
    rows: list[dict[str, str]] = []
    seen: set[str] = set()
    for number, record in enumerate(table.to_dict("records"), start=2):
        row = {
            key: text.strip()
            for key, text in record.items()
            if text is not None and text.strip() not in ("", "n/a")
        }
        try:
            row["participant_id"] = subject_name(row.get("participant_id", ""))
            if "split" in row:
                check_option("split", row["split"], SPLITS)
        except InputError as error:
            raise InputError(f"{path}, line {number}: {error}") from error
        if row["participant_id"] in seen:
            raise InputError(f"{path}, line {number}: {row['participant_id']} is listed twice.")
        seen.add(row["participant_id"])
        rows.append(row)
    if not rows:
        raise InputError(f"{path}: lists no participant.")
    return rows


def subject_name(subject: str) -> str:
    """Return "sub-XX" for "XX" or "sub-XX"; letters and digits only, so no path can hide in it."""
    label = subject.removeprefix("sub-")
    if not _LABEL.fullmatch(label):
        raise InputError(
            f"{subject!r} is no participant id: use letters and digits, with or without 'sub-'."
        )
    return f"sub-{label}"


def find(folder: str | Path, subject: str, suffix: str) -> Path:
    """Path of one of a participant's images.

    Parameters
    ----------
    folder : root of the study, holds sub-XX/anat/.
    subject : "01" or "sub-01".
    suffix : "T1w", "T2w", or with entities "desc-synthseg_dseg".

    Returns
    -------
    folder/sub-XX/anat/sub-XX_<suffix>.nii.gz, or .nii where only that is there.

    Raises
    ------
    InputError
        If the id or suffix is malformed, the file is missing (it is named, and what is
        there instead), or it leads outside `folder` by a link.
    """
    name = subject_name(subject)
    if not _SUFFIX.fullmatch(suffix):
        raise InputError(f"{suffix!r} is no suffix: use 'T1w', 'T2w' or 'desc-<scheme>_dseg'.")
    root = Path(folder)
    anat = root / name / "anat"
    wanted = anat / f"{name}_{suffix}.nii.gz"
    plain = wanted.with_suffix("")
    path = wanted if wanted.is_file() or not plain.is_file() else plain
    if not path.is_file():
        present = sorted(p.name for p in anat.glob("*.nii*")) if anat.is_dir() else []
        there = f"that folder holds {', '.join(present)}" if present else "no image is there"
        raise InputError(f"{wanted} is missing; {there}.")
    if not path.resolve().is_relative_to(root.resolve()):
        raise InputError(f"{path} is a link to {path.resolve()}, outside {root.resolve()}.")
    return path


def read_scan(path: str | Path) -> Scan:
    """Read a magnitude image and refuse what the pipeline could not use.

    Nothing is repaired: a value that is none of a magnitude image (NaN, infinite, negative)
    has a cause that the person who exported the scan can mend and a program can only hide.

    Parameters
    ----------
    path : 3-D NIfTI file that states its orientation.

    Raises
    ------
    InputError
        If the image is not 3-D (a series of volumes must be reduced to one), states no
        orientation, holds NaN, infinite or negative values, is constant, or its voxels are
        longer than `THICKEST_SLICE_MM` or more than `LARGEST_ANISOTROPY` times longer than
        wide. Above `NOTED_ANISOTROPY` it comes with a warning.
    """
    data, affine = read_volume(path)
    bad = int(np.count_nonzero(~np.isfinite(data)))
    if bad:
        raise InputError(f"{path}: {bad} voxels are NaN or infinite. Export the scan again.")
    if data.min() < 0:
        raise InputError(
            f"{path}: {np.count_nonzero(data < 0)} voxels are negative (lowest {data.min():g}). "
            "A magnitude image is not: set interpolation undershoot to 0, or add the offset back."
        )
    if data.min() == data.max():
        raise InputError(f"{path}: every voxel is {data.flat[0]:g}, the image is empty.")
    sizes = voxel_sizes(affine)
    edges = " x ".join(f"{edge:.3g}" for edge in sizes)
    ratio = sizes.max() / sizes.min()
    slack = 1 + _ROUND_OFF
    if sizes.max() > slack * THICKEST_SLICE_MM or ratio > slack * LARGEST_ANISOTROPY:
        raise InputError(
            f"{path}: voxels of {edges} mm are too long: at most {THICKEST_SLICE_MM:g} mm, and "
            f"{LARGEST_ANISOTROPY:g} times longer than wide. Thin layers such as the skull are "
            "lost between such slices; use a 3-D acquisition."
        )
    warnings = []
    if ratio > slack * NOTED_ANISOTROPY:
        warnings.append(
            f"{Path(path).name}: voxels of {edges} mm are {ratio:.1f} times longer than wide "
            f"(limit {NOTED_ANISOTROPY:g}): thin layers are blurred along the slices."
        )
        logger.warning(warnings[-1])
    return Scan(data, affine, tuple(warnings))


def read_pair(t1: str | Path, t2: str | Path) -> tuple[Scan, Scan]:
    """Read T1w and T2w of one person; refuse a pair whose fields of view lie apart.

    Two scans of one session share the scanner's world, so their fields of view overlap. Where
    less than `LEAST_OVERLAP` of the smaller one lies in the other, they are of two people, of
    two parts of a body, or one of the affines is wrong: no alignment is tried.

    Raises
    ------
    InputError
        If `read_scan` refuses a scan, or the pair lies apart.
    """
    first, second = read_scan(t1), read_scan(t2)
    share = overlap(first.data.shape, first.affine, second.data.shape, second.affine)
    if share < LEAST_OVERLAP:
        raise InputError(
            f"{t2}: only {100 * share:.0f} % of its field of view and that of {t1} overlap "
            f"(at least {100 * LEAST_OVERLAP:.0f} %). Are both of one person and session? Check "
            "their affines, or bring the T2w roughly to the T1w first."
        )
    return first, second


def overlap(
    shape: tuple[int, ...], affine: np.ndarray, other_shape: tuple[int, ...], other: np.ndarray
) -> float:
    """Share of the smaller of two fields of view that lies in the other one, 0 to 1.

    Counted on 24^3 points of the smaller field.
    """
    volumes = [
        np.prod(s) * abs(np.linalg.det(a)) for s, a in ((shape, affine), (other_shape, other))
    ]
    if volumes[0] > volumes[1]:
        shape, affine, other_shape, other = other_shape, other, shape, affine
    steps = [(np.arange(24) + 0.5) / 24 * side - 0.5 for side in shape]
    points = np.stack(np.meshgrid(*steps, indexing="ij"), -1).reshape(-1, 3)
    matrix = np.linalg.inv(other) @ affine
    there = points @ matrix[:3, :3].T + matrix[:3, 3]
    return float(((there >= -0.5) & (there <= np.array(other_shape) - 0.5)).all(1).mean())
