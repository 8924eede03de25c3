# One grid for all: alignment, bias field, normalisation, and the way to MNI space.


rule align_t2:
    input:
        t1=anat("T1w.nii.gz"),
        t2=anat("T2w.nii.gz"),
    output:
        grid_t1=anat("space-grid_T1w.nii.gz"),
        grid_t2=anat("space-grid_T2w.nii.gz"),
        alignment=anat("desc-alignment.json"),
    log:
        result("logs/align_t2/{subject}.log"),
    benchmark:
        result("benchmarks/align_t2/{subject}.tsv")
    conda:
        "../../envs/mri.yaml"
    envmodules:
        *MODULES["mri"],
    params:
        source=source("mri/align_t2.py"),
        seed=STUDY["seed"],
        shape=STUDY["mri"]["shape"],
        voxel_size_mm=COHORT["voxel_size_mm"],
    script:
        "../../scripts/mri/align_t2.py"


rule conform_labels:
    input:
        labels=anat("dseg.nii.gz"),
        grid_t1=anat("space-grid_T1w.nii.gz"),
        t1=anat("T1w.nii.gz"),
        t2=anat("T2w.nii.gz"),
        alignment=anat("desc-alignment.json"),
        facts=anat("head.json"),
    output:
        grid_labels=anat("space-grid_dseg.nii.gz"),
        region=anat("space-grid_desc-compared_mask.nii.gz"),
    log:
        result("logs/conform_labels/{subject}.log"),
    conda:
        "../../envs/mri.yaml"
    envmodules:
        *MODULES["mri"],
    params:
        source=source("mri/conform_labels.py"),
        neck=COHORT["neck"],
    script:
        "../../scripts/mri/conform_labels.py"


rule correct_bias:
    input:
        image=anat("space-grid_{contrast}.nii.gz"),
    output:
        corrected=anat("space-grid_desc-biascorrected_{contrast}.nii.gz"),
        field=anat("space-grid_desc-biasfield_{contrast}.nii.gz"),
    log:
        result("logs/correct_bias/{subject}_{contrast}.log"),
    benchmark:
        result("benchmarks/correct_bias/{subject}_{contrast}.tsv")
    conda:
        "../../envs/mri.yaml"
    envmodules:
        *MODULES["mri"],
    params:
        source=source("mri/correct_bias.py"),
        shrink=STUDY["mri"]["bias_shrink"],
    script:
        "../../scripts/mri/correct_bias.py"


rule normalise_intensity:
    input:
        image=anat("space-grid_desc-biascorrected_{contrast}.nii.gz"),
    output:
        normalised=anat("space-grid_desc-normalised_{contrast}.nii.gz"),
    log:
        result("logs/normalise_intensity/{subject}_{contrast}.log"),
    conda:
        "../../envs/mri.yaml"
    envmodules:
        *MODULES["mri"],
    params:
        source=source("mri/normalise_intensity.py"),
        method=STUDY["mri"]["normalisation"],
    script:
        "../../scripts/mri/normalise_intensity.py"


rule register_template:
    input:
        t1=anat("T1w.nii.gz"),
        labels=anat("dseg.nii.gz"),
        facts=anat("head.json"),
        template=mni_template,
    output:
        mni=anat("desc-mni_transform.json"),
    log:
        result("logs/register_template/{subject}.log"),
    benchmark:
        result("benchmarks/register_template/{subject}.tsv")
    conda:
        "../../envs/mri.yaml"
    envmodules:
        *MODULES["mri"],
    params:
        source=source("mri/register_template.py"),
    script:
        "../../scripts/mri/register_template.py"


rule draw_alignment:
    input:
        t1=anat("space-grid_T1w.nii.gz"),
        t2=anat("space-grid_T2w.nii.gz"),
        own_t2=anat("T2w.nii.gz"),
        alignment=anat("desc-alignment.json"),
    output:
        figure=report(
            result("figures/{subject}_alignment.png"),
            category="Cohort",
            caption="../report/alignment.rst",
        ),
    log:
        result("logs/draw_alignment/{subject}.log"),
    conda:
        "../../envs/report.yaml"
    envmodules:
        *MODULES["report"],
    params:
        source=source("mri/draw_alignment.py"),
        note=picture_note,
    script:
        "../../scripts/mri/draw_alignment.py"


rule warp_template:
    input:
        t1=anat("space-grid_desc-biascorrected_T1w.nii.gz"),
        labels=anat("space-grid_dseg.nii.gz"),
        mni=anat("desc-mni_transform.json"),
        template=mni_template,
    output:
        warp=anat("desc-mni_warp.nii.gz"),
    log:
        result("logs/warp_template/{subject}.log"),
    benchmark:
        result("benchmarks/warp_template/{subject}.tsv")
    conda:
        "../../envs/mri.yaml"
    envmodules:
        *MODULES["mri"],
    params:
        source=source("mri/warp_template.py"),
    script:
        "../../scripts/mri/warp_template.py"
