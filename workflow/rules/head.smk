# Head models: six-tissue labels, tetrahedra with electrodes.


if STUDY["head"]["source"] == "cohort":

    rule label_head:
        input:
            labels=anat("dseg.nii.gz"),
            mni=anat("desc-mni_transform.json"),
            facts=anat("head.json"),
        output:
            eit_labels=head("desc-eit6_dseg.nii.gz"),
            head_mni=head("mni.json"),
        log:
            logs("label_head/{subject}"),
        conda:
            "../../envs/fem.yaml"
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
            eit_labels=head("desc-eit6_dseg.nii.gz"),
            head_mni=head("mni.json"),
        log:
            logs("import_colin27/{subject}"),
        wildcard_constraints:
            subject=alternatives(HEADS),
        conda:
            "../../envs/fem.yaml"
        resources:
            mem_mb=growing(4000),
        params:
            source=source("head/import_colin27.py"),
        script:
            "../../scripts/head/import_colin27.py"


if STUDY["head"]["source"] == "file":

    rule import_mesh:
        input:
            given=lambda wildcards: absolute(STUDY["head"]["files"][wildcards.subject]),
        output:
            head=head("head.h5"),
            mesh=head("mesh.vtu"),
            quality=head("desc-quality.json"),
        log:
            logs("import_mesh/{subject}"),
        conda:
            "../../envs/fem.yaml"
        resources:
            mem_mb=growing(4000),
        params:
            **CAP,
            source=source("head/import_mesh.py"),
            unit=STUDY["head"].get("unit"),
            tissues=STUDY["head"].get("tissues", {}),
            fiducials=STUDY["head"].get("fiducials"),
        script:
            "../../scripts/head/import_mesh.py"

else:

    rule build_mesh:
        input:
            labels=head("desc-eit6_dseg.nii.gz"),
            mni=head("mni.json"),
        output:
            head=head("head.h5"),
            mesh=head("mesh.vtu"),
            quality=head("desc-quality.json"),
        log:
            logs("build_mesh/{subject}"),
        benchmark:
            benchmarks("build_mesh/{subject}")
        conda:
            "../../envs/fem.yaml"
        resources:
            mem_mb=growing(4000),
        params:
            **MESH,
            **CAP,
            source=source("head/build_mesh.py"),
        script:
            "../../scripts/head/build_mesh.py"


rule draw_head:
    input:
        head=head("head.h5"),
    output:
        mesh=figure("{subject}_mesh"),
        electrodes=figure("{subject}_electrodes"),
    log:
        logs("draw_head/{subject}"),
    conda:
        "../../envs/report.yaml"
    params:
        source=source("head/draw_head.py"),
        note=head_note,
    script:
        "../../scripts/head/draw_head.py"
