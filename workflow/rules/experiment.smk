# Experiment 1: bounds and true errors against snapshots, in the paper's norm and in ours.
EXPERIMENT = STUDY["rom"]["experiment"]


rule sample_stability:
    input:
        operators=result("{subject}/head/{subject}_operators.h5"),
    output:
        stability=result("{subject}/rom/{subject}_stability.tsv"),
    log:
        result("logs/sample_stability/{subject}.log"),
    benchmark:
        result("benchmarks/sample_stability/{subject}.tsv")
    conda:
        "../../envs/fem.yaml"
    envmodules:
        *MODULES["fem"],
    resources:
        mem_mb=growing(4000),
    params:
        source=source("experiments/sample_stability.py"),
        seed=STUDY["seed"],
        points=EXPERIMENT["stability_points"],
        box=STUDY["rom"]["box"],
        contact=STUDY["rom"]["contact"],
        fixed=STUDY["rom"]["fixed"],
        impedance=STUDY["head"]["electrodes"]["contact_impedance"],
        backend=STUDY["rom"]["backend"],
        preconditioner=STUDY["rom"]["preconditioner"],
    script:
        "../../scripts/experiments/sample_stability.py"


rule measure_convergence:
    input:
        operators=result("{subject}/head/{subject}_operators.h5"),
        stability=result("{subject}/rom/{subject}_stability.tsv"),
        model=result("{subject}/rom/{subject}_batch-{batch}_rom.h5"),
        bases=result("{subject}/rom/{subject}_batch-{batch}_bases"),
    output:
        errors=result("{subject}/rom/{subject}_batch-{batch}_errors.tsv"),
        histories=result("{subject}/rom/{subject}_batch-{batch}_histories.tsv"),
    log:
        result("logs/measure_convergence/{subject}_{batch}.log"),
    benchmark:
        result("benchmarks/measure_convergence/{subject}_{batch}.tsv")
    conda:
        "../../envs/fem.yaml"
    envmodules:
        *MODULES["fem"],
    resources:
        mem_mb=growing(8000),
        runtime=growing(480),
    params:
        source=source("experiments/measure_convergence.py"),
        batch=lambda wildcards: int(wildcards.batch),
        electrodes=STUDY["head"]["electrodes"],
        settings=STUDY["rom"],
        current=STUDY["inverse"]["current"],
        seed=STUDY["seed"],
        state=result(".state"),
    script:
        "../../scripts/experiments/measure_convergence.py"


rule draw_convergence:
    input:
        errors=convergence("errors"),
        histories=convergence("histories"),
    output:
        convergence=result("{subject}/rom/{subject}_convergence.tsv"),
        bounds_figure=report(
            result("figures/{subject}_convergence.png"),
            category="Reduced model",
            caption="../report/convergence.rst",
        ),
        measures_figure=report(
            result("figures/{subject}_measures.png"),
            category="Reduced model",
            caption="../report/measures.rst",
        ),
        stopping_figure=report(
            result("figures/{subject}_stopping.png"),
            category="Reduced model",
            caption="../report/stopping.rst",
        ),
    log:
        result("logs/draw_convergence/{subject}.log"),
    conda:
        "../../envs/report.yaml"
    envmodules:
        *MODULES["report"],
    params:
        source=source("experiments/draw_convergence.py"),
        note=head_note,
        noise=STUDY["inverse"]["noise"],
    script:
        "../../scripts/experiments/draw_convergence.py"


rule draw_basis:
    input:
        head=result("{subject}/head/{subject}_head.h5"),
        model=result("{subject}/rom/{subject}_batch-000_rom.h5"),
        bases=result("{subject}/rom/{subject}_batch-000_bases"),
    output:
        basis_figure=report(
            result("figures/{subject}_basis.png"),
            category="Reduced model",
            caption="../report/basis.rst",
        ),
    log:
        result("logs/draw_basis/{subject}.log"),
    conda:
        "../../envs/report.yaml"
    envmodules:
        *MODULES["report"],
    params:
        source=source("experiments/draw_basis.py"),
        note=head_note,
    script:
        "../../scripts/experiments/draw_basis.py"
