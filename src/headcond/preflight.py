"""What can be known of a study before its first job: its files can be read, its results written."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headcond.checks import InputError
from headcond.head.formats import check_mesh
from headcond.inverse import table
from headcond.io import check_image, check_whole
from headcond.study_paths import bids_files, expand, folder, label_file, pair_count
from headcond.tms import coil

MOST_JOBS = 3000


def check_files(study: Mapping[str, Any]) -> None:
    """Look into every file that a checked study names, the headers of images only.

    Networks are held against their checksums; of a mesh the beginning is looked at.

    Raises
    ------
    InputError
        Names the key and the file of the first that cannot be used.
    """
    for key, path in _images(study):
        try:
            check_image(path)
        except InputError as error:
            raise InputError(f"{key}: {error}") from None
    if {"eit", "forward"} & set(study["wings"]) and study["head"]["source"] == "file":
        for subject, path in study["head"]["files"].items():
            key = f"head.files.{subject}"
            try:
                check_mesh(expand(key, path))
            except InputError as error:
                raise InputError(f"{key}: {error}") from None
    if "tms" in study["wings"] and "file" in study["tms"]["coil"]:
        try:
            coil.read(expand("tms.coil.file", study["tms"]["coil"]["file"]))
        except InputError as error:
            raise InputError(f"tms.coil.file: {error}") from None
    for key, path in _measured(study):
        try:
            table.read(expand(key, path))
        except InputError as error:
            raise InputError(f"{key}: {error}") from None
    if "networks" in study["condnet"]:
        networks = expand("condnet.networks", study["condnet"]["networks"])
        try:
            for axis in study["condnet"]["axes"]:
                check_whole(networks / f"axis-{axis}_network.ckpt")
        except InputError as error:
            raise InputError(f"condnet.networks: {error}") from None


def check_output(study: Mapping[str, Any]) -> None:
    """Make the folder of a study's results and write into it.

    Raises
    ------
    InputError
        If that fails: a read-only or full file system, or somebody else's folder.
    """
    place = folder(study)
    # Of this process alone: two runs may start at once.
    trial = place / f".writable-{os.getpid()}"
    try:
        place.mkdir(parents=True, exist_ok=True)
        trial.write_bytes(bytes(4096))
    except OSError as error:
        raise InputError(
            f"results: nothing can be written into {place} ({error.strerror}). Free space there, "
            "mend its permissions, or name another folder."
        ) from error
    finally:
        if os.access(place, os.W_OK):
            trial.unlink(missing_ok=True)


def crowd(study: Mapping[str, Any]) -> str:
    """What is to be said if a study's batches are more jobs than a cluster should get; '' if not.

    One machine works through any number of them; on a cluster the run is refused.
    """
    rom = study["rom"]
    if "eit" not in study["wings"] or "trained" in rom:
        return ""
    pairs = pair_count(rom["pairs"])
    # Experiment 1 compares every batch in a job of its own.
    each = 2 if rom["experiment"]["norms"] else 1

    def jobs(batch: int) -> int:
        return len(study["head"]["subjects"]) * math.ceil(pairs / batch) * each

    if jobs(rom["batch"]) <= MOST_JOBS:
        return ""
    told = (
        f"rom.batch: batches of {rom['batch']} pairs are {jobs(rom['batch'])} jobs of their own on "
        f"a cluster, which gets {MOST_JOBS} at most. "
    )
    for batch in (min(pairs, 33), pairs):
        if jobs(batch) <= MOST_JOBS:
            return told + f"Larger ones are fewer: rom.batch: {batch} makes {jobs(batch)} of them."
    return told + "Split head.subjects into several studies."


def _measured(study: Mapping[str, Any]) -> list[tuple[str, str]]:
    measured = study["inverse"]["measured"] if "eit" in study["wings"] else ""
    named = (
        {f"inverse.measured.{subject}": path for subject, path in measured.items()}
        if isinstance(measured, Mapping)
        else {"inverse.measured": measured}
    )
    return [(key, path) for key, path in named.items() if path.endswith(".tsv")]


def _images(study: Mapping[str, Any]) -> list[tuple[str, Path]]:
    cohort = study["cohort"]
    found = []
    for subject, scans in cohort["scans"].items():
        for contrast, path in scans.items():
            key = f"cohort.scans.{subject}.{contrast}"
            found.append((key, expand(key, path)))
    for subject in (*cohort["train"], *cohort["test"]):
        if cohort["source"] == "labels":
            found.append((f"cohort.pattern (for {subject})", label_file(study, subject)))
        if cohort["source"] == "bids":
            files = bids_files(study, subject).values()
            found += [(f"cohort.folder (for {subject})", path) for path in files]
    if "template" in study["mri"]:
        found.append(("mri.template", expand("mri.template", study["mri"]["template"])))
    return found
