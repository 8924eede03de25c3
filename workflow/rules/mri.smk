# One grid for all: alignment, bias field, normalisation, and the transform to MNI space.


rule align_t2:
    input:
        **scans(),
    output:
        grid_t1=anat("space-grid_T1w.nii.gz"),
        grid_t2=anat("space-grid_T2w.nii.gz"),
        alignment=anat("desc-alignment.json"),
    log:
        logs("align_t2/{subject}"),
    benchmark:
        benchmarks("align_t2/{subject}")
    conda:
        "../../envs/mri.yaml"
    params:
        **keys("mri", "shape"),
        **keys("cohort", "voxel_size_mm"),
        source=source("mri/align_t2.py"),
        seed=STUDY["seed"],
    script:
        "../../scripts/mri/align_t2.py"


rule conform_labels:
    input:
        **scans(),
        labels=anat("dseg.nii.gz"),
        grid_t1=anat("space-grid_T1w.nii.gz"),
        alignment=anat("desc-alignment.json"),
        facts=anat("head.json"),
    output:
        grid_labels=anat("space-grid_dseg.nii.gz"),
        region=anat("space-grid_desc-compared_mask.nii.gz"),
    log:
        logs("conform_labels/{subject}"),
    conda:
        "../../envs/mri.yaml"
    params:
        **keys("cohort", "neck"),
        source=source("mri/conform_labels.py"),
    script:
        "../../scripts/mri/conform_labels.py"


rule correct_bias:
    input:
        image=anat("space-grid_{contrast}.nii.gz"),
    output:
        corrected=anat("space-grid_desc-biascorrected_{contrast}.nii.gz"),
        field=anat("space-grid_desc-biasfield_{contrast}.nii.gz"),
    log:
        logs("correct_bias/{subject}_{contrast}"),
    benchmark:
        benchmarks("correct_bias/{subject}_{contrast}")
    conda:
        "../../envs/mri.yaml"
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
        logs("normalise_intensity/{subject}_{contrast}"),
    conda:
        "../../envs/mri.yaml"
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
        logs("register_template/{subject}"),
    benchmark:
        benchmarks("register_template/{subject}")
    conda:
        "../../envs/mri.yaml"
    params:
        source=source("mri/register_template.py"),
    script:
        "../../scripts/mri/register_template.py"


rule warp_template:
    input:
        t1=anat("space-grid_desc-biascorrected_T1w.nii.gz"),
        labels=anat("space-grid_dseg.nii.gz"),
        mni=anat("desc-mni_transform.json"),
        template=mni_template,
    output:
        warp=anat("desc-mni_warp.nii.gz"),
    log:
        logs("warp_template/{subject}"),
    benchmark:
        benchmarks("warp_template/{subject}")
    conda:
        "../../envs/mri.yaml"
    params:
        source=source("mri/warp_template.py"),
    script:
        "../../scripts/mri/warp_template.py"


rule draw_alignment:
    input:
        **scans("space-grid_"),
        own_t2=anat("T2w.nii.gz"),
        alignment=anat("desc-alignment.json"),
    output:
        figure=figure("{subject}_alignment"),
    log:
        logs("draw_alignment/{subject}"),
    conda:
        "../../envs/report.yaml"
    params:
        source=source("mri/draw_alignment.py"),
        note=picture_note,
    script:
        "../../scripts/mri/draw_alignment.py"


rule draw_anatomy:
    input:
        **scans("space-grid_desc-biascorrected_"),
        labels=lambda wildcards: (
            anat("space-grid_dseg.nii.gz") if wildcards.subject in LABELLED else []
        ),
    output:
        anatomy=figure("{subject}_anatomy"),
    log:
        logs("draw_anatomy/{subject}"),
    conda:
        "../../envs/report.yaml"
    params:
        source=source("mri/draw_anatomy.py"),
        note=picture_note,
    script:
        "../../scripts/mri/draw_anatomy.py"
