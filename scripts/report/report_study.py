"""Put figures and tables of a study into its one page."""

from headcond.reporting.page import TEMPLATE, render, run_times
from headcond.reporting.study import study_sections
from headcond.study.step import run


def main(figures, report, study, figure_names, benchmarks, provenance, **files):
    """Write the report of the study."""
    shown = dict(zip(figure_names, figures, strict=True))
    sections, notes = study_sections(study, shown, files)
    render(report, TEMPLATE, study, sections, notes, run_times(benchmarks), provenance)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
