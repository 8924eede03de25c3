# Heads: T1w, T2w and labels of every subject, each in its own grid, and what is known of it.


if GENERATED:

    rule generate_head:
        output:
            **scans(),
            labels=anat("dseg.nii.gz"),
            truth=anat("desc-true_condmap.nii.gz"),
            lens=anat("desc-lens_mask.nii.gz"),
            facts=anat("head.json"),
        log:
            logs("generate_head/{subject}"),
        benchmark:
            benchmarks("generate_head/{subject}")
        wildcard_constraints:
            subject=alternatives(LABELLED),
        conda:
            "../../envs/mri.yaml"
        resources:
            mem_mb=growing(3000),
        params:
            **keys("cohort", "voxel_size_mm"),
            source=source("cohort/generate_head.py"),
            subject="{subject}",
            seed=STUDY["seed"],
        script:
            "../../scripts/cohort/generate_head.py"


if COHORT["source"] == "labels":

    rule import_labels:
        input:
            labels=label_map,
        output:
            **scans(),
            labels_out=anat("dseg.nii.gz"),
            facts=anat("head.json"),
        log:
            logs("import_labels/{subject}"),
        benchmark:
            benchmarks("import_labels/{subject}")
        wildcard_constraints:
            subject=alternatives(LABELLED),
        conda:
            "../../envs/mri.yaml"
        resources:
            mem_mb=growing(4000),
        params:
            **keys("cohort", "scheme", "voxel_size_mm"),
            source=source("cohort/import_labels.py"),
            seed=STUDY["seed"],
            subject="{subject}",
        script:
            "../../scripts/cohort/import_labels.py"


if COHORT["source"] == "bids":

    rule import_subject:
        input:
            unpack(bids_files),
        output:
            **scans(),
            labels=anat("dseg.nii.gz"),
            facts=anat("head.json"),
        log:
            logs("import_subject/{subject}"),
        benchmark:
            benchmarks("import_subject/{subject}")
        wildcard_constraints:
            subject=alternatives(LABELLED),
        conda:
            "../../envs/mri.yaml"
        resources:
            mem_mb=growing(4000),
        params:
            **keys("cohort", "scheme"),
            source=source("cohort/import_subject.py"),
            subject="{subject}",
        script:
            "../../scripts/cohort/import_subject.py"


rule import_scan:
    input:
        scan_t1=named_scan("t1"),
        scan_t2=named_scan("t2"),
    output:
        **scans(),
    log:
        logs("import_scan/{subject}"),
    wildcard_constraints:
        subject=alternatives(SCANS),
    conda:
        "../../envs/mri.yaml"
    params:
        source=source("cohort/import_scan.py"),
    script:
        "../../scripts/cohort/import_scan.py"
