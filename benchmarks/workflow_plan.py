"""Steps and Slurm jobs of a study of many subjects, and the time that Snakemake needs to plan it.

    python -m benchmarks.workflow_plan SUBJECTS [--pairs N] [--batch N] [--positions N]
        [--trained N]

Run it in the repository's root. It is a dry run: no step is executed. Prints one quantity per line.
"""

from __future__ import annotations

import argparse
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PLACES = ("C4", "F3", "F4", "P3", "P4", "O1", "O2")


def study(subjects: int, pairs: int, batch: int, positions: int, trained: int) -> str:
    """Content of a study file of both pipelines: `trained` of the heads train the networks."""
    names = [f"sub-{number:03d}" for number in range(1, subjects + 1)]
    further = ", ".join(f"{{position: {name}, handle: Cz}}" for name in PLACES[: positions - 1])
    return (
        "study: large\n"
        f"cohort: {{train: [{', '.join(names[:trained])}], test: [{', '.join(names[trained:])}]}}\n"
        f"tms: {{further_positions: [{further}]}}\n"
        f"head: {{subjects: [{', '.join(names)}], electrodes: {{cap: paper133, diameter: 0.01}}}}\n"
        f"rom: {{pairs: {pairs}, batch: {batch}, snapshots: 30}}\n"
    )


def run(command: list[str]) -> subprocess.CompletedProcess:
    """Run a command to its end, keeping what it prints."""
    return subprocess.run(command, capture_output=True, text=True, check=False)


def main() -> int:
    """Read the command line, plan, count."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("subjects", type=int)
    parser.add_argument("--pairs", type=int, default=132)
    parser.add_argument("--batch", type=int, default=33)
    parser.add_argument("--positions", type=int, default=4)
    parser.add_argument("--trained", type=int, default=20)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.yaml"
        path.write_text(study(**vars(given)))
        command = [
            str(Path(sys.executable).parent / "snakemake"), "-n", "--workflow-profile",
            "profiles/slurm", "--configfile", str(path),
        ]  # fmt: skip
        began = time.monotonic()
        done = run([*command, "--quiet", "rules"])
        wall = time.monotonic() - began
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        # Printing every step, to count the jobs, is not part of planning.
        done = run(command) if done.returncode == 0 else done
    output = done.stdout + done.stderr
    if done.returncode:
        print(output, file=sys.stderr)
        return 1
    rules = dict(re.findall(r"(?m)^(\w+) +(\d+)$", output.split("Job stats:")[1]))
    grouped = len(re.findall(r"(?m)^\[.*\] Group job ", output))
    alone = len(re.findall(r"(?m)^rule (?!all:)\w+:", output))
    for name, value in {
        "steps": int(rules["total"]) - 1,  # without the target rule
        "training jobs of pairs": rules["train_basis"],
        "Slurm jobs": grouped + alone,
        "processor time, s": f"{used.ru_utime + used.ru_stime:.1f}",
        "wall clock, s": f"{wall:.1f}",
    }.items():
        print(f"{name}\t{value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
