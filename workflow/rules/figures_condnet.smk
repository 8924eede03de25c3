# Figures 2 and 5 to 8 of the CondNet paper, the spread of the axes, and their numbers.
MAPS = expand(first_table("{model}"), model=MODELS, allow_missing=True)


rule summarise_scores:
    input:
        **generated_only(
            lens_values=expand(
                result("{subject}/cond/{subject}_lens.tsv"), subject=COHORT["test"]
            )
        ),
        errors=expand(
            result("{subject}/cond/{subject}_errors.tsv"), subject=COHORT["test"]
        ),
    output:
        **generated_only(lens=result("tables/condnet_lens.tsv")),
        scores=result("tables/condnet_errors.tsv"),
    log:
        result("logs/summarise_scores.log"),
    conda:
        "../../envs/mri.yaml"
    envmodules:
        *MODULES["mri"],
    params:
        source=source("condnet/summarise_scores.py"),
    script:
        "../../scripts/condnet/summarise_scores.py"


rule sample_patches:
    input:
        labels=anat("space-grid_dseg.nii.gz"),
        maps=MAPS,
    output:
        patches=result("{subject}/cond/{subject}_patches.tsv"),
    log:
        result("logs/sample_patches/{subject}.log"),
    conda:
        "../../envs/mri.yaml"
    envmodules:
        *MODULES["mri"],
    params:
        source=source("condnet/sample_patches.py"),
        models=MODELS,
    script:
        "../../scripts/condnet/sample_patches.py"


rule draw_volumes:
    input:
        maps=expand(first_table("{model}"), subject=COHORT["test"][:2], model=MODELS),
    output:
        volumes=report(
            result("figures/volumes.png"),
            category="CondNet",
            caption="../report/volumes.rst",
        ),
    log:
        result("logs/draw_volumes.log"),
    conda:
        "../../envs/report.yaml"
    envmodules:
        *MODULES["report"],
    resources:
        mem_mb=growing(3000),
    params:
        source=source("condnet/draw_volumes.py"),
        note=study_note(),
        subjects=COHORT["test"][:2],
        models=MODELS,
        table=TABLES[0],
        frequency=STUDY["condnet"]["frequency"],
    script:
        "../../scripts/condnet/draw_volumes.py"


rule draw_conductivity:
    input:
        t1=anat("space-grid_desc-normalised_T1w.nii.gz"),
        t2=anat("space-grid_desc-normalised_T2w.nii.gz"),
        maps=lambda wildcards: expand(
            first_table("{model}"), model=known_maps(wildcards), **wildcards
        ),
    output:
        conductivity=report(
            result("figures/{subject}_conductivity.png"),
            category="CondNet",
            caption="../report/conductivity.rst",
        ),
    log:
        result("logs/draw_conductivity/{subject}.log"),
    conda:
        "../../envs/report.yaml"
    envmodules:
        *MODULES["report"],
    params:
        source=source("condnet/draw_conductivity.py"),
        note=picture_note,
        models=known_maps,
        table=TABLES[0],
        frequency=STUDY["condnet"]["frequency"],
    script:
        "../../scripts/condnet/draw_conductivity.py"


rule draw_tables:
    input:
        **generated_only(true=first_table("true")),
        t1=anat("space-grid_desc-normalised_T1w.nii.gz"),
        t2=anat("space-grid_desc-normalised_T2w.nii.gz"),
        uniform=every_table("uniform"),
        blurred=every_table("blurred"),
        condnet=every_table("condnet"),
    output:
        several=report(
            result("figures/{subject}_tables.png"),
            category="CondNet",
            caption="../report/tables.rst",
        ),
    log:
        result("logs/draw_tables/{subject}.log"),
    conda:
        "../../envs/report.yaml"
    envmodules:
        *MODULES["report"],
    params:
        source=source("condnet/draw_tables.py"),
        note=picture_note,
        tables=TABLES,
        frequency=STUDY["condnet"]["frequency"],
    script:
        "../../scripts/condnet/draw_tables.py"


rule draw_spread:
    input:
        condnet=first_table("condnet"),
        deviation=result("{subject}/cond/{subject}_desc-spread_condmap.nii.gz"),
    output:
        spread=report(
            result("figures/{subject}_spread.png"),
            category="CondNet",
            caption="../report/spread.rst",
        ),
    log:
        result("logs/draw_spread/{subject}.log"),
    conda:
        "../../envs/report.yaml"
    envmodules:
        *MODULES["report"],
    params:
        source=source("condnet/draw_spread.py"),
        note=picture_note,
        table=TABLES[0],
        frequency=STUDY["condnet"]["frequency"],
        tau=STUDY["condnet"]["tau"],
    script:
        "../../scripts/condnet/draw_spread.py"


rule draw_profile:
    input:
        maps=MAPS,
    output:
        profile=report(
            result("figures/{subject}_profile.png"),
            category="CondNet",
            caption="../report/profile.rst",
        ),
    log:
        result("logs/draw_profile/{subject}.log"),
    conda:
        "../../envs/report.yaml"
    envmodules:
        *MODULES["report"],
    params:
        source=source("condnet/draw_profile.py"),
        note=picture_note,
        models=MODELS,
        table=TABLES[0],
        frequency=STUDY["condnet"]["frequency"],
    script:
        "../../scripts/condnet/draw_profile.py"


rule draw_patches:
    input:
        t1=anat("space-grid_desc-normalised_T1w.nii.gz"),
        patches=result("{subject}/cond/{subject}_patches.tsv"),
    output:
        figure=report(
            result("figures/{subject}_patches.png"),
            category="CondNet",
            caption="../report/patches.rst",
        ),
    log:
        result("logs/draw_patches/{subject}.log"),
    conda:
        "../../envs/report.yaml"
    envmodules:
        *MODULES["report"],
    params:
        source=source("condnet/draw_patches.py"),
        note=picture_note,
        models=MODELS,
        table=TABLES[0],
        frequency=STUDY["condnet"]["frequency"],
    script:
        "../../scripts/condnet/draw_patches.py"
