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
        conductivity=result(
            f"{{subject}}/cond/{{subject}}_table-{TABLES[0]}_desc-{{model}}_condmap.nii.gz"
        ),
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
            model=MODELS,
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
        models=MODELS,
        position=STUDY["tms"]["position"],
        hand_knob=STUDY["tms"]["hand_knob"],
    script:
        "../../scripts/compare_efield.py"
