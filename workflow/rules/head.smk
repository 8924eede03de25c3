# Head models: six-tissue labels, tetrahedra with electrodes, and the affine operators.


if STUDY["head"]["source"] == "cohort":

    rule label_head:
        input:
            labels=anat("dseg.nii.gz"),
            mni=anat("desc-mni_transform.json"),
            facts=anat("head.json"),
        output:
            eit_labels=result("{subject}/head/{subject}_desc-eit6_dseg.nii.gz"),
            head_mni=result("{subject}/head/{subject}_mni.json"),
        log:
            result("logs/label_head/{subject}.log"),
        conda:
            "../../envs/fem.yaml"
        envmodules:
            *MODULES["fem"],
        params:
            source=source("head/label_head.py"),
        script:
            "../../scripts/head/label_head.py"


if STUDY["head"]["source"] == "colin27":

    rule import_colin27:
        input:
            segmentation=colin27("standard_seg.mat"),
            classes=colin27("brainweb_discrete.mat"),
            anatomy=colin27("standard_mri.mat"),
        output:
            eit_labels=result("{subject}/head/{subject}_desc-eit6_dseg.nii.gz"),
            head_mni=result("{subject}/head/{subject}_mni.json"),
        log:
            result("logs/import_colin27/{subject}.log"),
        wildcard_constraints:
            subject=alternatives(HEADS),
        conda:
            "../../envs/fem.yaml"
        envmodules:
            *MODULES["fem"],
        resources:
            mem_mb=growing(4000),
        params:
            source=source("head/import_colin27.py"),
        script:
            "../../scripts/head/import_colin27.py"


if STUDY["head"]["source"] == "file":

    rule import_mesh:
        input:
            given=given_mesh,
        output:
            head=result("{subject}/head/{subject}_head.h5"),
            mesh=result("{subject}/head/{subject}_mesh.vtu"),
            quality=result("{subject}/head/{subject}_desc-quality.json"),
        log:
            result("logs/import_mesh/{subject}.log"),
        conda:
            "../../envs/fem.yaml"
        envmodules:
            *MODULES["fem"],
        resources:
            mem_mb=growing(4000),
        params:
            source=source("head/import_mesh.py"),
            unit=STUDY["head"].get("unit"),
            tissues=STUDY["head"].get("tissues", {}),
            fiducials=STUDY["head"].get("fiducials"),
            electrodes=STUDY["head"]["electrodes"],
        script:
            "../../scripts/head/import_mesh.py"


if STUDY["head"]["source"] != "file":

    rule build_mesh:
        input:
            labels=result("{subject}/head/{subject}_desc-eit6_dseg.nii.gz"),
            mni=result("{subject}/head/{subject}_mni.json"),
        output:
            head=result("{subject}/head/{subject}_head.h5"),
            mesh=result("{subject}/head/{subject}_mesh.vtu"),
            quality=result("{subject}/head/{subject}_desc-quality.json"),
        log:
            result("logs/build_mesh/{subject}.log"),
        benchmark:
            result("benchmarks/build_mesh/{subject}.tsv")
        conda:
            "../../envs/fem.yaml"
        envmodules:
            *MODULES["fem"],
        resources:
            mem_mb=growing(4000),
        params:
            source=source("head/build_mesh.py"),
            method=STUDY["head"]["mesh"]["method"],
            size=STUDY["head"]["mesh"]["size"],
            cut=STUDY["head"].get("cut", []),
            spongy=STUDY["head"].get("spongy"),
            electrodes=STUDY["head"]["electrodes"],
        script:
            "../../scripts/head/build_mesh.py"


rule assemble_operators:
    input:
        head=result("{subject}/head/{subject}_head.h5"),
    output:
        operators=result("{subject}/head/{subject}_operators.h5"),
    log:
        result("logs/assemble_operators/{subject}.log"),
    benchmark:
        result("benchmarks/assemble_operators/{subject}.tsv")
    conda:
        "../../envs/fem.yaml"
    envmodules:
        *MODULES["fem"],
    resources:
        mem_mb=growing(4000),
    params:
        source=source("forward/assemble_operators.py"),
        anisotropic=STUDY["head"]["anisotropic"],
        radial=STUDY["head"]["radial"],
        relative_impedance=STUDY["head"]["electrodes"].get("relative_impedance", {}),
    script:
        "../../scripts/forward/assemble_operators.py"


rule solve_forward:
    input:
        head=result("{subject}/head/{subject}_head.h5"),
        operators=result("{subject}/head/{subject}_operators.h5"),
    output:
        potentials=result("{subject}/forward/{subject}_potentials.tsv"),
        residuals=result("{subject}/forward/{subject}_residuals.tsv"),
        solution=result("{subject}/forward/{subject}_solution.vtu"),
    log:
        result("logs/solve_forward/{subject}.log"),
    benchmark:
        result("benchmarks/solve_forward/{subject}.tsv")
    conda:
        "../../envs/fem.yaml"
    envmodules:
        *MODULES["fem"],
    resources:
        mem_mb=growing(8000),
    params:
        source=source("forward/solve_forward.py"),
        electrodes=STUDY["head"]["electrodes"],
        forward=STUDY["forward"],
        current=STUDY["inverse"]["current"],
    script:
        "../../scripts/forward/solve_forward.py"
