"""Put figures and tables of a study into its one page."""

from pathlib import Path

import pandas as pd

from headcond.condnet.domain import LEVEL
from headcond.files import results
from headcond.reporting import cohort, estimates, experiments, forward, head, rom, tms
from headcond.reporting.conductivity import conductivity_section, domain_section
from headcond.reporting.page import render, run_times


def joined(paths):
    """One table of several files."""
    return pd.concat([results.read_table(path) for path in paths], ignore_index=True)


def by_subject(paths, read):
    """What `read` makes of each file, by the subject that its name begins with."""
    return {Path(path).name.split("_")[0]: read(path) for path in paths}


def main(
    figures, template, report, study, figure_names, benchmarks, provenance, facts=(), alignments=(),
    networks=(), scores=None, lens=None, globalerror=(), peaks=(), efields=(), qualities=(),
    validations=(), convergences=(), relative_errors=(), residuals=(), tissue_fields=(),
    positions=(), domains=(), placements=(), registrations=(), warps=(), sweeps=(), baselines=(),
    references=(), places=(), disturbances=(), measured_summaries=(), measured_records=(),
    measured_estimates=(),
):  # fmt: skip
    """Write the report of the study."""
    shown = dict(zip(figure_names, figures, strict=True))
    sections, notes = [], []
    if "tms" in study["pipelines"] or study["head"]["source"] == "cohort":
        notes.append(cohort.ORIGIN[study["cohort"]["source"]])
    if "tms" in study["pipelines"]:
        losses = dict(zip(study["condnet"]["axes"], map(results.read_table, networks), strict=True))
        solves = {
            Path(path).name: results.read_json(results.sidecar_path(path)) for path in efields
        }
        sections += [
            cohort.cohort_section(
                study,
                shown,
                by_subject(facts, results.read_json),
                by_subject(alignments, results.read_json),
            ),
            conductivity_section(
                study, shown, losses, results.read_table(scores), lens and results.read_table(lens)
            ),
            domain_section(by_subject(domains, results.read_json), LEVEL),
            tms.field_section(
                study,
                shown,
                joined(globalerror),
                joined(peaks),
                solves,
                joined(tissue_fields),
                joined(positions) if positions else None,
                by_subject(placements, results.read_json),
                by_subject(registrations, results.read_json),
                by_subject(warps, lambda path: results.read_json(results.sidecar_path(path))),
            ),
        ]
    if qualities:
        sections.append(head.head_section(shown, by_subject(qualities, results.read_json)))
    if "forward" in study["pipelines"]:
        solved = by_subject(residuals, results.read_table)
        sections.append(forward.forward_section(study, shown, solved))
    if "eit" in study["pipelines"]:
        sections += [
            rom.rom_section(
                study,
                shown,
                by_subject(validations, results.read_table),
                by_subject(convergences, results.read_table),
            ),
            estimates.estimate_section(
                study, shown, by_subject(relative_errors, results.read_table)
            ),
        ]
    if sweeps:
        tables = [by_subject(paths, results.read_table) for paths in (sweeps, baselines)]
        sections.append(experiments.inversion_section(study, shown, *tables))
    if references:
        tables = [by_subject(paths, results.read_table) for paths in (references, places)]
        sections.append(experiments.references_section(shown, *tables))
    if disturbances:
        table = by_subject(disturbances, results.read_table)
        sections.append(experiments.disturbances_section(shown, table))
    if measured_summaries:
        sections.append(
            experiments.measured_section(
                shown,
                by_subject(measured_summaries, results.read_table),
                by_subject(measured_records, results.read_json),
                by_subject(measured_estimates, results.read_table),
            )
        )
    render(report, template, study, sections, notes, run_times(benchmarks), provenance)


if __name__ == "__main__":
    from headcond.study.step import run

    run(main, snakemake)  # noqa: F821
