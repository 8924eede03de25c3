# Voltages with noise from full solves, and the conductivities that they give back.


rule simulate_voltages:
    input:
        operators=result("{subject}/head/{subject}_operators.h5"),
        model=result("{subject}/rom/{subject}_rom.h5"),
    output:
        voltages=result("{subject}/eit/{subject}_voltages.tsv"),
        truth=result("{subject}/eit/{subject}_truth.tsv"),
    log:
        result("logs/simulate_voltages/{subject}.log"),
    benchmark:
        result("benchmarks/simulate_voltages/{subject}.tsv")
    conda:
        "../../envs/fem.yaml"
    envmodules:
        *MODULES["fem"],
    resources:
        mem_mb=growing(4000),
    params:
        source=source("inverse/simulate_voltages.py"),
        seed=STUDY["seed"],
        samples=STUDY["inverse"]["samples"],
        noise=STUDY["inverse"]["noise"],
        backend=STUDY["rom"]["backend"],
        preconditioner=STUDY["rom"]["preconditioner"],
    script:
        "../../scripts/inverse/simulate_voltages.py"


rule invert_voltages:
    input:
        model=result("{subject}/rom/{subject}_rom.h5"),
        voltages=result("{subject}/eit/{subject}_voltages.tsv"),
        truth=result("{subject}/eit/{subject}_truth.tsv"),
    output:
        estimates=result("{subject}/eit/{subject}_estimates.tsv"),
        errors=result("{subject}/eit/{subject}_relativeerror.tsv"),
    log:
        result("logs/invert_voltages/{subject}.log"),
    benchmark:
        result("benchmarks/invert_voltages/{subject}.tsv")
    conda:
        "../../envs/fem.yaml"
    envmodules:
        *MODULES["fem"],
    params:
        source=source("inverse/invert_voltages.py"),
        noise=STUDY["inverse"]["noise"],
        reference=STUDY["inverse"]["reference"],
        method=STUDY["inverse"]["method"],
        modes=STUDY["inverse"]["modes"],
    script:
        "../../scripts/inverse/invert_voltages.py"
