"""The study's page: sections of text, tables and figures, put into one self-contained file."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import yaml

from headcond.files.results import atomic, versions, write_sidecar

TEMPLATE = Path(__file__).with_name("study.html")
_TIMES = {"total": "total (s)", "longest": "longest (s)", "memory": "peak memory (MiB)"}


@dataclass(frozen=True)
class Part:
    """A piece of a section: a heading, paragraphs, a table and a figure, each if given."""

    title: str = ""
    texts: tuple[str, ...] = ()
    table: pd.DataFrame | None = None
    figure: str | Path | None = None
    caption: str = ""


@dataclass(frozen=True)
class Section:
    """A section of the page with its entry in the navigation."""

    id: str
    title: str
    parts: tuple[Part, ...]


def render(
    path: str | Path,
    template: str | Path,
    study: Mapping[str, Any],
    sections: Sequence[Section],
    notes: Sequence[str],
    times: pd.DataFrame,
    provenance: Mapping[str, Any] | None = None,
) -> None:
    """Write the page to `path`, figures inside it, with nothing to be loaded from elsewhere.

    Numbers in tables are shown to four significant digits; the tables' files hold all.
    """
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    page = environment.from_string(Path(template).read_text()).render(
        study=study,
        notes=list(notes),
        versions=versions(),
        times=_shown(times),
        settings=yaml.safe_dump(dict(study), sort_keys=False),
        sections=[
            {"id": section.id, "title": section.title, "parts": [_part(p) for p in section.parts]}
            for section in sections
        ],
    )
    with atomic(path) as temporary:
        temporary.write_text(page)
    write_sidecar(path, provenance=provenance)


def run_times(folder: str | Path) -> pd.DataFrame:
    """Gather Snakemake's benchmark files: per rule, jobs, total and longest time, peak memory."""
    rows = []
    for path in sorted(Path(folder).glob("*/*.tsv")):
        row = pd.read_csv(path, sep="\t", na_values="-").iloc[-1]
        rows.append({"rule": path.parent.name, "seconds": row["s"], "memory": row["max_rss"]})
    if not rows:
        return pd.DataFrame(
            columns=["rule", "jobs", "total (s)", "longest (s)", "peak memory (MiB)"]
        )
    table = (
        pd.DataFrame(rows)
        .groupby("rule", sort=False)
        .agg(
            jobs=("seconds", "size"),
            total=("seconds", "sum"),
            longest=("seconds", "max"),
            memory=("memory", "max"),
        )
    )
    table = table.sort_values("total", ascending=False).reset_index()
    return table.rename(columns=_TIMES)


def _part(part: Part) -> dict[str, Any]:
    image = ""
    if part.figure is not None:
        image = base64.b64encode(Path(part.figure).read_bytes()).decode()
    table = None if part.table is None else _shown(part.table)
    return {
        "title": part.title,
        "texts": part.texts,
        "table": table,
        "image": image,
        "caption": part.caption,
    }


def _shown(table: pd.DataFrame) -> dict[str, Any]:
    return {
        "columns": [str(name) for name in table.columns],
        "rows": [[_cell(value) for value in row] for row in table.itertuples(index=False)],
    }


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        if pd.isna(value):
            return "–"
        if math.isinf(value):
            return "∞" if value > 0 else "-∞"
        if value == int(value) and abs(value) < 1e6:
            return str(int(value))
        return f"{value:.4g}"
    return str(value)
