"""Checks before the first job: readable input, writable results, enough disk."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headcond.checks import InputError
from headcond.files.results import check_image, check_whole
from headcond.head.formats import check_mesh
from headcond.inverse import measurement
from headcond.study.consistency import electrode_names
from headcond.study.paths import bids_files, folder, label_file, pair_count, refinement
from headcond.tms import coil_files

MOST_JOBS = 3000


def check_files(study: Mapping[str, Any]) -> None:
    """Read the files that a checked study names.

    Of images the headers are read, of meshes the beginning; networks are compared with their
    checksums.

    Raises
    ------
    InputError
        For the first file that cannot be used; the message names key and file.
    """
    pipelines, condnet = set(study["pipelines"]), study["condnet"]
    files = [(key, check_image, path) for key, path in _images(study)]
    if pipelines & {"eit", "forward"} and study["head"]["source"] == "file":
        meshes = study["head"]["files"].items()
        files += [(f"head.files.{subject}", check_mesh, path) for subject, path in meshes]
    if "tms" in pipelines and "file" in study["tms"]["coil"]:
        files.append(("tms.coil.file", coil_files.read, study["tms"]["coil"]["file"]))
    files += [(key, measurement.read, path) for key, path in _measured(study)]
    if "networks" in condnet:
        names = [f"axis-{axis}_network.ckpt" for axis in condnet["axes"]]
        networks = Path(condnet["networks"])
        files += [("condnet.networks", check_whole, networks / name) for name in names]
    for key, check, path in files:
        try:
            check(path)
        except InputError as error:
            raise InputError(f"{key}: {error}") from None


def check_output(study: Mapping[str, Any]) -> None:
    """Create the folder of a study's results and write into it.

    Raises
    ------
    InputError
        If that fails: a read-only or full file system, or missing permissions.
    """
    place = folder(study)
    # Named by the process: two runs may start at once.
    trial = place / f".writable-{os.getpid()}"
    try:
        place.mkdir(parents=True, exist_ok=True)
        trial.write_bytes(bytes(4096))
    except OSError as error:
        raise InputError(
            f"results: nothing can be written into {place} ({error.strerror}). Free space there, "
            "correct its permissions, or name another folder."
        ) from error
    finally:
        if os.access(place, os.W_OK):
            trial.unlink(missing_ok=True)


def crowd(study: Mapping[str, Any]) -> str:
    """A message if a study's batches are more jobs than a cluster should get; '' if not.

    One machine runs any number of them; on a cluster the run is refused.
    """
    rom = study["rom"]
    if "eit" not in study["pipelines"] or "trained" in rom:
        return ""
    pairs = pair_count(rom["pairs"])
    # Experiment 1 compares every batch in a job of its own.
    each = 2 if rom["experiment"]["norms"] else 1

    def jobs(batch: int) -> int:
        return len(study["head"]["subjects"]) * math.ceil(pairs / batch) * each

    if jobs(rom["batch"]) <= MOST_JOBS:
        return ""
    message = (
        f"rom.batch: batches of {rom['batch']} pairs are {jobs(rom['batch'])} jobs on a cluster, "
        f"which gets {MOST_JOBS} at most. "
    )
    for batch in (min(pairs, 33), pairs):
        if jobs(batch) <= MOST_JOBS:
            return message + f"Set rom.batch to {batch}, which makes {jobs(batch)}."
    return message + "Split head.subjects into several studies."


def _measured(study: Mapping[str, Any]) -> list[tuple[str, str]]:
    measured = study["inverse"]["measured"] if "eit" in study["pipelines"] else ""
    named = {"inverse.measured": measured}
    if isinstance(measured, Mapping):
        named = {f"inverse.measured.{subject}": path for subject, path in measured.items()}
    return [(key, path) for key, path in named.items() if path.endswith(".tsv")]


def _images(study: Mapping[str, Any]) -> list[tuple[str, Path]]:
    cohort = study["cohort"]
    found = [
        (f"cohort.scans.{subject}.{contrast}", Path(path))
        for subject, scans in cohort["scans"].items()
        for contrast, path in scans.items()
    ]
    for subject in (*cohort["train"], *cohort["test"]):
        if cohort["source"] == "labels":
            found.append((f"cohort.pattern (for {subject})", label_file(study, subject)))
        if cohort["source"] == "bids":
            files = bids_files(study, subject).values()
            found += [(f"cohort.folder (for {subject})", path) for path in files]
    if "template" in study["mri"]:
        found.append(("mri.template", Path(study["mri"]["template"])))
    return found


# Bytes per voxel of the networks' grid: scans and their derivatives (measured 24 to 31);
# conductivity maps of one table (10 to 12); per voxel of the fields' grid, the field of one
# model, its conductivity and its grey matter surface (6).
_SCANS, _MAPS, _FIELD = 34.0, 14.0, 7.0
# Bytes per node of a head's mesh, operators and pictures (measured 360); nodes of a head whose
# tetrahedra have the edge h are 0.009 m^3 / h^3 (measured 0.0085 to 0.0087).
_NODE, _HEAD = 500.0, 0.009
# Logs, tables and figures of a study and of a subject, measured 5 and 3 MB.
_STUDY, _SUBJECT = 30e6, 10e6


def disk_demand(study: Mapping[str, Any]) -> dict[str, float]:
    """Largest number of bytes of a checked study's results, by subject, and of `study` itself.

    Temporary images count once, and so do the bases that Experiment 1 or corrected readings need
    until the study ends.
    """
    cohort, pipelines = study["cohort"], set(study["pipelines"])
    grid = math.prod(study["mri"]["shape"])
    need = {"study": _STUDY}
    shown = [*cohort["test"], *cohort["scans"]]
    if pipelines & {"tms", "predict"}:
        maps = _MAPS * grid * len(study["condnet"]["tables"])
        fields = _FIELD * grid * refinement(study) ** 3 * _fields(study)
        for subject in dict.fromkeys([*cohort["train"], *shown]):
            need[subject] = _SUBJECT + _SCANS * grid
        for subject in shown:
            need[subject] += maps
        for subject in cohort["test"] if "tms" in pipelines else ():
            need[subject] += fields
    if pipelines & {"eit", "forward"}:
        nodes = _HEAD / study["head"]["mesh"]["size"] ** 3
        for subject in study["head"]["subjects"]:
            need[subject] = need.get(subject, _SUBJECT + _MAPS * grid) + _NODE * nodes
            if "eit" in pipelines:
                need[subject] += _model(study["rom"]) + _bases(study["rom"], nodes)
                need[subject] += _voltages(study)
    return need


def shortage(study: Mapping[str, Any]) -> str:
    """A warning if the disk may be too small for the results; '' if not."""
    place, need = folder(study), disk_demand(study)
    total = sum(need.values())
    there = next(part for part in (place, *place.parents) if part.exists())
    free = shutil.disk_usage(there).free
    if total <= free:
        return ""  # without a walk through the results, which may be many thousand files
    present = sum(p.stat().st_size for p in place.rglob("*") if p.is_file())
    missing = total - present - free
    if missing <= 0:
        return ""
    return (
        f"results: {place} has {free / 1e9:.1f} GB left, and this study may take "
        f"{total / 1e9:.1f} GB ({len(need) - 1} subjects of up to "
        f"{max(need.values()) / 1e9:.2f} GB): {missing / 1e9:.1f} GB may be missing. Free "
        "space there, or name another folder."
    )


def _fields(study: Mapping[str, Any]) -> int:
    tms = study["tms"]
    models = 3 + (study["cohort"]["source"] == "phantom") + tms["subvoxel"]
    further = 2 * (len(study["condnet"]["tables"]) - 1) + len(tms.get("further_tables", []))
    return models + further


def _voltages(study: Mapping[str, Any]) -> float:
    """Bytes of simulated voltages (44 a reading, 28 of another head) and estimates (550)."""
    inverse, pairs = study["inverse"], pair_count(study["rom"]["pairs"])
    electrodes = len(electrode_names(study) or range(pairs + 1))
    table = pairs * electrodes
    disturbed = "disturbances" in inverse["experiment"]["kinds"]
    other = 7 * min(10, inverse["samples"]) if disturbed else 0
    return inverse["samples"] * (50.0 * table + 600.0 * pairs) + 32.0 * other * table


def _bases(rom: Mapping[str, Any], nodes: float) -> float:
    """Bytes of the basis vectors that are kept for a while, and of the batches' tables."""
    if not (rom["corrected"] or rom["experiment"]["norms"]):
        return 0.0
    return 1.2 * 8.0 * pair_count(rom["pairs"]) * rom["snapshots"] * nodes


def _model(rom: Mapping[str, Any]) -> float:
    count, snapshots = pair_count(rom["pairs"]), rom["snapshots"]
    columns = 1 + 7 * snapshots
    numbers = count * (columns**2 + 7 * snapshots**2)
    if rom["corrected"]:
        numbers += count * (count - 1) / 2 * 7 * snapshots**2
    return 8.0 * numbers
