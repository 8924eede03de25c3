# Reduced models: one greedy per injection pair, batches of pairs under MPI; or another study's.
# What a study takes from another one that has trained the model of its head.
ADOPTED = (
    "head/{subject}_head.h5",
    "head/{subject}_mesh.vtu",
    "head/{subject}_desc-quality.json",
    "head/{subject}_operators.h5",
    "rom/{subject}_rom.h5",
    "rom/{subject}_greedy.tsv",
    "rom/{subject}_validation.tsv",
)


rule train_basis:
    input:
        operators=head("operators.h5"),
    output:
        **kept_bases(),
        model=temp(rom("batch-{batch}_rom.h5")),
    log:
        logs("train_basis/{subject}_{batch}"),
    benchmark:
        benchmarks("train_basis/{subject}_{batch}")
    conda:
        "../../envs/fem.yaml"
    threads: 2
    resources:
        mpi="mpirun --bind-to none --oversubscribe",
        tasks=lambda wildcards, threads: threads,
        cpus_per_task=1,
        mem_mb=training_memory,
        runtime=growing(240),
    params:
        source=source("rom/train_basis.py"),
        # What depends on input or output is not recorded: a change of it alone reruns nothing.
        files=lambda wildcards, input, output: json.dumps(
            {
                "operators": input.operators,
                "model": output.model,
                "bases": output.get("bases"),
                "batch": int(wildcards.batch),
                "state": result(".state"),
            }
        ),
        options=json.dumps(
            {
                "settings": TRAINING,
                "electrodes": INJECTION,
                "seed": STUDY["seed"],
                **keys("inverse", "current"),
            }
        ),
    shell:
        "export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1; "
        "{resources.mpi} -n {resources.tasks} python -m mpi4py scripts/rom/train_basis.py"
        " --ranks {resources.tasks} --source {params.source} {params.files:q} {params.options:q}"
        " &> {log:q}"
        " || {{ echo 'train_basis failed (log: '{log:q}'):' >&2; tail -n 3 {log:q} >&2; exit 1; }}"


rule merge_basis:
    input:
        batches=batches("rom.h5"),
    output:
        model=uncorrected_model(),
        greedy=rom("greedy.tsv"),
    log:
        logs("merge_basis/{subject}"),
    conda:
        "../../envs/fem.yaml"
    params:
        source=source("rom/merge_basis.py"),
    script:
        "../../scripts/rom/merge_basis.py"


if STUDY["rom"]["corrected"]:

    rule form_cross:
        input:
            operators=head("operators.h5"),
            model=uncorrected_model(),
            bases=batches("bases"),
        output:
            corrected=rom("rom.h5"),
        log:
            logs("form_cross/{subject}"),
        benchmark:
            benchmarks("form_cross/{subject}")
        conda:
            "../../envs/fem.yaml"
        resources:
            mem_mb=growing(8000),
        params:
            source=source("rom/form_cross.py"),
        script:
            "../../scripts/rom/form_cross.py"


rule validate_rom:
    input:
        operators=head("operators.h5"),
        model=rom("rom.h5"),
    output:
        validation=rom("validation.tsv"),
    log:
        logs("validate_rom/{subject}"),
    benchmark:
        benchmarks("validate_rom/{subject}")
    conda:
        "../../envs/fem.yaml"
    resources:
        mem_mb=growing(4000),
    params:
        **SOLVER,
        source=source("rom/validate_rom.py"),
        seed=STUDY["seed"],
        points=STUDY["rom"]["validation_points"],
    script:
        "../../scripts/rom/validate_rom.py"


if "trained" in STUDY["rom"]:

    ruleorder: adopt_model > assemble_operators
    ruleorder: adopt_model > merge_basis
    ruleorder: adopt_model > validate_rom

    if STUDY["head"]["source"] == "file":

        ruleorder: adopt_model > import_mesh

    else:

        ruleorder: adopt_model > build_mesh

    if STUDY["rom"]["corrected"]:

        ruleorder: adopt_model > form_cross

    rule adopt_model:
        input:
            given=[f"{absolute(STUDY['rom']['trained'])}/{{subject}}/{name}" for name in ADOPTED],
        output:
            adopted=[result(f"{{subject}}/{name}") for name in ADOPTED],
        log:
            logs("adopt_model/{subject}"),
        conda:
            "../../envs/fem.yaml"
        params:
            **keys("inverse", "current"),
            electrodes=INJECTION,
            source=source("rom/adopt_model.py"),
            folder=STUDY["rom"]["trained"],
            geometry={**MESH, **CAP, **ELECTRODE_MODEL},
            settings={**BOX, **keys("rom", "pairs")},
        script:
            "../../scripts/rom/adopt_model.py"


rule draw_rom:
    input:
        greedy=rom("greedy.tsv"),
        validation=rom("validation.tsv"),
    output:
        greedy_figure=figure("{subject}_greedy"),
        bound=figure("{subject}_bound"),
    log:
        logs("draw_rom/{subject}"),
    conda:
        "../../envs/report.yaml"
    params:
        source=source("rom/draw_rom.py"),
        note=head_note,
    script:
        "../../scripts/rom/draw_rom.py"
