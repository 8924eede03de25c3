"""What a study needs on disk: an upper estimate by the sizes of its images, meshes and models."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from typing import Any

import numpy as np

from headcond.caps import cap_positions
from headcond.study_paths import folder, pair_count, refinement

# Bytes per voxel of the networks' grid: scans and what is made of them (measured 24 to 31);
# conductivity maps of one table (10 to 12); per voxel of the fields' grid, the field of one
# model, its conductivity and its grey matter surface (6).
_SCANS, _MAPS, _FIELD = 34.0, 14.0, 7.0
# Bytes per node of a head's mesh, operators and pictures (measured 360); nodes of a head whose
# tetrahedra have the edge h are 0.009 m^3 / h^3 (measured 0.0085 to 0.0087).
_NODE, _HEAD = 500.0, 0.009
# Logs, tables and figures of a study and of a subject, measured 5 and 3 MB.
_STUDY, _SUBJECT = 30e6, 10e6


def estimate(study: Mapping[str, Any]) -> dict[str, float]:
    """Bytes that the results of a checked study take at most, by subject, and `study` itself.

    Temporary images are counted once, and the bases that Experiment 1 or corrected readings need
    until the study ends.
    """
    cohort, wings, grid = study["cohort"], set(study["wings"]), math.prod(study["mri"]["shape"])
    need = {"study": _STUDY}
    shown = [*cohort["test"], *cohort["scans"]]
    if wings & {"tms", "predict"}:
        maps = _MAPS * grid * len(study["condnet"]["tables"])
        fields = _FIELD * grid * refinement(study) ** 3 * _fields(study)
        for subject in dict.fromkeys([*cohort["train"], *shown]):
            need[subject] = _SUBJECT + _SCANS * grid
        for subject in shown:
            need[subject] += maps
        for subject in cohort["test"] if "tms" in wings else ():
            need[subject] += fields
    if wings & {"eit", "forward"}:
        head = _NODE * _HEAD / study["head"]["mesh"]["size"] ** 3
        for subject in study["head"]["subjects"]:
            given = need.get(subject, _SUBJECT + _MAPS * grid)
            need[subject] = given + head
            if "eit" in wings:
                nodes = _HEAD / study["head"]["mesh"]["size"] ** 3
                need[subject] += _model(study["rom"]) + _bases(study["rom"], nodes)
                need[subject] += _voltages(study)
    return need


def shortage(study: Mapping[str, Any]) -> str:
    """A warning if the results may not find room where they go; '' if they do."""
    place = folder(study)
    need = estimate(study)
    there = place
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free
    if sum(need.values()) <= free:
        return ""  # without a walk through the results, which may be many thousand files
    present = sum(p.stat().st_size for p in place.rglob("*") if p.is_file())
    missing = sum(need.values()) - present - free
    if missing <= 0:
        return ""
    return (
        f"results: {place} has {free / 1e9:.1f} GB left, and this study may take "
        f"{sum(need.values()) / 1e9:.1f} GB ({len(need) - 1} subjects of up to "
        f"{max(need.values()) / 1e9:.2f} GB): it may stop for want of {missing / 1e9:.1f} GB. Free "
        "space there, or name another folder."
    )


def _fields(study: Mapping[str, Any]) -> int:
    tms = study["tms"]
    models = 3 + (study["cohort"]["source"] == "phantom") + tms["subvoxel"]
    further = 2 * (len(study["condnet"]["tables"]) - 1) + len(tms.get("further_tables", []))
    return models + further


def _voltages(study: Mapping[str, Any]) -> float:
    """Bytes of simulated voltages (44 a reading, 28 of another head) and estimates (550)."""
    inverse, cap = study["inverse"], study["head"]["electrodes"]["cap"]
    pairs = pair_count(study["rom"]["pairs"])
    known = cap != "file" and not cap.endswith(".csv")
    electrodes = len(cap_positions(cap, np.eye(4))) if known else pairs + 1
    table = pairs * electrodes
    other = (
        7 * min(10, inverse["samples"]) if "disturbances" in inverse["experiment"]["kinds"] else 0
    )
    return inverse["samples"] * (50.0 * table + 600.0 * pairs) + 32.0 * other * table


def _bases(rom: Mapping[str, Any], nodes: float) -> float:
    """Bytes of the basis vectors that are kept for a while, and the batches' tables beside them."""
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
