"""Verification of a finished study: a sample of its steps run again, their results compared.

    python workflow/verify.py [--steps N] [--seed N] [--cores N] [--tolerance X] STUDY_FILE ...

The provenance in every sidecar states which step made a result and from what. A sample of the
steps is drawn. All files of the study but theirs are linked into a scratch folder, where
Snakemake makes theirs again, after temporary files that they need: a model's pairs are trained
again. The exit status is 1 if a result differs, 2 if the study cannot be verified.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from headcond.checks import InputError
from headcond.files import results
from headcond.study import config, paths
from headcond.study.comparison import differences

LEFT_OUT = {"report_study"}  # lists the run times of one run


def steps(folder: Path) -> dict[str, list[Path]]:
    """Results in the folder of a study, by the step that made them."""
    found: dict[str, list[Path]] = {}
    for side in sorted(folder.glob("*/**/*.json")):
        made = results.read_json(side).get("provenance", {})
        if "rule" not in made or made["rule"] in LEFT_OUT:
            continue
        made_files = [
            path
            for path in side.parent.iterdir()
            if path != side and results.sidecar_path(path) == side
        ]
        if not made_files and "sha256" in made:
            continue  # of a file that was temporary
        name = f"{made['rule']} {json.dumps(made['wildcards'], sort_keys=True)}"
        found.setdefault(name, []).extend(made_files or [side])
    return found


def link(source: Path, target: Path) -> None:
    """Link a file to another name; copy it where links are impossible. Times are kept."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def scratch_copy(folder: Path, scratch: Path, left_out: set[Path]) -> Path:
    """Link the workflow and all results but `left_out` into `scratch`; return their folder."""
    for entry in paths.REPOSITORY.iterdir():
        if entry.name not in (".git", ".snakemake", "results"):
            (scratch / entry.name).symlink_to(entry)
    copy = scratch / "results" / folder.name
    copy.parent.mkdir()
    known = paths.REPOSITORY / "results"  # of other studies, which this one may name
    for entry in known.iterdir() if known.is_dir() else ():
        if entry.name != folder.name and not entry.name.startswith("."):
            (copy.parent / entry.name).symlink_to(entry)
    for part in (*folder.glob("sub-*"), folder / "networks"):
        for path in part.rglob("*"):
            if path.is_file() and path not in left_out:
                link(path, copy / path.relative_to(folder))
    return copy


def verify(files: list[str], count: int, seed: int, cores: int, tolerance: float) -> int:
    """Verify a study, print the outcome per step, and return the number of differences.

    Parameters
    ----------
    files : study files, later ones changing earlier ones.
    count : how many steps are run again.
    seed : of the draw.
    cores : for Snakemake.
    tolerance : relative difference of numbers that is accepted.

    Raises
    ------
    InputError
        If the study has no results with provenance, or a step fails.
    """
    checked = config.read(*files)
    folder = paths.folder(checked).resolve()
    known = steps(folder)
    if not known:
        raise InputError(f"{folder}: holds no result with its provenance; run the study first.")
    names = sorted(known)
    drawn = np.random.default_rng(seed).choice(len(names), min(count, len(names)), replace=False)
    sample = {names[n]: known[names[n]] for n in sorted(drawn)}
    chosen = {path for group in sample.values() for path in group}
    sides = {results.sidecar_path(path) for path in chosen}
    with tempfile.TemporaryDirectory(prefix=".verify-", dir=folder.parent) as place:
        scratch = Path(place)
        copy = scratch_copy(folder, scratch, chosen | sides)
        (scratch / "verify.yaml").write_text("results: results\n")
        targets = [str(Path("results") / folder.name / path.relative_to(folder)) for path in chosen]
        done = subprocess.run(
            [
                str(Path(sys.executable).parent / "snakemake"), *sorted(targets), "--cores",
                str(cores), "--rerun-triggers", "mtime", "--configfile",
                *(str(Path(name).resolve()) for name in files), "verify.yaml",
            ],
            cwd=scratch, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise InputError(f"{folder}: the steps do not run again:\n{done.stderr[-3000:]}")
        wrong = 0
        for name, group in sample.items():
            found = [
                f"    {path.name}: {difference}"
                for path in sorted(group)
                for difference in differences(path, copy / path.relative_to(folder), tolerance)
            ]
            wrong += len(found)
            print(f"{'differs' if found else 'same   '} {name}, {len(group)} results", *found,
                  sep="\n")  # fmt: skip
    print(f"{len(sample)} of {len(known)} steps were run again, {wrong} differences.")
    return wrong


def main(arguments: Sequence[str]) -> int:
    """Read the command line and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    parser.add_argument("--tolerance", type=float, default=0.0)
    given = parser.parse_args(arguments)
    if given.steps < 1:
        parser.error("--steps: at least 1")
    try:
        return int(verify(given.files, given.steps, given.seed, given.cores, given.tolerance) > 0)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
