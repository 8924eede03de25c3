# TMS: the coil on the scalp, the field of every conductivity map, and their differences.


if FINE:

    rule refine_labels:
        input:
            labels=anat("space-grid_dseg.nii.gz"),
            label_map=finer_labels,
        output:
            **generated_only(truth=condmap("true", space=FINE)),
            fine_labels=field_labels(),
        log:
            logs("refine_labels/{subject}"),
        benchmark:
            benchmarks("refine_labels/{subject}")
        conda:
            "../../envs/mri.yaml"
        resources:
            mem_mb=growing(4000),
        params:
            source=source("tms/refine_labels.py"),
            origin=COHORT["source"],
            seed=STUDY["seed"],
            subject="{subject}",
            scheme=COHORT["scheme"] if COHORT["source"] == "labels" else "headcond13",
            voxel_size_mm=COHORT["voxel_size_mm"],
            factor=REFINEMENT,
        script:
            "../../scripts/tms/refine_labels.py"


rule place_coil:
    input:
        labels=field_labels(),
        mni=anat("desc-mni_transform.json"),
    output:
        placement=tms("desc-coil_placement.json"),
    log:
        logs("place_coil/{subject}"),
    conda:
        "../../envs/mri.yaml"
    params:
        **keys("tms", "position", "handle", "distance"),
        source=source("tms/place_coil.py"),
        coil=COIL,
        matsimnibs=lambda wildcards: MATRICES.get(wildcards.subject, []),
    script:
        "../../scripts/tms/place_coil.py"


rule solve_efield:
    input:
        conductivity=field_map,
        labels=field_labels(),
        placement=tms("desc-coil_placement.json"),
    output:
        efield=field("efield.nii.gz"),
        magnitude=field("magnitude.nii.gz"),
    log:
        logs("solve_efield/{subject}_{model}"),
    benchmark:
        benchmarks("solve_efield/{subject}_{model}")
    conda:
        "../../envs/tms.yaml"
    threads: 2
    resources:
        mem_mb=growing(3000),
    params:
        **keys("tms", "didt", "tolerance"),
        source=source("tms/solve_efield.py"),
        model="{model}",
        coil=COIL,
    script:
        "../../scripts/tms/solve_efield.py"


rule sample_efield:
    input:
        labels=field_labels(),
        efield=field("efield.nii.gz"),
    output:
        tissues=field("tissues.tsv"),
        surface=field("greymatter.vtu"),
        geometry=field("greymatter.surf.gii"),
        values=field("greymatter.func.gii"),
    log:
        logs("sample_efield/{subject}_{model}"),
    conda:
        "../../envs/report.yaml"
    params:
        source=source("tms/sample_efield.py"),
        subject="{subject}",
        model="{model}",
    script:
        "../../scripts/tms/sample_efield.py"


rule compare_efield:
    input:
        labels=field_labels(),
        mni=anat("desc-mni_transform.json"),
        warp=mni_warp(),
        efields=every_field(),
    output:
        errors=tms("pos-coil_globalerror.tsv"),
        peaks=tms("pos-coil_peaks.tsv"),
    log:
        logs("compare_efield/{subject}"),
    conda:
        "../../envs/mri.yaml"
    params:
        **keys("tms", "position"),
        source=source("tms/compare_efield.py"),
        subject="{subject}",
        models=FIELDS,
        hand_knob=HAND_KNOB,
    script:
        "../../scripts/tms/compare_efield.py"


rule summarise_efield:
    input:
        errors=expand(tms("pos-coil_globalerror.tsv"), subject=COHORT["test"]),
    output:
        summary=result("tms/globalerror.tsv"),
    log:
        logs("summarise_efield"),
    conda:
        "../../envs/mri.yaml"
    params:
        source=source("tms/summarise_efield.py"),
    script:
        "../../scripts/tms/summarise_efield.py"


rule subvoxel_conductivity:
    input:
        grid_labels=field_labels(),
        label_map=finer_labels,
    output:
        conductivity=condmap("subvoxel", "{table}", FINE),
    log:
        logs("subvoxel_conductivity/{subject}_{table}"),
    benchmark:
        benchmarks("subvoxel_conductivity/{subject}_{table}")
    conda:
        "../../envs/mri.yaml"
    resources:
        mem_mb=growing(4000),
    params:
        **keys("condnet", "frequency"),
        source=source("tms/subvoxel_conductivity.py"),
        table="{table}",
        origin=COHORT["source"],
        seed=STUDY["seed"],
        subject="{subject}",
        scheme=COHORT.get("scheme"),
        voxel_size_mm=COHORT["voxel_size_mm"] / REFINEMENT,
    script:
        "../../scripts/tms/subvoxel_conductivity.py"


rule scan_positions:
    input:
        labels=field_labels(),
        mni=anat("desc-mni_transform.json"),
        warp=mni_warp(),
        uniform=condmap("uniform", space=FINE),
        estimated=condmap("condnet", space=FINE),
    output:
        table=tms("desc-positions_efield.tsv"),
    log:
        logs("scan_positions/{subject}"),
    benchmark:
        benchmarks("scan_positions/{subject}")
    conda:
        "../../envs/mri.yaml"
    threads: 2
    resources:
        mem_mb=growing(5000),
    params:
        **keys("tms", "distance", "didt", "tolerance"),
        source=source("tms/scan_positions.py"),
        subject="{subject}",
        positions=POSITIONS,
        coil=COIL,
        hand_knob=HAND_KNOB,
    script:
        "../../scripts/tms/scan_positions.py"


rule draw_efield:
    input:
        labels=field_labels(),
        mni=anat("desc-mni_transform.json"),
        warp=mni_warp(),
        placement=tms("desc-coil_placement.json"),
        efields=every_field(),
    output:
        coil_figure=figure("{subject}_coil"),
        efield=figure("{subject}_efield"),
    log:
        logs("draw_efield/{subject}"),
    conda:
        "../../envs/report.yaml"
    params:
        source=source("tms/draw_efield.py"),
        note=picture_note,
        models=FIELDS,
        coil=COIL,
        hand_knob=HAND_KNOB,
    script:
        "../../scripts/tms/draw_efield.py"


rule draw_differences:
    input:
        labels=field_labels(),
        mni=anat("desc-mni_transform.json"),
        warp=mni_warp(),
        efields=every_field(),
    output:
        difference=figure("{subject}_difference"),
    log:
        logs("draw_differences/{subject}"),
    conda:
        "../../envs/report.yaml"
    params:
        source=source("tms/draw_differences.py"),
        note=picture_note,
        models=FIELDS,
        hand_knob=HAND_KNOB,
    script:
        "../../scripts/tms/draw_differences.py"


rule draw_sagittal:
    input:
        labels=expand(field_labels(), subject=COHORT["test"]),
        mni=expand(anat("desc-mni_transform.json"), subject=COHORT["test"]),
        warp=expand(mni_warp(), subject=COHORT["test"]),
        efields=expand(field("efield.nii.gz"), subject=COHORT["test"], model=FIELDS),
    output:
        sagittal=figure("sagittal"),
    log:
        logs("draw_sagittal"),
    conda:
        "../../envs/report.yaml"
    params:
        source=source("tms/draw_sagittal.py"),
        note=study_note(),
        subjects=COHORT["test"],
        models=FIELDS,
        hand_knob=HAND_KNOB,
    script:
        "../../scripts/tms/draw_sagittal.py"
