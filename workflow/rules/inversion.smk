# Experiments 2 to 5 of the ROM-pEIT paper: errors of estimates, references, real measurements.
INVERSION = STUDY["inverse"]["experiment"]
# Heads whose voltages are inverted with the study's model; see headcond.inverse.disturbance.
CHANGES = ("same", "finer", "moved2", "moved5", "contact", "thicker", "spongy")
DISTURBED_SAMPLES = 10


rule sweep_inversion:
    input:
        model=result("{subject}/rom/{subject}_rom.h5"),
        voltages=result("{subject}/eit/{subject}_voltages.tsv"),
        truth=result("{subject}/eit/{subject}_truth.tsv"),
    output:
        sweep_table=result("{subject}/eit/{subject}_inversion.tsv"),
    log:
        result("logs/sweep_inversion/{subject}.log"),
    benchmark:
        result("benchmarks/sweep_inversion/{subject}.tsv")
    conda:
        "../../envs/fem.yaml"
    envmodules:
        *MODULES["fem"],
    resources:
        mem_mb=growing(4000),
    params:
        source=source("experiments/sweep_inversion.py"),
        seed=STUDY["seed"],
        noise=STUDY["inverse"]["noise"],
        noises=INVERSION["noises"],
        reference=STUDY["inverse"]["reference"],
        modes=STUDY["inverse"]["modes"],
    script:
        "../../scripts/experiments/sweep_inversion.py"


rule baseline_inversion:
    input:
        operators=result("{subject}/head/{subject}_operators.h5"),
    output:
        baseline_table=result("{subject}/eit/{subject}_baseline.tsv"),
    log:
        result("logs/baseline_inversion/{subject}.log"),
    benchmark:
        result("benchmarks/baseline_inversion/{subject}.tsv")
    conda:
        "../../envs/fem.yaml"
    envmodules:
        *MODULES["fem"],
    resources:
        mem_mb=growing(4000),
        runtime=growing(480),
    params:
        source=source("experiments/baseline_inversion.py"),
        seed=STUDY["seed"],
        pairs=INVERSION["baseline_pairs"],
        samples=INVERSION["baseline_samples"],
        electrodes=STUDY["head"]["electrodes"],
        current=STUDY["inverse"]["current"],
        noise=STUDY["inverse"]["noise"],
        reference=STUDY["inverse"]["reference"],
        settings=STUDY["rom"],
    script:
        "../../scripts/experiments/baseline_inversion.py"


rule draw_inversion:
    input:
        sweep_table=result("{subject}/eit/{subject}_inversion.tsv"),
        baseline_table=(
            result("{subject}/eit/{subject}_baseline.tsv")
            if INVERSION["baseline_pairs"]
            else []
        ),
    output:
        inversion=report(
            result("figures/{subject}_inversion.png"),
            category="Conductivity",
            caption="../report/inversion.rst",
        ),
        noises_figure=report(
            result("figures/{subject}_noises.png"),
            category="Conductivity",
            caption="../report/noises.rst",
        ),
    log:
        result("logs/draw_inversion/{subject}.log"),
    conda:
        "../../envs/report.yaml"
    envmodules:
        *MODULES["report"],
    params:
        source=source("experiments/draw_inversion.py"),
        noise=STUDY["inverse"]["noise"],
        note=head_note,
    script:
        "../../scripts/experiments/draw_inversion.py"


rule compare_references:
    input:
        head=result("{subject}/head/{subject}_head.h5"),
        operators=result("{subject}/head/{subject}_operators.h5"),
        model=result("{subject}/rom/{subject}_rom.h5"),
    output:
        references=result("{subject}/eit/{subject}_references.tsv"),
        places=result("{subject}/eit/{subject}_places.tsv"),
    log:
        result("logs/compare_references/{subject}.log"),
    benchmark:
        result("benchmarks/compare_references/{subject}.tsv")
    conda:
        "../../envs/fem.yaml"
    envmodules:
        *MODULES["fem"],
    resources:
        mem_mb=growing(4000),
    params:
        source=source("experiments/compare_references.py"),
        seed=STUDY["seed"],
        noise=STUDY["inverse"]["noise"],
        electrodes=STUDY["head"]["electrodes"],
        settings=STUDY["rom"],
    script:
        "../../scripts/experiments/compare_references.py"


rule draw_references:
    input:
        references=result("{subject}/eit/{subject}_references.tsv"),
        places=result("{subject}/eit/{subject}_places.tsv"),
    output:
        references_figure=report(
            result("figures/{subject}_references.png"),
            category="Conductivity",
            caption="../report/references.rst",
        ),
    log:
        result("logs/draw_references/{subject}.log"),
    conda:
        "../../envs/report.yaml"
    envmodules:
        *MODULES["report"],
    params:
        source=source("experiments/draw_references.py"),
        note=head_note,
    script:
        "../../scripts/experiments/draw_references.py"


rule disturb_voltages:
    input:
        labels=result("{subject}/head/{subject}_desc-eit6_dseg.nii.gz"),
        head=result("{subject}/head/{subject}_head.h5"),
        model=result("{subject}/rom/{subject}_rom.h5"),
        truth=result("{subject}/eit/{subject}_truth.tsv"),
    output:
        voltages=result("{subject}/eit/{subject}_head-{change}_voltages.tsv"),
    log:
        result("logs/disturb_voltages/{subject}_{change}.log"),
    benchmark:
        result("benchmarks/disturb_voltages/{subject}_{change}.tsv")
    wildcard_constraints:
        change=alternatives(CHANGES),
    conda:
        "../../envs/fem.yaml"
    envmodules:
        *MODULES["fem"],
    resources:
        mem_mb=growing(4000),
    params:
        source=source("experiments/disturb_voltages.py"),
        change=lambda wildcards: wildcards.change,
        samples=DISTURBED_SAMPLES,
        seed=STUDY["seed"],
        geometry=disturbed_geometry(),
        backend=STUDY["rom"]["backend"],
        preconditioner=STUDY["rom"]["preconditioner"],
    script:
        "../../scripts/experiments/disturb_voltages.py"


rule compare_disturbances:
    input:
        head=result("{subject}/head/{subject}_head.h5"),
        model=result("{subject}/rom/{subject}_rom.h5"),
        truth=result("{subject}/eit/{subject}_truth.tsv"),
        voltages=expand(
            result("{{subject}}/eit/{{subject}}_head-{change}_voltages.tsv"),
            change=CHANGES,
        ),
    output:
        disturbances=result("{subject}/eit/{subject}_disturbances.tsv"),
        disturbances_figure=report(
            result("figures/{subject}_disturbances.png"),
            category="Conductivity",
            caption="../report/disturbances.rst",
        ),
    log:
        result("logs/compare_disturbances/{subject}.log"),
    conda:
        "../../envs/fem.yaml"
    envmodules:
        *MODULES["fem"],
    params:
        source=source("experiments/compare_disturbances.py"),
        changes=list(CHANGES),
        noise=STUDY["inverse"]["noise"],
        reference=STUDY["inverse"]["reference"],
        modes=STUDY["inverse"]["modes"],
        seed=STUDY["seed"],
        note=head_note,
    script:
        "../../scripts/experiments/compare_disturbances.py"


rule import_measured:
    input:
        measured=measured_file,
    output:
        measurement=result("{subject}/measured/{subject}_measurement.tsv"),
    log:
        result("logs/import_measured/{subject}.log"),
    conda:
        "../../envs/fem.yaml"
    envmodules:
        *MODULES["fem"],
    params:
        source=source("inverse/import_measured.py"),
    script:
        "../../scripts/inverse/import_measured.py"


rule estimate_measured:
    input:
        measurement=result("{subject}/measured/{subject}_measurement.tsv"),
        model=result("{subject}/rom/{subject}_rom.h5"),
    output:
        estimates=result("{subject}/measured/{subject}_estimates.tsv"),
        summary_table=result("{subject}/measured/{subject}_summary.tsv"),
        residuals=result("{subject}/measured/{subject}_residuals.tsv"),
        record=result("{subject}/measured/{subject}_record.json"),
        estimates_figure=report(
            result("figures/{subject}_measured.png"),
            category="Conductivity",
            caption="../report/measured.rst",
        ),
        spectrum_figure=report(
            result("figures/{subject}_spectrum.png"),
            category="Conductivity",
            caption="../report/measured.rst",
        ),
        residuals_figure=report(
            result("figures/{subject}_residuals.png"),
            category="Conductivity",
            caption="../report/residuals.rst",
        ),
    log:
        result("logs/estimate_measured/{subject}.log"),
    benchmark:
        result("benchmarks/estimate_measured/{subject}.tsv")
    conda:
        "../../envs/fem.yaml"
    envmodules:
        *MODULES["fem"],
    params:
        source=source("inverse/estimate_measured.py"),
        noise=STUDY["inverse"]["noise"],
        note=head_note,
    script:
        "../../scripts/inverse/estimate_measured.py"
