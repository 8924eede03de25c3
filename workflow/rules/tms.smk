# TMS: the coil on the scalp, the field of every conductivity map, and their differences.


rule place_coil:
    input:
        labels=anat("space-grid_dseg.nii.gz"),
        mni=anat("desc-mni_transform.json"),
    output:
        placement=result("{subject}/tms/{subject}_desc-coil_placement.json"),
    log:
        result("logs/place_coil/{subject}.log"),
    conda:
        "../../envs/mri.yaml"
    params:
        source=source("place_coil.py"),
        position=STUDY["tms"]["position"],
        handle=STUDY["tms"]["handle"],
        distance=STUDY["tms"]["distance"],
        coil=STUDY["tms"]["coil"],
    script:
        "../../scripts/place_coil.py"


rule solve_efield:
    input:
        conductivity=field_map,
        placement=result("{subject}/tms/{subject}_desc-coil_placement.json"),
    output:
        efield=result("{subject}/tms/{subject}_pos-coil_cond-{model}_efield.nii.gz"),
    log:
        result("logs/solve_efield/{subject}_{model}.log"),
    benchmark:
        result("benchmarks/solve_efield/{subject}_{model}.tsv")
    conda:
        "../../envs/tms.yaml"
    threads: 2
    resources:
        mem_mb=growing(3000),
    params:
        source=source("solve_efield.py"),
        coil=STUDY["tms"]["coil"],
        didt=STUDY["tms"]["didt"],
        tolerance=STUDY["tms"]["tolerance"],
    script:
        "../../scripts/solve_efield.py"


rule compare_efield:
    input:
        labels=anat("space-grid_dseg.nii.gz"),
        mni=anat("desc-mni_transform.json"),
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
    params:
        source=source("compare_efield.py"),
        subject="{subject}",
        models=FIELDS,
        position=STUDY["tms"]["position"],
        hand_knob=STUDY["tms"]["hand_knob"],
    script:
        "../../scripts/compare_efield.py"


rule subvoxel_conductivity:
    input:
        grid_labels=anat("space-grid_dseg.nii.gz"),
        label_map=lambda wildcards: (
            label_map(wildcards) if COHORT["source"] == "labels" else []
        ),
    output:
        conductivity=result(
            "{subject}/cond/{subject}_table-{table}_desc-subvoxel_condmap.nii.gz"
        ),
    log:
        result("logs/subvoxel_conductivity/{subject}_{table}.log"),
    benchmark:
        result("benchmarks/subvoxel_conductivity/{subject}_{table}.tsv")
    conda:
        "../../envs/mri.yaml"
    resources:
        mem_mb=4000,
    params:
        source=source("subvoxel_conductivity.py"),
        table="{table}",
        frequency=STUDY["condnet"]["frequency"],
        origin=COHORT["source"],
        seed=STUDY["seed"],
        subject="{subject}",
        scheme=COHORT.get("scheme"),
        voxel_size_mm=COHORT["voxel_size_mm"],
    script:
        "../../scripts/subvoxel_conductivity.py"


rule sample_efield:
    input:
        labels=anat("space-grid_dseg.nii.gz"),
        efield=result("{subject}/tms/{subject}_pos-coil_cond-{model}_efield.nii.gz"),
    output:
        tissues=result("{subject}/tms/{subject}_pos-coil_cond-{model}_tissues.tsv"),
        surface=result("{subject}/tms/{subject}_pos-coil_cond-{model}_greymatter.vtu"),
    log:
        result("logs/sample_efield/{subject}_{model}.log"),
    conda:
        "../../envs/report.yaml"
    params:
        source=source("sample_efield.py"),
        subject="{subject}",
        model="{model}",
    script:
        "../../scripts/sample_efield.py"


rule scan_positions:
    input:
        labels=anat("space-grid_dseg.nii.gz"),
        mni=anat("desc-mni_transform.json"),
        uniform=first_table("uniform"),
        estimated=first_table("condnet"),
    output:
        table=result("{subject}/tms/{subject}_desc-positions_efield.tsv"),
    log:
        result("logs/scan_positions/{subject}.log"),
    benchmark:
        result("benchmarks/scan_positions/{subject}.tsv")
    conda:
        "../../envs/mri.yaml"
    threads: 2
    resources:
        mem_mb=5000,
    params:
        source=source("scan_positions.py"),
        subject="{subject}",
        positions=POSITIONS,
        distance=STUDY["tms"]["distance"],
        coil=STUDY["tms"]["coil"],
        didt=STUDY["tms"]["didt"],
        tolerance=STUDY["tms"]["tolerance"],
        hand_knob=STUDY["tms"]["hand_knob"],
    script:
        "../../scripts/scan_positions.py"
