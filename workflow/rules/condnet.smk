# CondNet: one network per slicing axis, their average, and conductivity maps in S/m.


if "networks" in STUDY["condnet"]:

    rule take_axis:
        input:
            trained=networks_of_another_study("axis-{axis}_network.ckpt"),
            losses=networks_of_another_study("axis-{axis}_history.tsv"),
        output:
            network=result("networks/axis-{axis}_network.ckpt"),
            history=result("networks/axis-{axis}_history.tsv"),
        log:
            result("logs/take_axis/{axis}.log"),
        conda:
            "../../envs/condnet.yaml"
        params:
            source=source("take_axis.py"),
            axis="{axis}",
            tables=TABLES,
            frequency=STUDY["condnet"]["frequency"],
            tau=STUDY["condnet"]["tau"],
            normalisation=STUDY["mri"]["normalisation"],
            shape=STUDY["mri"]["shape"],
            voxel_size_mm=COHORT["voxel_size_mm"],
            unseen=COHORT["test"],
        script:
            "../../scripts/take_axis.py"

else:

    rule train_axis:
        input:
            **normalised(COHORT["train"]),
            labels=expand(anat("space-grid_dseg.nii.gz"), subject=COHORT["train"]),
        output:
            network=result("networks/axis-{axis}_network.ckpt"),
            history=result("networks/axis-{axis}_history.tsv"),
        log:
            result("logs/train_axis/{axis}.log"),
        benchmark:
            result("benchmarks/train_axis/{axis}.tsv")
        conda:
            "../../envs/condnet.yaml"
        threads: 1
        resources:
            mem_mb=growing(4000),
            runtime=240,
        params:
            source=source("train_axis.py"),
            seed=STUDY["seed"],
            axis="{axis}",
            subjects=COHORT["train"],
            normalisation=STUDY["mri"]["normalisation"],
            settings=STUDY["condnet"],
            state=result(".state"),
        script:
            "../../scripts/train_axis.py"


rule predict_axis:
    input:
        network=result("networks/axis-{axis}_network.ckpt"),
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
    resources:
        mem_mb=growing(3000),
    params:
        source=source("predict_axis.py"),
        normalisation=STUDY["mri"]["normalisation"],
    script:
        "../../scripts/predict_axis.py"


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
    params:
        source=source("average_axes.py"),
    script:
        "../../scripts/average_axes.py"


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
    resources:
        mem_mb=growing(3000),
    params:
        source=source("rescale_conductivity.py"),
        tables=TABLES,
        frequency=STUDY["condnet"]["frequency"],
        tau=STUDY["condnet"]["tau"],
    script:
        "../../scripts/rescale_conductivity.py"


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
    params:
        source=source("uniform_conductivity.py"),
        table="{table}",
        frequency=STUDY["condnet"]["frequency"],
    script:
        "../../scripts/uniform_conductivity.py"


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
    resources:
        mem_mb=growing(4000),
    params:
        source=source("blur_uniform.py"),
    script:
        "../../scripts/blur_uniform.py"


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
    params:
        source=source("conform_truth.py"),
    script:
        "../../scripts/conform_truth.py"


rule compare_conductivity:
    input:
        labels=anat("space-grid_dseg.nii.gz"),
        uniform=result(
            f"{{subject}}/cond/{{subject}}_table-{TABLES[0]}_desc-uniform_condmap.nii.gz"
        ),
        blurred=result(
            f"{{subject}}/cond/{{subject}}_table-{TABLES[0]}_desc-blurred_condmap.nii.gz"
        ),
        condnet=result(
            f"{{subject}}/cond/{{subject}}_table-{TABLES[0]}_desc-condnet_condmap.nii.gz"
        ),
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
        errors=result("{subject}/cond/{subject}_errors.tsv"),
    log:
        result("logs/compare_conductivity/{subject}.log"),
    conda:
        "../../envs/mri.yaml"
    params:
        source=source("compare_conductivity.py"),
        subject="{subject}",
        table=TABLES[0],
        frequency=STUDY["condnet"]["frequency"],
    script:
        "../../scripts/compare_conductivity.py"
