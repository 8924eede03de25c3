"""Where the files are that a study names, and where its results go."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from headcond.checks import InputError
from headcond.cohort import bids

REPOSITORY = Path(__file__).resolve().parents[3]


def expand(key: str, path: str) -> Path:
    """Expand `~` and $VARIABLES in `path`; raise `InputError` naming `key` if one is not set."""
    expanded = os.path.expanduser(os.path.expandvars(path))
    unset = re.findall(r"\$\{?(\w+)\}?", expanded)
    if unset:
        raise InputError(
            f"{key}: the environment variable {unset[0]} is not set; "
            f"export it (absolute path) or write the folder into the study file."
        )
    return Path(expanded)


def existing(key: str, path: Path, kind: str = "file") -> Path:
    """Return `path` if the file or folder exists, else raise `InputError` naming `key`."""
    if not (path.is_dir() if kind == "folder" else path.is_file()):
        raise InputError(f"{key}: the {kind} {path} does not exist.")
    return path


def label_file(study: Mapping[str, Any], subject: str) -> Path:
    """Label map of `subject` in a study on label maps."""
    cohort = study["cohort"]
    name = Path(cohort["pattern"].replace("{id}", subject.removeprefix("sub-")))
    if name.is_absolute() or ".." in name.parts:
        raise InputError(
            f"cohort.pattern: {cohort['pattern']} leads out of cohort.folder; name files below it."
        )
    return expand("cohort.folder", cohort["folder"]) / name


def bids_files(study: Mapping[str, Any], subject: str) -> dict[str, Path]:
    """Scans and label map of `subject` in a study on a BIDS-like folder."""
    cohort = study["cohort"]
    root = expand("cohort.folder", cohort["folder"])
    suffixes = {
        "scan_t1": "T1w",
        "scan_t2": "T2w",
        "label_map": f"desc-{cohort['scheme']}_dseg",
    }
    return {key: bids.find_image(root, subject, suffix) for key, suffix in suffixes.items()}


def refinement(study: Mapping[str, Any]) -> int:
    """How many voxels of the fields lie along the edge of one of the networks' voxels."""
    coarse = study["cohort"]["voxel_size_mm"]
    return round(coarse / study["tms"].get("voxel_size_mm", coarse))


def pair_count(pairs: int | Sequence[str]) -> int:
    """How many pairs `rom.pairs` or `forward.pairs` asks for: a number, or injecting electrodes."""
    return pairs if isinstance(pairs, int) else len(pairs)


def folder(study: Mapping[str, Any]) -> Path:
    """Folder of the results of `study`."""
    return Path(study["results"]) / study["study"]


def report_path(study: Mapping[str, Any]) -> Path:
    """The HTML report of `study`; of one that does nothing but predict, its folder of figures."""
    alone = set(study["pipelines"]) == {"predict"}
    return folder(study) / ("figures" if alone else "report.html")
