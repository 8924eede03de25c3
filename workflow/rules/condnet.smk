# CondNet: one network per slicing axis, their average, conductivity maps in S/m, and figures.
# What a network's training uses next to its tables.
NETWORK = {
    **keys("condnet", "depth", "kernels", "epochs", "batch_size", "learning_rate"),
    **keys("condnet", "precision", "validation", "empty_slices"),
}
# The table of figures of one table, and its maps.
FIRST = {"table": TABLES[0], **keys("condnet", "frequency")}
MAPS = expand(condmap("{model}"), model=MODELS, allow_missing=True)


rule train_axis:
    input:
        **normalised(COHORT["train"] + UNSEEN),
        labels=expand(anat("space-grid_dseg.nii.gz"), subject=COHORT["train"] + UNSEEN),
    output:
        network=result("networks/axis-{axis}_network.ckpt"),
        history=result("networks/axis-{axis}_history.tsv"),
    log:
        logs("train_axis/{axis}"),
    benchmark:
        benchmarks("train_axis/{axis}")
    conda:
        "../../envs/condnet.yaml"
    threads: 1
    resources:
        mem_mb=growing(network_memory()),
        runtime=growing(240),
    params:
        source=source("condnet/train_axis.py"),
        seed=STUDY["seed"],
        axis="{axis}",
        subjects=COHORT["train"],
        unseen=UNSEEN,
        normalisation=PREPARATION,
        settings={**SCALE, **NETWORK},
        state=result(".state"),
    script:
        "../../scripts/condnet/train_axis.py"


rule predict_axis:
    input:
        **scans("space-grid_desc-normalised_"),
        network=networks("axis-{axis}_network.ckpt"),
    output:
        prediction=temp(cond("axis-{axis}_desc-scaled_condmap.nii.gz")),
    log:
        logs("predict_axis/{subject}_{axis}"),
    benchmark:
        benchmarks("predict_axis/{subject}_{axis}")
    conda:
        "../../envs/condnet.yaml"
    resources:
        mem_mb=growing(3000),
    params:
        **SCALE,
        source=source("condnet/predict_axis.py"),
        normalisation=PREPARATION,
        unseen=lambda wildcards: [name for name in COHORT["test"] if name == wildcards.subject],
    script:
        "../../scripts/condnet/predict_axis.py"


rule average_axes:
    input:
        predictions=expand(
            cond("axis-{axis}_desc-scaled_condmap.nii.gz"),
            axis=AXES,
            allow_missing=True,
        ),
    output:
        average=cond("desc-average_condmap.nii.gz"),
        spread_path=cond("desc-spread_condmap.nii.gz"),
    log:
        logs("average_axes/{subject}"),
    conda:
        "../../envs/condnet.yaml"
    params:
        source=source("condnet/average_axes.py"),
    script:
        "../../scripts/condnet/average_axes.py"


rule rescale_conductivity:
    input:
        **scans("space-grid_desc-normalised_"),
        average=cond("desc-average_condmap.nii.gz"),
        grid=lambda wildcards: map_labels(wildcards) if wildcards.space else [],
    output:
        maps=[condmap("condnet", name, "{space}") for name in TABLES],
    log:
        logs("rescale_conductivity/{subject}_{space}map"),
    conda:
        "../../envs/condnet.yaml"
    resources:
        mem_mb=growing(3000),
    params:
        **SCALE,
        source=source("condnet/rescale_conductivity.py"),
    script:
        "../../scripts/condnet/rescale_conductivity.py"


rule return_conductivity:
    input:
        conductivity=condmap("condnet", "{table}"),
        scan=anat("T1w.nii.gz"),
    output:
        own_map=condmap("condnet", "{table}", "space-T1w_"),
    log:
        logs("return_conductivity/{subject}_{table}"),
    conda:
        "../../envs/mri.yaml"
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
        logs("measure_domain"),
    conda:
        "../../envs/condnet.yaml"
    params:
        source=source("condnet/measure_domain.py"),
        subjects=COHORT["train"],
        normalisation=PREPARATION,
    script:
        "../../scripts/condnet/measure_domain.py"


rule judge_domain:
    input:
        **scans("space-grid_desc-normalised_"),
        domain=networks("domain.json"),
        spread=cond("desc-spread_condmap.nii.gz"),
    output:
        judgement=cond("domain.json"),
    log:
        logs("judge_domain/{subject}"),
    conda:
        "../../envs/condnet.yaml"
    params:
        source=source("condnet/judge_domain.py"),
        normalisation=PREPARATION,
    script:
        "../../scripts/condnet/judge_domain.py"


rule uniform_conductivity:
    input:
        labels=map_labels,
    output:
        conductivity=condmap("uniform", "{table}", "{space}"),
    log:
        logs("uniform_conductivity/{subject}_{space}{table}"),
    conda:
        "../../envs/mri.yaml"
    params:
        **keys("condnet", "frequency"),
        source=source("condnet/uniform_conductivity.py"),
        table="{table}",
    script:
        "../../scripts/condnet/uniform_conductivity.py"


rule blur_uniform:
    input:
        uniform=condmap("uniform", "{table}", "{space}"),
        estimated=condmap("condnet", "{table}", "{space}"),
    output:
        blurred=condmap("blurred", "{table}", "{space}"),
    log:
        logs("blur_uniform/{subject}_{space}{table}"),
    conda:
        "../../envs/mri.yaml"
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
        conductivity=condmap("true", "{table}"),
        grid_lens=cond("table-{table}_desc-lens_mask.nii.gz"),
    log:
        logs("conform_truth/{subject}_{table}"),
    conda:
        "../../envs/mri.yaml"
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
        true=condmap("true") if GENERATED else [],
        lens=cond(f"table-{TABLES[0]}_desc-lens_mask.nii.gz") if GENERATED else [],
    output:
        **generated_only(lens_values=cond("lens.tsv")),
        errors=cond("errors.tsv"),
    log:
        logs("compare_conductivity/{subject}"),
    conda:
        "../../envs/mri.yaml"
    params:
        **keys("condnet", "tables", "frequency"),
        source=source("condnet/compare_conductivity.py"),
        subject="{subject}",
    script:
        "../../scripts/condnet/compare_conductivity.py"


rule summarise_scores:
    input:
        **generated_only(lens_values=expand(cond("lens.tsv"), subject=COHORT["test"])),
        errors=expand(cond("errors.tsv"), subject=COHORT["test"]),
    output:
        **generated_only(lens=table("condnet_lens")),
        scores=table("condnet_errors"),
    log:
        logs("summarise_scores"),
    conda:
        "../../envs/mri.yaml"
    params:
        source=source("condnet/summarise_scores.py"),
    script:
        "../../scripts/condnet/summarise_scores.py"


rule sample_patches:
    input:
        labels=anat("space-grid_dseg.nii.gz"),
        maps=MAPS,
    output:
        patches=cond("patches.tsv"),
    log:
        logs("sample_patches/{subject}"),
    conda:
        "../../envs/mri.yaml"
    params:
        source=source("condnet/sample_patches.py"),
        models=MODELS,
    script:
        "../../scripts/condnet/sample_patches.py"


rule draw_losses:
    input:
        histories=expand(networks("axis-{axis}_history.tsv"), axis=AXES),
    output:
        losses=figure("losses"),
    log:
        logs("draw_losses"),
    conda:
        "../../envs/report.yaml"
    params:
        source=source("condnet/draw_losses.py"),
        note=study_note(),
        axes=AXES,
    script:
        "../../scripts/condnet/draw_losses.py"


rule draw_volumes:
    input:
        maps=expand(condmap("{model}"), subject=COHORT["test"][:2], model=MODELS),
    output:
        volumes=figure("volumes"),
    log:
        logs("draw_volumes"),
    conda:
        "../../envs/report.yaml"
    resources:
        mem_mb=growing(3000),
    params:
        **FIRST,
        source=source("condnet/draw_volumes.py"),
        note=study_note(),
        subjects=COHORT["test"][:2],
        models=MODELS,
    script:
        "../../scripts/condnet/draw_volumes.py"


rule draw_conductivity:
    input:
        **scans("space-grid_desc-normalised_"),
        maps=lambda wildcards: expand(
            condmap("{model}"), model=known_models(wildcards), **wildcards
        ),
    output:
        conductivity=figure("{subject}_conductivity"),
    log:
        logs("draw_conductivity/{subject}"),
    conda:
        "../../envs/report.yaml"
    params:
        **FIRST,
        source=source("condnet/draw_conductivity.py"),
        note=picture_note,
        models=known_models,
    script:
        "../../scripts/condnet/draw_conductivity.py"


rule draw_tables:
    input:
        **generated_only(true=condmap("true")),
        **scans("space-grid_desc-normalised_"),
        uniform=every_table("uniform"),
        blurred=every_table("blurred"),
        condnet=every_table("condnet"),
    output:
        several=figure("{subject}_tables"),
    log:
        logs("draw_tables/{subject}"),
    conda:
        "../../envs/report.yaml"
    params:
        **keys("condnet", "tables", "frequency"),
        source=source("condnet/draw_tables.py"),
        note=picture_note,
    script:
        "../../scripts/condnet/draw_tables.py"


rule draw_spread:
    input:
        condnet=condmap("condnet"),
        deviation=cond("desc-spread_condmap.nii.gz"),
    output:
        spread=figure("{subject}_spread"),
    log:
        logs("draw_spread/{subject}"),
    conda:
        "../../envs/report.yaml"
    params:
        **FIRST,
        **keys("condnet", "tau"),
        source=source("condnet/draw_spread.py"),
        note=picture_note,
    script:
        "../../scripts/condnet/draw_spread.py"


rule draw_profile:
    input:
        maps=MAPS,
    output:
        profile=figure("{subject}_profile"),
    log:
        logs("draw_profile/{subject}"),
    conda:
        "../../envs/report.yaml"
    params:
        **FIRST,
        source=source("condnet/draw_profile.py"),
        note=picture_note,
        models=MODELS,
    script:
        "../../scripts/condnet/draw_profile.py"


rule draw_patches:
    input:
        t1=anat("space-grid_desc-normalised_T1w.nii.gz"),
        patches=cond("patches.tsv"),
    output:
        figure=figure("{subject}_patches"),
    log:
        logs("draw_patches/{subject}"),
    conda:
        "../../envs/report.yaml"
    params:
        **FIRST,
        source=source("condnet/draw_patches.py"),
        note=picture_note,
        models=MODELS,
    script:
        "../../scripts/condnet/draw_patches.py"
