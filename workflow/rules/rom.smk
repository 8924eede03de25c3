# Reduced models: one greedy per injection pair, batches of pairs under MPI.


rule train_basis:
    input:
        operators=result("{subject}/head/{subject}_operators.h5"),
    output:
        **kept_bases(),
        model=temp(result("{subject}/rom/{subject}_batch-{batch}_rom.h5")),
    log:
        result("logs/train_basis/{subject}_{batch}.log"),
    benchmark:
        result("benchmarks/train_basis/{subject}_{batch}.tsv")
    conda:
        "../../envs/fem.yaml"
    envmodules:
        *MODULES["fem"],
    threads: 2
    resources:
        mpi="mpirun --bind-to none --oversubscribe",
        tasks=lambda wildcards, threads: threads,
        cpus_per_task=1,
        mem_mb=training_memory,
        runtime=growing(240),
    params:
        source=source("rom/train_basis.py"),
        call=lambda wildcards, input, output: json.dumps(
            {
                "operators": input.operators,
                "model": output.model,
                "bases": output.get("bases"),
                "batch": int(wildcards.batch),
                "electrodes": STUDY["head"]["electrodes"],
                "settings": STUDY["rom"],
                "current": STUDY["inverse"]["current"],
                "seed": STUDY["seed"],
                "state": result(".state"),
            }
        ),
    shell:
        "export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1; "
        "{resources.mpi} -n {resources.tasks} python -m mpi4py scripts/rom/train_basis.py"
        " --ranks {resources.tasks} --source {params.source} {params.call:q} &> {log:q}"
        " || {{ echo 'train_basis failed (log: '{log:q}'):' >&2; tail -n 3 {log:q} >&2; exit 1; }}"


rule merge_basis:
    input:
        batches=lambda wildcards: expand(
            result("{subject}/rom/{subject}_batch-{batch}_rom.h5"),
            subject=wildcards.subject,
            batch=batches(wildcards.subject),
        ),
    output:
        model=uncorrected_model(),
        greedy=result("{subject}/rom/{subject}_greedy.tsv"),
    log:
        result("logs/merge_basis/{subject}.log"),
    conda:
        "../../envs/fem.yaml"
    envmodules:
        *MODULES["fem"],
    params:
        source=source("rom/merge_basis.py"),
    script:
        "../../scripts/rom/merge_basis.py"


if STUDY["rom"]["corrected"]:

    rule form_cross:
        input:
            operators=result("{subject}/head/{subject}_operators.h5"),
            model=uncorrected_model(),
            bases=lambda wildcards: expand(
                result("{subject}/rom/{subject}_batch-{batch}_bases"),
                subject=wildcards.subject,
                batch=batches(wildcards.subject),
            ),
        output:
            corrected=result("{subject}/rom/{subject}_rom.h5"),
        log:
            result("logs/form_cross/{subject}.log"),
        benchmark:
            result("benchmarks/form_cross/{subject}.tsv")
        conda:
            "../../envs/fem.yaml"
        envmodules:
            *MODULES["fem"],
        resources:
            mem_mb=growing(8000),
        params:
            source=source("rom/form_cross.py"),
        script:
            "../../scripts/rom/form_cross.py"


rule validate_rom:
    input:
        operators=result("{subject}/head/{subject}_operators.h5"),
        model=result("{subject}/rom/{subject}_rom.h5"),
    output:
        validation=result("{subject}/rom/{subject}_validation.tsv"),
    log:
        result("logs/validate_rom/{subject}.log"),
    benchmark:
        result("benchmarks/validate_rom/{subject}.tsv")
    conda:
        "../../envs/fem.yaml"
    envmodules:
        *MODULES["fem"],
    resources:
        mem_mb=growing(4000),
    params:
        source=source("rom/validate_rom.py"),
        seed=STUDY["seed"],
        points=STUDY["rom"]["validation_points"],
        backend=STUDY["rom"]["backend"],
        preconditioner=STUDY["rom"]["preconditioner"],
    script:
        "../../scripts/rom/validate_rom.py"
