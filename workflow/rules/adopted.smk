# A head and its reduced model that another study has trained, for experiments that can share them.
ADOPTED = (
    "head/{subject}_head.h5",
    "head/{subject}_mesh.vtu",
    "head/{subject}_desc-quality.json",
    "head/{subject}_operators.h5",
    "rom/{subject}_rom.h5",
    "rom/{subject}_greedy.tsv",
    "rom/{subject}_validation.tsv",
)

if "trained" in STUDY["rom"]:

    ruleorder: adopt_model > assemble_operators
    ruleorder: adopt_model > merge_basis
    ruleorder: adopt_model > validate_rom

    if STUDY["head"]["source"] == "file":

        ruleorder: adopt_model > import_mesh

    else:

        ruleorder: adopt_model > build_mesh

    if STUDY["rom"]["corrected"]:

        ruleorder: adopt_model > form_cross

    rule adopt_model:
        input:
            given=[trained(name) for name in ADOPTED],
        output:
            adopted=[result(f"{{subject}}/{name}") for name in ADOPTED],
        log:
            result("logs/adopt_model/{subject}.log"),
        conda:
            "../../envs/fem.yaml"
        envmodules:
            *MODULES["fem"],
        params:
            source=source("rom/adopt_model.py"),
            folder=STUDY["rom"]["trained"],
            geometry={
                **STUDY["head"]["mesh"],
                "cut": STUDY["head"].get("cut", []),
                "spongy": STUDY["head"].get("spongy"),
                "anisotropic": STUDY["head"]["anisotropic"],
                "radial": STUDY["head"]["radial"],
            },
            electrodes=STUDY["head"]["electrodes"],
            settings=STUDY["rom"],
            current=STUDY["inverse"]["current"],
        script:
            "../../scripts/rom/adopt_model.py"
