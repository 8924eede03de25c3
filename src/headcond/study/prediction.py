"""The study of one new person: scans without labels through trained networks."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from headcond.checks import InputError
from headcond.cohort.bids import read_pair, subject_name
from headcond.condnet.checkpoint import check_as_trained, load_checkpoint
from headcond.condnet.slices import AXES
from headcond.files.results import atomic, read_json, sidecar_path
from headcond.study.config import check, merge, schema
from headcond.study.paths import clone_file, existing

STUDY_FILE = "study.yaml"


def describe(
    networks: str | Path, t1: str | Path, t2: str | Path, out: str | Path, subject: str = "sub-new"
) -> dict[str, Any]:
    """Return the study that predicts one person, prepared as the networks were trained.

    It holds what differs from config.yaml. Grid, voxel size, normalisation, bias correction, tables
    and tau are read from the three checkpoints, so nothing about them can be stated wrongly.

    Parameters
    ----------
    networks : folder of axis-sagittal_network.ckpt, axis-coronal_... and axis-axial_..., with the
        training domain next to them (domain.json).
    t1, t2 : scans of the person, see `cohort.bids.read_pair`.
    out : folder of the results (OUT of `make predict`); its last part names the study.
    subject : name of the person in file names, "sub-XX" or "XX".

    Raises
    ------
    InputError
        If a network or scan is missing or unusable, the networks are not of one training, or
        `out` has characters that no study's folder may have.
    """
    folder = Path(networks).resolve()
    files = {axis: folder / f"axis-{axis}_network.ckpt" for axis in AXES}
    trained = {axis: load_checkpoint(existing("networks", path)) for axis, path in files.items()}
    first = trained[AXES[0]]
    for axis, network in trained.items():
        check_as_trained(
            f"network {files[axis].name}",
            {"axis": network.axis, **_shared(network)},
            {"axis": axis, **_shared(first)},
            "The three networks must be of one study.",
        )
    read_pair(t1, t2)
    out = Path(out)
    for key, part in (("study", out.name), ("results", str(out.parent))):
        rule = schema()["properties"][key]
        if not re.search(rule["pattern"], part):
            raise InputError(f"OUT: {part!r} in {str(out)!r} cannot be used. {rule['description']}")
    scans = {"t1": str(Path(t1).resolve()), "t2": str(Path(t2).resolve())}
    condnet = {"networks": str(folder), "tables": list(first.tables), "tau": first.tau}
    if "cole-cole" in first.tables:  # the checkpoint holds the table's values, not its frequency
        record = read_json(sidecar_path(files[AXES[0]]))["provenance"]["parameters"]
        condnet["frequency"] = record["settings"]["frequency"]
    return {
        "study": out.name,
        "results": str(out.parent),
        "pipelines": ["predict"],
        "cohort": {
            "voxel_size_mm": first.grid["voxel_size"][0],
            "train": [],
            "test": [],
            "scans": {subject_name(subject): scans},
        },
        "mri": {
            "shape": first.grid["shape"],
            "normalisation": first.normalisation["method"],
            "bias_shrink": first.normalisation["bias_shrink"],
        },
        "condnet": condnet,
    }


def write(study: Mapping[str, Any], out: str | Path) -> Path:
    """Write a study into its folder of results, which must be new or hold this very study.

    Raises
    ------
    InputError
        If the study is refused, or the folder holds anything else: no result is overwritten.
    """
    check(merge(yaml.safe_load(clone_file("config.yaml").read_text()), study))
    path = Path(out) / STUDY_FILE
    text = yaml.safe_dump(dict(study), sort_keys=False)
    if path.is_file() and path.read_text() == text:
        return path  # a run that was interrupted goes on
    if path.parent.exists() and (not path.parent.is_dir() or any(path.parent.iterdir())):
        raise InputError(f"{path.parent} exists already: name another folder for the results.")
    with atomic(path) as temporary:
        temporary.write_text(text)
    return path


def main(arguments: Sequence[str]) -> int:
    """Write the study of a person given as NETWORKS T1 T2 OUT [SUBJECT]; print its path."""
    try:
        if len(arguments) not in (4, 5) or not all(arguments):
            raise InputError(
                "make predict needs NETWORKS=folder T1=file T2=file OUT=folder, and may have "
                "SUBJECT=sub-name."
            )
        print(write(describe(*arguments), arguments[3]))
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _shared(network: Any) -> dict[str, Any]:
    return {name: getattr(network, name) for name in ("tables", "tau", "normalisation", "grid")}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
