# Figures, and the one self-contained page in which a study ends.


rule draw_losses:
    input:
        histories=expand(networks("axis-{axis}_history.tsv"), axis=AXES),
    output:
        losses=report(
            result("figures/losses.png"),
            category="CondNet",
            caption="../report/losses.rst",
        ),
    log:
        result("logs/draw_losses.log"),
    conda:
        "../../envs/report.yaml"
    envmodules:
        *MODULES["report"],
    params:
        source=source("condnet/draw_losses.py"),
        note=study_note(),
        axes=AXES,
    script:
        "../../scripts/condnet/draw_losses.py"


rule draw_anatomy:
    input:
        t1=anat("space-grid_desc-biascorrected_T1w.nii.gz"),
        t2=anat("space-grid_desc-biascorrected_T2w.nii.gz"),
        labels=lambda wildcards: (
            anat("space-grid_dseg.nii.gz") if wildcards.subject in LABELLED else []
        ),
    output:
        anatomy=report(
            result("figures/{subject}_anatomy.png"),
            category="Cohort",
            caption="../report/anatomy.rst",
        ),
    log:
        result("logs/draw_anatomy/{subject}.log"),
    conda:
        "../../envs/report.yaml"
    envmodules:
        *MODULES["report"],
    params:
        source=source("mri/draw_anatomy.py"),
        note=picture_note,
    script:
        "../../scripts/mri/draw_anatomy.py"


rule draw_efield:
    input:
        labels=field_labels(),
        mni=anat("desc-mni_transform.json"),
        warp=mni_warp(),
        placement=result("{subject}/tms/{subject}_desc-coil_placement.json"),
        efields=expand(
            result("{{subject}}/tms/{{subject}}_pos-coil_cond-{model}_efield.nii.gz"),
            model=FIELDS,
        ),
    output:
        coil_figure=report(
            result("figures/{subject}_coil.png"),
            category="TMS",
            caption="../report/coil.rst",
        ),
        efield=report(
            result("figures/{subject}_efield.png"),
            category="TMS",
            caption="../report/efield.rst",
        ),
    log:
        result("logs/draw_efield/{subject}.log"),
    conda:
        "../../envs/report.yaml"
    envmodules:
        *MODULES["report"],
    params:
        source=source("tms/draw_efield.py"),
        note=picture_note,
        models=FIELDS,
        coil=STUDY["tms"]["coil"],
        hand_knob=STUDY["tms"]["hand_knob"],
    script:
        "../../scripts/tms/draw_efield.py"


rule draw_differences:
    input:
        labels=field_labels(),
        mni=anat("desc-mni_transform.json"),
        warp=mni_warp(),
        efields=expand(
            result("{{subject}}/tms/{{subject}}_pos-coil_cond-{model}_efield.nii.gz"),
            model=FIELDS,
        ),
    output:
        difference=report(
            result("figures/{subject}_difference.png"),
            category="TMS",
            caption="../report/difference.rst",
        ),
    log:
        result("logs/draw_differences/{subject}.log"),
    conda:
        "../../envs/report.yaml"
    envmodules:
        *MODULES["report"],
    params:
        source=source("tms/draw_differences.py"),
        note=picture_note,
        models=FIELDS,
        hand_knob=STUDY["tms"]["hand_knob"],
    script:
        "../../scripts/tms/draw_differences.py"


rule draw_sagittal:
    input:
        labels=expand(field_labels(), subject=COHORT["test"]),
        mni=expand(anat("desc-mni_transform.json"), subject=COHORT["test"]),
        warp=expand(mni_warp(), subject=COHORT["test"]),
        efields=expand(
            result("{subject}/tms/{subject}_pos-coil_cond-{model}_efield.nii.gz"),
            subject=COHORT["test"],
            model=FIELDS,
        ),
    output:
        sagittal=report(
            result("figures/sagittal.png"),
            category="TMS",
            caption="../report/sagittal.rst",
        ),
    log:
        result("logs/draw_sagittal.log"),
    conda:
        "../../envs/report.yaml"
    envmodules:
        *MODULES["report"],
    params:
        source=source("tms/draw_sagittal.py"),
        note=study_note(),
        subjects=COHORT["test"],
        models=FIELDS,
        hand_knob=STUDY["tms"]["hand_knob"],
    script:
        "../../scripts/tms/draw_sagittal.py"


rule draw_head:
    input:
        head=result("{subject}/head/{subject}_head.h5"),
    output:
        mesh=report(
            result("figures/{subject}_mesh.png"),
            category="Head model",
            caption="../report/mesh.rst",
        ),
        electrodes=report(
            result("figures/{subject}_electrodes.png"),
            category="Head model",
            caption="../report/electrodes.rst",
        ),
    log:
        result("logs/draw_head/{subject}.log"),
    conda:
        "../../envs/report.yaml"
    envmodules:
        *MODULES["report"],
    params:
        source=source("head/draw_head.py"),
        note=head_note,
    script:
        "../../scripts/head/draw_head.py"


rule draw_forward:
    input:
        head=result("{subject}/head/{subject}_head.h5"),
        solution=result("{subject}/forward/{subject}_solution.vtu"),
    output:
        potential=report(
            result("figures/{subject}_potential.png"),
            category="Head model",
            caption="../report/potential.rst",
        ),
        thickness=report(
            result("figures/{subject}_thickness.png"),
            category="Head model",
            caption="../report/thickness.rst",
        ),
    log:
        result("logs/draw_forward/{subject}.log"),
    conda:
        "../../envs/report.yaml"
    envmodules:
        *MODULES["report"],
    resources:
        mem_mb=growing(6000),
    params:
        source=source("forward/draw_forward.py"),
        note=head_note,
    script:
        "../../scripts/forward/draw_forward.py"


rule draw_rom:
    input:
        greedy=result("{subject}/rom/{subject}_greedy.tsv"),
        validation=result("{subject}/rom/{subject}_validation.tsv"),
    output:
        greedy_figure=report(
            result("figures/{subject}_greedy.png"),
            category="Reduced model",
            caption="../report/greedy.rst",
        ),
        bound=report(
            result("figures/{subject}_bound.png"),
            category="Reduced model",
            caption="../report/bound.rst",
        ),
    log:
        result("logs/draw_rom/{subject}.log"),
    conda:
        "../../envs/report.yaml"
    envmodules:
        *MODULES["report"],
    params:
        source=source("rom/draw_rom.py"),
        note=head_note,
    script:
        "../../scripts/rom/draw_rom.py"


rule draw_estimates:
    input:
        errors=result("{subject}/eit/{subject}_relativeerror.tsv"),
    output:
        estimates=report(
            result("figures/{subject}_estimates.png"),
            category="Conductivity",
            caption="../report/estimates.rst",
        ),
    log:
        result("logs/draw_estimates/{subject}.log"),
    conda:
        "../../envs/report.yaml"
    envmodules:
        *MODULES["report"],
    params:
        source=source("inverse/draw_estimates.py"),
        note=head_note,
        modes=STUDY["inverse"]["modes"],
    script:
        "../../scripts/inverse/draw_estimates.py"


rule report_study:
    input:
        **tables(),
        figures=list(figures().values()),
        template="workflow/report/study.html",
    output:
        report=result("report.html"),
    log:
        result("logs/report_study.log"),
    conda:
        "../../envs/report.yaml"
    envmodules:
        *MODULES["report"],
    params:
        source=source("report/report_study.py"),
        study=config,
        figure_names=list(figures()),
        benchmarks=result("benchmarks"),
    script:
        "../../scripts/report/report_study.py"
