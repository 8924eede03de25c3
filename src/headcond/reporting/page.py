"""The report's page: sections of text, tables and figures in one self-contained HTML file."""

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
    """Part of a section: heading, paragraphs, table and figure, each of them optional."""

    title: str = ""
    texts: tuple[str, ...] = ()
    table: pd.DataFrame | None = None
    figure: str | Path | None = None
    caption: str = ""


@dataclass(frozen=True)
class Section:
    """Section of the page; `id` is its anchor, `title` its heading and navigation entry."""

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
    """Write the page to `path`, with its figures embedded; it loads no other file.

    Numbers in tables have four significant digits; the tables' own files have all.

    Parameters
    ----------
    path, template : HTML file to write, and its Jinja template.
    study : settings of the study, shown at the end of the page.
    sections : in the order of the page.
    notes : paragraphs of the header.
    times : table of `run_times`.
    provenance : entry of the JSON sidecar.
    """
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters |= {"cells": _cells, "base64": _encoded}
    settings = yaml.safe_dump(dict(study), sort_keys=False)
    header = {"notes": list(notes), "versions": versions(), "times": times, "settings": settings}
    page = environment.from_string(Path(template).read_text())
    page = page.render(study=study, sections=sections, **header)
    with atomic(path) as temporary:
        temporary.write_text(page)
    write_sidecar(path, provenance=provenance)


def quantities(values: Mapping[str, Any]) -> pd.DataFrame:
    """Table with one row per named value."""
    return pd.DataFrame(list(values.items()), columns=["quantity", "value"], dtype=object)


def run_times(folder: str | Path) -> pd.DataFrame:
    """Jobs, time (s) and peak memory (MiB) per rule, from Snakemake's benchmark files."""
    rows = []
    for path in sorted(Path(folder).glob("*/*.tsv")):
        row = pd.read_csv(path, sep="\t", na_values="-").iloc[-1]
        rows.append((path.parent.name, row["s"], row["max_rss"]))
    jobs = pd.DataFrame(rows, columns=["rule", "seconds", "memory"]).groupby("rule", sort=False)
    table = jobs["seconds"].agg(jobs="size", total="sum", longest="max")
    table["memory"] = jobs["memory"].max()
    table = table.sort_values("total", ascending=False).reset_index()
    return table.rename(columns=_TIMES)


def _encoded(path: str | Path) -> str:
    return base64.b64encode(Path(path).read_bytes()).decode()


def _cells(table: pd.DataFrame) -> dict[str, Any]:
    """Cells as text, and which columns are words instead of numbers."""
    rows = [[_cell(value) for value in row] for row in table.itertuples(index=False)]
    words = [all(cell[:1].isalpha() for cell in column) for column in zip(*rows, strict=True)]
    return {
        "columns": [str(name) for name in table.columns],
        "text": [True, *words[1:]] if rows else [True] * len(table.columns),
        "rows": rows,
    }


def _cell(value: Any) -> str:
    if pd.isna(value):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        if math.isinf(value):
            return "∞" if value > 0 else "-∞"
        if value == int(value) and abs(value) < 1e6:
            return str(int(value))
        return f"{value:.4g}"
    return str(value)
