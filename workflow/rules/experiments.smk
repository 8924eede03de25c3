# The experiments of the ROM-pEIT paper, apart from the estimates themselves (inverse.smk).
# Heads whose voltages are inverted with the study's model; see headcond.experiments.wrong_heads.
CHANGES = ("same", "finer", "moved2", "moved5", "contact", "thicker", "spongy")
DISTURBED_SAMPLES = 10
# What a training in the paper's norm uses.
CONVERGENCE = {
    **BOX,
    **SOLVER,
    **keys("rom", "pairs", "batch", "snapshots", "training_points", "mode"),
}


rule sample_stability:
    input:
        operators=head("operators.h5"),
    output:
        stability=rom("stability.tsv"),
    log:
        logs("sample_stability/{subject}"),
    benchmark:
        benchmarks("sample_stability/{subject}")
    conda:
        "../../envs/fem.yaml"
    resources:
        mem_mb=growing(4000),
    params:
        **BOX,
        **keys("head.electrodes", "contact_impedance"),
        **SOLVER,
        source=source("experiments/sample_stability.py"),
        seed=STUDY["seed"],
        points=STUDY["rom"]["experiment"]["stability_points"],
    script:
        "../../scripts/experiments/sample_stability.py"


rule measure_convergence:
    input:
        operators=head("operators.h5"),
        stability=rom("stability.tsv"),
        model=rom("batch-{batch}_rom.h5"),
        bases=rom("batch-{batch}_bases"),
    output:
        errors=rom("batch-{batch}_errors.tsv"),
        histories=rom("batch-{batch}_histories.tsv"),
    log:
        logs("measure_convergence/{subject}_{batch}"),
    benchmark:
        benchmarks("measure_convergence/{subject}_{batch}")
    conda:
        "../../envs/fem.yaml"
    resources:
        mem_mb=growing(8000),
        runtime=growing(480),
    params:
        **keys("rom.experiment", "points", "norms"),
        **keys("inverse", "current"),
        electrodes=INJECTION,
        source=source("experiments/measure_convergence.py"),
        batch=lambda wildcards: int(wildcards.batch),
        seed=STUDY["seed"],
        state=result(".state"),
        settings=CONVERGENCE,
    script:
        "../../scripts/experiments/measure_convergence.py"


rule draw_convergence:
    input:
        errors=batches("errors.tsv"),
        histories=batches("histories.tsv"),
    output:
        convergence=rom("convergence.tsv"),
        bounds_figure=figure("{subject}_convergence"),
        measures_figure=figure("{subject}_measures"),
        stopping_figure=figure("{subject}_stopping"),
    log:
        logs("draw_convergence/{subject}"),
    conda:
        "../../envs/report.yaml"
    params:
        **keys("inverse", "noise"),
        source=source("experiments/draw_convergence.py"),
        note=head_note,
    script:
        "../../scripts/experiments/draw_convergence.py"


rule draw_basis:
    input:
        head=head("head.h5"),
        model=rom("batch-000_rom.h5"),
        bases=rom("batch-000_bases"),
    output:
        basis_figure=figure("{subject}_basis"),
    log:
        logs("draw_basis/{subject}"),
    conda:
        "../../envs/report.yaml"
    params:
        source=source("experiments/draw_basis.py"),
        note=head_note,
    script:
        "../../scripts/experiments/draw_basis.py"


rule sweep_inversion:
    input:
        model=rom("rom.h5"),
        voltages=eit("voltages.tsv"),
        truth=eit("truth.tsv"),
    output:
        sweep_table=eit("inversion.tsv"),
    log:
        logs("sweep_inversion/{subject}"),
    benchmark:
        benchmarks("sweep_inversion/{subject}")
    conda:
        "../../envs/fem.yaml"
    resources:
        mem_mb=growing(4000),
    params:
        **FIT,
        **keys("inverse.experiment", "noises"),
        source=source("experiments/sweep_inversion.py"),
        seed=STUDY["seed"],
    script:
        "../../scripts/experiments/sweep_inversion.py"


rule baseline_inversion:
    input:
        operators=head("operators.h5"),
    output:
        baseline_table=eit("baseline.tsv"),
    log:
        logs("baseline_inversion/{subject}"),
    benchmark:
        benchmarks("baseline_inversion/{subject}")
    conda:
        "../../envs/fem.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(480),
    params:
        **keys("inverse", "current", "noise", "reference"),
        electrodes=INJECTION,
        source=source("experiments/baseline_inversion.py"),
        seed=STUDY["seed"],
        pairs=STUDY["inverse"]["experiment"]["baseline_pairs"],
        samples=STUDY["inverse"]["experiment"]["baseline_samples"],
        settings={**BOX, **SOLVER},
    script:
        "../../scripts/experiments/baseline_inversion.py"


rule draw_inversion:
    input:
        sweep_table=eit("inversion.tsv"),
        baseline_table=(
            eit("baseline.tsv") if STUDY["inverse"]["experiment"]["baseline_pairs"] else []
        ),
    output:
        inversion=figure("{subject}_inversion"),
        noises_figure=figure("{subject}_noises"),
    log:
        logs("draw_inversion/{subject}"),
    conda:
        "../../envs/report.yaml"
    params:
        **keys("inverse", "noise"),
        source=source("experiments/draw_inversion.py"),
        note=head_note,
    script:
        "../../scripts/experiments/draw_inversion.py"


rule compare_references:
    input:
        head=head("head.h5"),
        operators=head("operators.h5"),
        model=rom("rom.h5"),
    output:
        references=eit("references.tsv"),
        places=eit("places.tsv"),
    log:
        logs("compare_references/{subject}"),
    benchmark:
        benchmarks("compare_references/{subject}")
    conda:
        "../../envs/fem.yaml"
    resources:
        mem_mb=growing(4000),
    params:
        **keys("inverse", "noise"),
        **keys("head.electrodes", "contact_impedance"),
        **SOLVER,
        source=source("experiments/compare_references.py"),
        seed=STUDY["seed"],
    script:
        "../../scripts/experiments/compare_references.py"


rule draw_references:
    input:
        references=eit("references.tsv"),
        places=eit("places.tsv"),
    output:
        references_figure=figure("{subject}_references"),
    log:
        logs("draw_references/{subject}"),
    conda:
        "../../envs/report.yaml"
    params:
        source=source("experiments/draw_references.py"),
        note=head_note,
    script:
        "../../scripts/experiments/draw_references.py"


rule disturb_voltages:
    input:
        labels=head("desc-eit6_dseg.nii.gz"),
        head=head("head.h5"),
        model=rom("rom.h5"),
        truth=eit("truth.tsv"),
    output:
        voltages=eit("head-{change}_voltages.tsv"),
    log:
        logs("disturb_voltages/{subject}_{change}"),
    benchmark:
        benchmarks("disturb_voltages/{subject}_{change}")
    wildcard_constraints:
        change=alternatives(CHANGES),
    conda:
        "../../envs/fem.yaml"
    resources:
        mem_mb=growing(4000),
    params:
        **keys("head", "mesh"),
        **keys("head.electrodes", "diameter"),
        **ELECTRODE_MODEL,
        **SOLVER,
        source=source("experiments/disturb_voltages.py"),
        change="{change}",
        samples=DISTURBED_SAMPLES,
        seed=STUDY["seed"],
        spongy=STUDY["head"].get("spongy"),
    script:
        "../../scripts/experiments/disturb_voltages.py"


rule compare_disturbances:
    input:
        head=head("head.h5"),
        model=rom("rom.h5"),
        truth=eit("truth.tsv"),
        voltages=expand(eit("head-{change}_voltages.tsv"), change=CHANGES, allow_missing=True),
    output:
        disturbances=eit("disturbances.tsv"),
        disturbances_figure=figure("{subject}_disturbances"),
    log:
        logs("compare_disturbances/{subject}"),
    conda:
        "../../envs/fem.yaml"
    params:
        **FIT,
        source=source("experiments/compare_disturbances.py"),
        changes=list(CHANGES),
        seed=STUDY["seed"],
        note=head_note,
    script:
        "../../scripts/experiments/compare_disturbances.py"
