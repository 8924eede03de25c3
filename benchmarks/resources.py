"""Peak memory and time per rule, and disk and files per subject, of finished studies.

    python -m benchmarks.resources STUDY_FOLDER [STUDY_FOLDER ...] > docs/explanation/resources.md

Run it in the repository's root. It reads the benchmark files that Snakemake wrote (psutil's
resident set of all processes of a job) and the sizes of the results.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pandas as pd


def rules(folder: Path) -> pd.DataFrame:
    """One row per job that was measured: study, rule, seconds, peak memory (MB)."""
    rows = []
    for path in sorted(folder.glob("benchmarks/*/*.tsv")):
        last = pd.read_csv(path, sep="\t", na_values="-").iloc[-1]
        rows.append((folder.name, path.parent.name, last["s"], last["cpu_time"], last["max_rss"]))
    return pd.DataFrame(rows, columns=["study", "rule", "seconds", "cpu", "memory"])


def measured_rules() -> set[str]:
    """Names of the rules that write a benchmark file."""
    folder = Path(__file__).resolve().parents[1] / "workflow" / "rules"
    text = "\n".join(path.read_text() for path in folder.glob("*.smk"))
    name, *parts = re.split(r"(?m)^ *(?:rule|checkpoint) (\w+):$", text)[1:]
    rules = dict(zip([name, *parts[1::2]], parts[0::2], strict=True))
    return {name for name, body in rules.items() if "    benchmark:" in body}


def disk(folder: Path) -> pd.DataFrame:
    """One row per subject: megabytes per part, and the number of files."""
    rows = []
    for subject in sorted(folder.glob("sub-*")):
        row = {"study": folder.name, "subject": subject.name, "files": 0, "all": 0.0}
        for path in subject.rglob("*"):
            if path.is_file():
                part = path.relative_to(subject).parts[0]
                size = path.stat().st_size / 1e6
                row[part] = row.get(part, 0.0) + size
                row["all"] += size
                row["files"] += 1
        rows.append(row)
    return pd.DataFrame(rows).fillna(0.0)


def table(frame: pd.DataFrame) -> str:
    """Markdown of a table."""
    lines = [list(frame.columns), ["---"] * len(frame.columns)]
    lines += [
        [f"{value:.0f}" if isinstance(value, float) else str(value) for value in row]
        for row in frame.itertuples(index=False)
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(folders: list[str]) -> None:
    """Print the page."""
    places = [Path(name) for name in folders]
    jobs = pd.concat([rules(place) for place in places])
    largest = jobs.sort_values("memory", ascending=False).drop_duplicates("rule")
    worst = (
        jobs.groupby("rule")
        .agg(jobs=("rule", "size"), memory=("memory", "max"), cpu=("cpu", "max"),
             seconds=("seconds", "max"))
        .reset_index()
        .merge(largest[["rule", "study"]].rename(columns={"study": "most memory in"}))
        .rename(columns={"memory": "peak memory, MB", "cpu": "CPU, s", "seconds": "wall clock, s"})
    )  # fmt: skip
    names = ", ".join(place.name for place in places)
    print("# What studies take\n")
    print(f"Written by `python -m benchmarks.resources {' '.join(folders)}` from the runs of the")
    missing = ", ".join(f"`{rule}`" for rule in sorted(measured_rules() - set(worst["rule"])))
    print(f"studies {names}. Rules that are not named here write no benchmark")
    print(f"(figures, tables, conversions); not run by these studies: {missing}.\n")
    print("## Memory and time, the largest of all jobs of a rule\n")
    print(table(worst))
    print("\n## Disk and files per subject, MB\n")
    print(table(pd.concat([disk(place) for place in places], ignore_index=True).fillna(0.0)))


if __name__ == "__main__":
    main(sys.argv[1:])
