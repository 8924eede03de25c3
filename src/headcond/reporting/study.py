"""The page of a whole study: sections in order, from the files that its steps wrote."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from headcond.condnet.domain import LEVEL
from headcond.files.results import read_json, read_table, sidecar_path
from headcond.reporting import cohort, estimates, experiments, forward, head, rom, tms
from headcond.reporting.conductivity import conductivity_section, domain_section
from headcond.reporting.page import Section

Paths = Sequence[str | Path]


def study_sections(
    study: Mapping[str, Any], figures: Mapping[str, str], files: Mapping[str, Any]
) -> tuple[list[Section], list[str]]:
    """Sections of a study's page, and notes on the origin of its images.

    Parameters
    ----------
    study : the checked study.
    figures : path by name, as the rules name them.
    files : paths of tables and records by kind; what a study does not make is missing.
    """
    pipelines, sections, notes = study["pipelines"], [], []
    if "tms" in pipelines or study["head"]["source"] == "cohort":
        notes.append(cohort.ORIGIN[study["cohort"]["source"]])
    if "tms" in pipelines:
        sections += _tms(study, figures, files)

    def tables(kind: str) -> dict[str, pd.DataFrame]:
        return by_subject(files.get(kind, ()), read_table)

    def records(kind: str) -> dict[str, dict[str, Any]]:
        return by_subject(files.get(kind, ()), read_json)

    if files.get("qualities"):
        sections.append(head.head_section(figures, records("qualities")))
    if "forward" in pipelines:
        sections.append(forward.forward_section(study, figures, tables("residuals")))
    if "eit" in pipelines:
        trained = tables("validations"), tables("convergences")
        sections.append(rom.rom_section(study, figures, *trained))
        sections.append(estimates.estimate_section(study, figures, tables("relative_errors")))
    if files.get("sweeps"):
        swept = tables("sweeps"), tables("baselines")
        sections.append(experiments.inversion_section(study, figures, *swept))
    if files.get("references"):
        places = tables("references"), tables("places")
        sections.append(experiments.references_section(figures, *places))
    if files.get("disturbances"):
        sections.append(experiments.disturbances_section(figures, tables("disturbances")))
    if files.get("measured_summaries"):
        fits = records("measured_records"), tables("measured_estimates")
        sections.append(experiments.measured_section(figures, tables("measured_summaries"), *fits))
    return sections, notes


def by_subject(paths: Paths, read: Callable[[str | Path], Any]) -> dict[str, Any]:
    """What `read` makes of each file, by the subject that its name begins with."""
    return {Path(path).name.split("_")[0]: read(path) for path in paths}


def _joined(paths: Paths) -> pd.DataFrame:
    return pd.concat([read_table(path) for path in paths], ignore_index=True)


def _sidecar(path: str | Path) -> dict[str, Any]:
    return read_json(sidecar_path(path))


def _tms(
    study: Mapping[str, Any], figures: Mapping[str, str], files: Mapping[str, Any]
) -> list[Section]:
    kinds = ("facts", "alignments", "domains", "placements", "registrations")
    records = {kind: by_subject(files[kind], read_json) for kind in kinds}
    losses = dict(zip(study["condnet"]["axes"], map(read_table, files["networks"]), strict=True))
    scores = read_table(files["scores"])
    lens = read_table(files["lens"]) if files.get("lens") else None
    return [
        cohort.cohort_section(study, figures, records["facts"], records["alignments"]),
        conductivity_section(study, figures, losses, scores, lens),
        domain_section(records["domains"], LEVEL),
        tms.field_section(
            study,
            figures,
            _joined(files["globalerror"]),
            _joined(files["peaks"]),
            {Path(path).name: _sidecar(path) for path in files["efields"]},
            _joined(files["tissue_fields"]),
            _joined(files["positions"]) if files.get("positions") else None,
            records["placements"],
            records["registrations"],
            by_subject(files.get("warps", ()), _sidecar),
        ),
    ]
