"""Paths: files that a study names, the folder of its results, the clone that runs it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from headcond.checks import InputError
from headcond.cohort import bids

REPOSITORY = Path(__file__).resolve().parents[3]


def clone_file(name: str) -> Path:
    """A file of the clone that runs the workflow.

    Raises
    ------
    InputError
        If there is no clone: a wheel holds the library alone.
    """
    path = REPOSITORY / name
    if not path.exists():
        raise InputError(
            f"{name}: studies run from a clone of headcond, and this headcond is installed "
            f"without one ({Path(__file__).parents[1]}). Run the command in a clone."
        )
    return path


def expanded(path: str) -> str:
    """Replace `~` and the $VARIABLES that are set: the one expansion of every path of a study."""
    return os.path.expanduser(os.path.expandvars(path))


def existing(key: str, path: str | Path, kind: str = "file") -> Path:
    """Return `path` if the file or folder exists, else raise `InputError` naming `key`."""
    if not (Path(path).is_dir() if kind == "folder" else Path(path).is_file()):
        for name in re.findall(r"\$\{?(\w+)", str(path)):
            raise InputError(
                f"{key}: the environment variable {name} is not set; export it, or write the whole "
                "path into the study file."
            )
        raise InputError(f"{key}: the {kind} {path} does not exist.")
    return Path(path)


def label_file(study: Mapping[str, Any], subject: str) -> Path:
    """Label map of `subject` in a study on label maps."""
    cohort = study["cohort"]
    name = Path(cohort["pattern"].replace("{id}", subject.removeprefix("sub-")))
    if name.is_absolute() or ".." in name.parts:
        raise InputError(
            f"cohort.pattern: {cohort['pattern']} leads out of cohort.folder; name files below it."
        )
    return Path(cohort["folder"]) / name


def bids_files(study: Mapping[str, Any], subject: str) -> dict[str, Path]:
    """Scans and label map of `subject` in a study on a BIDS-like folder."""
    cohort = study["cohort"]
    suffixes = {"scan_t1": "T1w", "scan_t2": "T2w", "label_map": f"desc-{cohort['scheme']}_dseg"}
    return {k: bids.find_image(cohort["folder"], subject, suffix) for k, suffix in suffixes.items()}


def refinement(study: Mapping[str, Any]) -> int:
    """Voxels of the fields along the edge of one voxel of the networks."""
    coarse = study["cohort"]["voxel_size_mm"]
    return round(coarse / study["tms"].get("voxel_size_mm", coarse))


def pair_count(pairs: int | Sequence[str]) -> int:
    """Number of injection pairs of `rom.pairs` or `forward.pairs`, a number or electrodes."""
    return pairs if isinstance(pairs, int) else len(pairs)


def folder(study: Mapping[str, Any]) -> Path:
    """Folder of the results of `study`."""
    return Path(study["results"]) / study["study"]


def report_path(study: Mapping[str, Any]) -> Path:
    """The HTML report of `study`; the folder of figures if its only pipeline is predict."""
    alone = set(study["pipelines"]) == {"predict"}
    return folder(study) / ("figures" if alone else "report.html")
