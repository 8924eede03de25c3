"""Experiment 5: conductivities from measured voltages, by the variants of the paper."""

from headcond.experiments.measured import clearest_frequency, fit_variants, variants
from headcond.figures import estimates as figures
from headcond.figures.style import save
from headcond.files import results
from headcond.inverse.measurement import read as read_measurements
from headcond.rom.model import ReducedModel
from headcond.study.step import run


def main(
    measurement, model, estimates, summary_table, residuals, record, estimates_figure,
    spectrum_figure, residuals_figure, noise, note, provenance,
):  # fmt: skip
    """Write estimates, residuals and figures; the figures show the variant with all tissues."""
    trained = ReducedModel.read(model)
    choices = variants(trained.box, noise)
    results.check_whole(measurement)
    found = fit_variants(read_measurements(measurement), trained, choices)
    sidecar = {"provenance": provenance}
    units = dict.fromkeys(("estimate", "std", "scaled_std", "cramer_rao"), "S/m")
    units |= dict.fromkeys(("misfit", "certified_error"), "V") | {"frequency": "Hz"}
    results.write_table(estimates, found.estimates, units=units, **sidecar)
    units = dict.fromkeys(("mean", "std", "joint", "joint_scaled_std"), "S/m")
    results.write_table(summary_table, found.summary, units={**units, "frequency": "Hz"}, **sidecar)
    units = dict.fromkeys(("measured", "fitted", "residual"), "V")
    results.write_table(residuals, found.residuals, units=units, **sidecar)
    results.write_json(record, {"fits": found.facts, **sidecar})
    last = list(choices)[-1]
    rows, left, summed = (
        t[t["variant"] == last] for t in (found.estimates, found.residuals, found.summary)
    )
    names, lower, upper = trained.box.names, trained.box.lower, trained.box.upper
    box = {n: (a, b) for n, a, b in zip(names, lower, upper, strict=True)}
    shown = clearest_frequency(found.facts)
    subtitle = f"{found.facts[0]['description']}; {note}; {last}"
    figure = figures.plot_conductivities(rows, {**box, **choices[last].limits}, shown)
    save(figure, estimates_figure, f"{subtitle}; {shown:g} Hz", provenance=provenance)
    save(figures.plot_spectrum(summed), spectrum_figure, subtitle, provenance=provenance)
    figure = figures.plot_residuals(left, shown)
    save(figure, residuals_figure, f"{subtitle}; {shown:g} Hz", provenance=provenance)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
