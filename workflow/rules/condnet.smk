# CondNet: one network per slicing axis, their average, and conductivity maps in S/m.
# Beside a validation by slices, whose heads the network has seen, stands one head that it has not.
UNSEEN = COHORT["test"][:1] if STUDY["condnet"]["validation"] == "slice" else []
# Images and targets are held in memory as float32, with about 1.5 GB of the rest.
TRAINING_MB = 1500 + round(
    4e-6
    * math.prod(STUDY["mri"]["shape"])
    * (len(COHORT["train"]) + 1)
    * (2 + len(TABLES))
)


rule train_axis:
    input:
        **normalised(COHORT["train"] + UNSEEN),
        labels=expand(anat("space-grid_dseg.nii.gz"), subject=COHORT["train"] + UNSEEN),
    output:
        network=result("networks/axis-{axis}_network.ckpt"),
        history=result("networks/axis-{axis}_history.tsv"),
    log:
        result("logs/train_axis/{axis}.log"),
    benchmark:
        result("benchmarks/train_axis/{axis}.tsv")
    conda:
        "../../envs/condnet.yaml"
    envmodules:
        *MODULES["condnet"],
    threads: 1
    resources:
        mem_mb=growing(TRAINING_MB),
        runtime=growing(240),
    params:
        source=source("condnet/train_axis.py"),
        seed=STUDY["seed"],
        axis="{axis}",
        subjects=COHORT["train"],
        unseen=UNSEEN,
        normalisation=PREPARATION,
        settings=STUDY["condnet"],
        state=result(".state"),
    script:
        "../../scripts/condnet/train_axis.py"


rule predict_axis:
    input:
        network=networks("axis-{axis}_network.ckpt"),
        t1=anat("space-grid_desc-normalised_T1w.nii.gz"),
        t2=anat("space-grid_desc-normalised_T2w.nii.gz"),
    output:
        prediction=temp(
            result("{subject}/cond/{subject}_axis-{axis}_desc-scaled_condmap.nii.gz")
        ),
    log:
        result("logs/predict_axis/{subject}_{axis}.log"),
    benchmark:
        result("benchmarks/predict_axis/{subject}_{axis}.tsv")
    conda:
        "../../envs/condnet.yaml"
    envmodules:
        *MODULES["condnet"],
    resources:
        mem_mb=growing(3000),
    params:
        source=source("condnet/predict_axis.py"),
        normalisation=PREPARATION,
        tables=TABLES,
        frequency=STUDY["condnet"]["frequency"],
        tau=STUDY["condnet"]["tau"],
        unseen=lambda wildcards: [
            name for name in COHORT["test"] if name == wildcards.subject
        ],
    script:
        "../../scripts/condnet/predict_axis.py"


rule average_axes:
    input:
        predictions=expand(
            result(
                "{{subject}}/cond/{{subject}}_axis-{axis}_desc-scaled_condmap.nii.gz"
            ),
            axis=AXES,
        ),
    output:
        average=result("{subject}/cond/{subject}_desc-average_condmap.nii.gz"),
        spread_path=result("{subject}/cond/{subject}_desc-spread_condmap.nii.gz"),
    log:
        result("logs/average_axes/{subject}.log"),
    conda:
        "../../envs/condnet.yaml"
    envmodules:
        *MODULES["condnet"],
    params:
        source=source("condnet/average_axes.py"),
    script:
        "../../scripts/condnet/average_axes.py"


rule rescale_conductivity:
    input:
        average=result("{subject}/cond/{subject}_desc-average_condmap.nii.gz"),
        t1=anat("space-grid_desc-normalised_T1w.nii.gz"),
        t2=anat("space-grid_desc-normalised_T2w.nii.gz"),
        grid=lambda wildcards: map_labels(wildcards) if wildcards.space else [],
    output:
        maps=expand(
            result(
                "{{subject}}/cond/{{subject}}_{{space}}table-{table}_desc-condnet_condmap.nii.gz"
            ),
            table=TABLES,
        ),
    log:
        result("logs/rescale_conductivity/{subject}_{space}map.log"),
    conda:
        "../../envs/condnet.yaml"
    envmodules:
        *MODULES["condnet"],
    resources:
        mem_mb=growing(3000),
    params:
        source=source("condnet/rescale_conductivity.py"),
        tables=TABLES,
        frequency=STUDY["condnet"]["frequency"],
        tau=STUDY["condnet"]["tau"],
    script:
        "../../scripts/condnet/rescale_conductivity.py"


rule return_conductivity:
    input:
        conductivity=result(
            "{subject}/cond/{subject}_table-{table}_desc-condnet_condmap.nii.gz"
        ),
        scan=anat("T1w.nii.gz"),
    output:
        own_map=result(
            "{subject}/cond/{subject}_space-T1w_table-{table}_desc-condnet_condmap.nii.gz"
        ),
    log:
        result("logs/return_conductivity/{subject}_{table}.log"),
    conda:
        "../../envs/mri.yaml"
    envmodules:
        *MODULES["mri"],
    params:
        source=source("condnet/return_conductivity.py"),
        table="{table}",
    script:
        "../../scripts/condnet/return_conductivity.py"


rule measure_domain:
    input:
        **normalised(COHORT["train"]),
    output:
        domain=result("networks/domain.json"),
    log:
        result("logs/measure_domain.log"),
    conda:
        "../../envs/condnet.yaml"
    envmodules:
        *MODULES["condnet"],
    params:
        source=source("condnet/measure_domain.py"),
        subjects=COHORT["train"],
        normalisation=PREPARATION,
    script:
        "../../scripts/condnet/measure_domain.py"


rule judge_domain:
    input:
        domain=networks("domain.json"),
        t1=anat("space-grid_desc-normalised_T1w.nii.gz"),
        t2=anat("space-grid_desc-normalised_T2w.nii.gz"),
        spread=result("{subject}/cond/{subject}_desc-spread_condmap.nii.gz"),
    output:
        judgement=result("{subject}/cond/{subject}_domain.json"),
    log:
        result("logs/judge_domain/{subject}.log"),
    conda:
        "../../envs/condnet.yaml"
    envmodules:
        *MODULES["condnet"],
    params:
        source=source("condnet/judge_domain.py"),
        normalisation=PREPARATION,
    script:
        "../../scripts/condnet/judge_domain.py"


rule uniform_conductivity:
    input:
        labels=map_labels,
    output:
        conductivity=result(
            "{subject}/cond/{subject}_{space}table-{table}_desc-uniform_condmap.nii.gz"
        ),
    log:
        result("logs/uniform_conductivity/{subject}_{space}{table}.log"),
    conda:
        "../../envs/mri.yaml"
    envmodules:
        *MODULES["mri"],
    params:
        source=source("condnet/uniform_conductivity.py"),
        table="{table}",
        frequency=STUDY["condnet"]["frequency"],
    script:
        "../../scripts/condnet/uniform_conductivity.py"


rule blur_uniform:
    input:
        uniform=result(
            "{subject}/cond/{subject}_{space}table-{table}_desc-uniform_condmap.nii.gz"
        ),
        estimated=result(
            "{subject}/cond/{subject}_{space}table-{table}_desc-condnet_condmap.nii.gz"
        ),
    output:
        blurred=result(
            "{subject}/cond/{subject}_{space}table-{table}_desc-blurred_condmap.nii.gz"
        ),
    log:
        result("logs/blur_uniform/{subject}_{space}{table}.log"),
    conda:
        "../../envs/mri.yaml"
    envmodules:
        *MODULES["mri"],
    resources:
        mem_mb=growing(4000),
    params:
        source=source("condnet/blur_uniform.py"),
    script:
        "../../scripts/condnet/blur_uniform.py"


rule conform_truth:
    input:
        truth=anat("desc-true_condmap.nii.gz"),
        lens=anat("desc-lens_mask.nii.gz"),
        grid_t1=anat("space-grid_T1w.nii.gz"),
    output:
        conductivity=result(
            "{subject}/cond/{subject}_table-{table}_desc-true_condmap.nii.gz"
        ),
        grid_lens=result("{subject}/cond/{subject}_table-{table}_desc-lens_mask.nii.gz"),
    log:
        result("logs/conform_truth/{subject}_{table}.log"),
    conda:
        "../../envs/mri.yaml"
    envmodules:
        *MODULES["mri"],
    params:
        source=source("condnet/conform_truth.py"),
    script:
        "../../scripts/condnet/conform_truth.py"


rule compare_conductivity:
    input:
        labels=anat("space-grid_dseg.nii.gz"),
        region=anat("space-grid_desc-compared_mask.nii.gz"),
        uniform=every_table("uniform"),
        blurred=every_table("blurred"),
        condnet=every_table("condnet"),
        true=(
            result(
                f"{{subject}}/cond/{{subject}}_table-{TABLES[0]}_desc-true_condmap.nii.gz"
            )
            if GENERATED
            else []
        ),
        lens=(
            result(
                f"{{subject}}/cond/{{subject}}_table-{TABLES[0]}_desc-lens_mask.nii.gz"
            )
            if GENERATED
            else []
        ),
    output:
        **generated_only(lens_values=result("{subject}/cond/{subject}_lens.tsv")),
        errors=result("{subject}/cond/{subject}_errors.tsv"),
    log:
        result("logs/compare_conductivity/{subject}.log"),
    conda:
        "../../envs/mri.yaml"
    envmodules:
        *MODULES["mri"],
    params:
        source=source("condnet/compare_conductivity.py"),
        subject="{subject}",
        tables=TABLES,
        frequency=STUDY["condnet"]["frequency"],
    script:
        "../../scripts/condnet/compare_conductivity.py"
