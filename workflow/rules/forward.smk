# The affine operators of a head, and potentials of injection pairs.


rule assemble_operators:
    input:
        head=head("head.h5"),
    output:
        operators=head("operators.h5"),
    log:
        logs("assemble_operators/{subject}"),
    benchmark:
        benchmarks("assemble_operators/{subject}")
    conda:
        "../../envs/fem.yaml"
    resources:
        mem_mb=growing(4000),
    params:
        **ELECTRODE_MODEL,
        source=source("forward/assemble_operators.py"),
    script:
        "../../scripts/forward/assemble_operators.py"


rule solve_forward:
    input:
        head=head("head.h5"),
        operators=head("operators.h5"),
    output:
        potentials=forward("potentials.tsv"),
        residuals=forward("residuals.tsv"),
        solution=forward("solution.vtu"),
    log:
        logs("solve_forward/{subject}"),
    benchmark:
        benchmarks("solve_forward/{subject}")
    conda:
        "../../envs/fem.yaml"
    resources:
        mem_mb=growing(8000),
    params:
        **INJECTION,
        **keys("forward", "box", "pairs", "backend", "preconditioner", "tolerance"),
        **keys("inverse", "current"),
        source=source("forward/solve_forward.py"),
    script:
        "../../scripts/forward/solve_forward.py"


rule draw_forward:
    input:
        head=head("head.h5"),
        solution=forward("solution.vtu"),
    output:
        potential=figure("{subject}_potential"),
        thickness=figure("{subject}_thickness"),
    log:
        logs("draw_forward/{subject}"),
    conda:
        "../../envs/report.yaml"
    resources:
        mem_mb=growing(6000),
    params:
        source=source("forward/draw_forward.py"),
        note=head_note,
    script:
        "../../scripts/forward/draw_forward.py"
