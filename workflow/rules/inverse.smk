# Voltages with noise from full solves or from a measurement, and the conductivities from them.


rule simulate_voltages:
    input:
        operators=head("operators.h5"),
        model=rom("rom.h5"),
    output:
        voltages=eit("voltages.tsv"),
        truth=eit("truth.tsv"),
    log:
        logs("simulate_voltages/{subject}"),
    benchmark:
        benchmarks("simulate_voltages/{subject}")
    conda:
        "../../envs/fem.yaml"
    resources:
        mem_mb=growing(4000),
    params:
        **keys("inverse", "samples", "noise"),
        **SOLVER,
        source=source("inverse/simulate_voltages.py"),
        seed=STUDY["seed"],
    script:
        "../../scripts/inverse/simulate_voltages.py"


rule invert_voltages:
    input:
        model=rom("rom.h5"),
        voltages=eit("voltages.tsv"),
        truth=eit("truth.tsv"),
    output:
        estimates=eit("estimates.tsv"),
        errors=eit("relativeerror.tsv"),
    log:
        logs("invert_voltages/{subject}"),
    benchmark:
        benchmarks("invert_voltages/{subject}")
    conda:
        "../../envs/fem.yaml"
    params:
        **FIT,
        **keys("inverse", "method"),
        source=source("inverse/invert_voltages.py"),
    script:
        "../../scripts/inverse/invert_voltages.py"


rule draw_estimates:
    input:
        errors=eit("relativeerror.tsv"),
    output:
        estimates=figure("{subject}_estimates"),
    log:
        logs("draw_estimates/{subject}"),
    conda:
        "../../envs/report.yaml"
    params:
        **keys("inverse", "modes"),
        source=source("inverse/draw_estimates.py"),
        note=head_note,
    script:
        "../../scripts/inverse/draw_estimates.py"


rule import_measured:
    input:
        measured=measured_file,
    output:
        measurement=measured("measurement.tsv"),
    log:
        logs("import_measured/{subject}"),
    conda:
        "../../envs/fem.yaml"
    params:
        source=source("inverse/import_measured.py"),
    script:
        "../../scripts/inverse/import_measured.py"


rule estimate_measured:
    input:
        measurement=measured("measurement.tsv"),
        model=rom("rom.h5"),
    output:
        estimates=measured("estimates.tsv"),
        summary_table=measured("summary.tsv"),
        residuals=measured("residuals.tsv"),
        record=measured("record.json"),
        estimates_figure=figure("{subject}_measured"),
        spectrum_figure=figure("{subject}_spectrum"),
        residuals_figure=figure("{subject}_residuals"),
    log:
        logs("estimate_measured/{subject}"),
    benchmark:
        benchmarks("estimate_measured/{subject}")
    conda:
        "../../envs/fem.yaml"
    params:
        **keys("inverse", "noise"),
        source=source("inverse/estimate_measured.py"),
        note=head_note,
    script:
        "../../scripts/inverse/estimate_measured.py"
