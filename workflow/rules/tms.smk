# TMS: the coil on the scalp, the field of every conductivity map, and their differences.


if FINE:

    rule refine_labels:
        input:
            labels=anat("space-grid_dseg.nii.gz"),
            label_map=finer_labels,
        output:
            **fine_truth(),
            fine_labels=field_labels(),
        log:
            result("logs/refine_labels/{subject}.log"),
        benchmark:
            result("benchmarks/refine_labels/{subject}.tsv")
        conda:
            "../../envs/mri.yaml"
        envmodules:
            *MODULES["mri"],
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
        placement=result("{subject}/tms/{subject}_desc-coil_placement.json"),
    log:
        result("logs/place_coil/{subject}.log"),
    conda:
        "../../envs/mri.yaml"
    envmodules:
        *MODULES["mri"],
    params:
        source=source("tms/place_coil.py"),
        position=STUDY["tms"]["position"],
        handle=STUDY["tms"]["handle"],
        distance=STUDY["tms"]["distance"],
        coil=STUDY["tms"]["coil"],
        matsimnibs=given_matrix,
    script:
        "../../scripts/tms/place_coil.py"


rule solve_efield:
    input:
        conductivity=field_map,
        labels=field_labels(),
        placement=result("{subject}/tms/{subject}_desc-coil_placement.json"),
    output:
        efield=result("{subject}/tms/{subject}_pos-coil_cond-{model}_efield.nii.gz"),
        magnitude=result(
            "{subject}/tms/{subject}_pos-coil_cond-{model}_magnitude.nii.gz"
        ),
    log:
        result("logs/solve_efield/{subject}_{model}.log"),
    benchmark:
        result("benchmarks/solve_efield/{subject}_{model}.tsv")
    conda:
        "../../envs/tms.yaml"
    envmodules:
        *MODULES["tms"],
    threads: 2
    resources:
        mem_mb=growing(3000),
    params:
        source=source("tms/solve_efield.py"),
        model="{model}",
        coil=STUDY["tms"]["coil"],
        didt=STUDY["tms"]["didt"],
        tolerance=STUDY["tms"]["tolerance"],
    script:
        "../../scripts/tms/solve_efield.py"


rule compare_efield:
    input:
        labels=field_labels(),
        mni=anat("desc-mni_transform.json"),
        warp=mni_warp(),
        efields=expand(
            result("{{subject}}/tms/{{subject}}_pos-coil_cond-{model}_efield.nii.gz"),
            model=FIELDS,
        ),
    output:
        errors=result("{subject}/tms/{subject}_pos-coil_globalerror.tsv"),
        peaks=result("{subject}/tms/{subject}_pos-coil_peaks.tsv"),
    log:
        result("logs/compare_efield/{subject}.log"),
    conda:
        "../../envs/mri.yaml"
    envmodules:
        *MODULES["mri"],
    params:
        source=source("tms/compare_efield.py"),
        subject="{subject}",
        models=FIELDS,
        position=STUDY["tms"]["position"],
        hand_knob=STUDY["tms"]["hand_knob"],
    script:
        "../../scripts/tms/compare_efield.py"


rule summarise_efield:
    input:
        errors=expand(
            result("{subject}/tms/{subject}_pos-coil_globalerror.tsv"),
            subject=COHORT["test"],
        ),
    output:
        summary=result("tms/globalerror.tsv"),
    log:
        result("logs/summarise_efield.log"),
    conda:
        "../../envs/mri.yaml"
    envmodules:
        *MODULES["mri"],
    params:
        source=source("tms/summarise_efield.py"),
    script:
        "../../scripts/tms/summarise_efield.py"


rule subvoxel_conductivity:
    input:
        grid_labels=field_labels(),
        label_map=finer_labels,
    output:
        conductivity=result(
            f"{{subject}}/cond/{{subject}}_{FINE}table-{{table}}_desc-subvoxel_condmap.nii.gz"
        ),
    log:
        result("logs/subvoxel_conductivity/{subject}_{table}.log"),
    benchmark:
        result("benchmarks/subvoxel_conductivity/{subject}_{table}.tsv")
    conda:
        "../../envs/mri.yaml"
    envmodules:
        *MODULES["mri"],
    resources:
        mem_mb=growing(4000),
    params:
        source=source("tms/subvoxel_conductivity.py"),
        table="{table}",
        frequency=STUDY["condnet"]["frequency"],
        origin=COHORT["source"],
        seed=STUDY["seed"],
        subject="{subject}",
        scheme=COHORT.get("scheme"),
        voxel_size_mm=COHORT["voxel_size_mm"] / REFINEMENT,
    script:
        "../../scripts/tms/subvoxel_conductivity.py"


rule sample_efield:
    input:
        labels=field_labels(),
        efield=result("{subject}/tms/{subject}_pos-coil_cond-{model}_efield.nii.gz"),
    output:
        tissues=result("{subject}/tms/{subject}_pos-coil_cond-{model}_tissues.tsv"),
        surface=result("{subject}/tms/{subject}_pos-coil_cond-{model}_greymatter.vtu"),
        geometry=result(
            "{subject}/tms/{subject}_pos-coil_cond-{model}_greymatter.surf.gii"
        ),
        values=result(
            "{subject}/tms/{subject}_pos-coil_cond-{model}_greymatter.func.gii"
        ),
    log:
        result("logs/sample_efield/{subject}_{model}.log"),
    conda:
        "../../envs/report.yaml"
    envmodules:
        *MODULES["report"],
    params:
        source=source("tms/sample_efield.py"),
        subject="{subject}",
        model="{model}",
    script:
        "../../scripts/tms/sample_efield.py"


rule scan_positions:
    input:
        labels=field_labels(),
        mni=anat("desc-mni_transform.json"),
        warp=mni_warp(),
        uniform=first_table("uniform", FINE),
        estimated=first_table("condnet", FINE),
    output:
        table=result("{subject}/tms/{subject}_desc-positions_efield.tsv"),
    log:
        result("logs/scan_positions/{subject}.log"),
    benchmark:
        result("benchmarks/scan_positions/{subject}.tsv")
    conda:
        "../../envs/mri.yaml"
    envmodules:
        *MODULES["mri"],
    threads: 2
    resources:
        mem_mb=growing(5000),
    params:
        source=source("tms/scan_positions.py"),
        subject="{subject}",
        positions=POSITIONS,
        distance=STUDY["tms"]["distance"],
        coil=STUDY["tms"]["coil"],
        didt=STUDY["tms"]["didt"],
        tolerance=STUDY["tms"]["tolerance"],
        hand_knob=STUDY["tms"]["hand_knob"],
    script:
        "../../scripts/tms/scan_positions.py"
