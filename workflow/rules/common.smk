# Everything in Python that the rules share: the checked study, its lists, and source digests.
import ast
import functools
import hashlib
import json
import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir, "src")))
from headcond.study import config as studies
from headcond.study import paths
from headcond.checks import InputError

studies.use_this_environment()

try:
    STUDY = studies.check(config)
    MODULES = studies.modules()
except InputError as error:
    raise WorkflowError(f"Study refused. {error}") from None


# Not for a plan, and not again in every job.
onstart:
    from headcond.study import preflight

    try:
        preflight.check_output(STUDY)
        preflight.check_files(STUDY)
    except InputError as error:
        raise WorkflowError(f"Study refused. {error}") from None
    if (crowd := preflight.crowd(STUDY)) and workflow.non_local_exec:
        raise WorkflowError(f"Study refused. {crowd}") from None
    for warning in (preflight.shortage(STUDY), crowd):
        if warning:
            logger.warning(warning)


OUT = str(paths.folder(STUDY))
COHORT = STUDY["cohort"]
PIPELINES = STUDY["pipelines"]
LABELLED = [*COHORT["train"], *COHORT["test"]]
SCANS = list(COHORT["scans"])
AXES = STUDY["condnet"]["axes"]
TABLES = STUDY["condnet"]["tables"]
HEADS = STUDY["head"]["subjects"]
SHOWN = [*COHORT["test"], *SCANS]
GENERATED = COHORT["source"] == "phantom"
# Conductivity maps whose fields are compared with that of the uniform map.
MODELS = ["uniform", "blurred", "condnet"] + (["true"] if GENERATED else [])
# Fields: those of MODELS, of the sub-voxel reference, and of further conductivity tables.
FIELDS = (
    MODELS
    + (["subvoxel"] if STUDY["tms"]["subvoxel"] else [])
    + [f"{model}-{table}" for table in TABLES[1:] for model in ("uniform", "condnet")]
)
# What a network must share with the images that it is given; it travels in the checkpoint.
PREPARATION = {
    "method": STUDY["mri"]["normalisation"],
    "bias_shrink": STUDY["mri"]["bias_shrink"],
    "images": ["T1w", "T2w"],
}
FIELDS += [f"uniform-{table}" for table in STUDY["tms"].get("further_tables", [])]
POSITIONS = STUDY["tms"]["further_positions"]
# Fields may stand on voxels finer than those of the networks.
REFINEMENT = paths.refinement(STUDY)
FINE = "space-field_" if REFINEMENT > 1 else ""


wildcard_constraints:
    subject="sub-[A-Za-z0-9]+",
    axis="sagittal|coronal|axial",
    contrast="T1w|T2w",
    table="A|B|cole-cole",
    space="(space-field_)?",
    model=r"(uniform|blurred|condnet|true|subvoxel)(-(A|B|cole-cole))?",
    batch=r"\d+",


@functools.cache
def _imports(path):
    """Files of the package that the Python file `path` imports, as a frozenset."""
    root = Path(workflow.basedir) / "src"
    found = set()
    for node in ast.walk(ast.parse(Path(path).read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [
                node.module,
                *(f"{node.module}.{alias.name}" for alias in node.names),
            ]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            stem = root.joinpath(*name.split("."))
            files = (stem.with_suffix(".py"), stem / "__init__.py")
            found |= {file for file in files if file.exists()}
    return frozenset(found)


@functools.cache
def source(script):
    """Digest of a script and of all package files that it reaches through imports.

    Snakemake sees an edit of the script itself, but not of what it imports.
    """
    waiting, seen = [Path(workflow.basedir) / "scripts" / script], set()
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen.add(path)
            waiting.extend(_imports(path))
    digest = hashlib.sha256()
    for path in sorted(seen):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def growing(amount):
    """Memory (MB) or time (minutes) that grows with every attempt of a job."""
    return lambda wildcards, attempt: amount * attempt


def training_memory(wildcards, input, attempt):
    """Memory (MB) of a batch of pairs: its bases and their images, by the operators' size.

    A megabyte of operators stands for 4500 nodes, a vector of which takes 8 bytes, eight times
    for the parameters. Measured: 4.3 GB of 102 thousand nodes, 11 pairs and 40 snapshots.
    """
    vectors = STUDY["rom"]["batch"] * STUDY["rom"]["snapshots"]
    return attempt * max(4000, round(1500 + 0.3 * vectors * input.size_mb))


def result(name):
    """Path (pattern) of a result of the study."""
    return f"{OUT}/{name}"


def anat(name):
    """Path pattern of an anatomical file of a subject."""
    return result(f"{{subject}}/anat/{{subject}}_{name}")


def expand_path(key, path):
    """Absolute path of an input that a study names under `key`."""
    return str(Path(path).resolve())


def colin27(name):
    """A file of the Colin27 head."""
    return f"{expand_path('head.folder', STUDY['head']['folder'])}/{name}"


def given_mesh(wildcards):
    """The mesh file that the study names for a head."""
    key = f"head.files.{wildcards.subject}"
    return expand_path(key, STUDY["head"]["files"][wildcards.subject])


def label_map(wildcards):
    """The label map that a study on label maps names for a subject."""
    return str(paths.label_file(STUDY, wildcards.subject).resolve())


def bids_files(wildcards):
    """Scans and label map of a subject in a BIDS-like folder."""
    found = paths.bids_files(STUDY, wildcards.subject)
    return {key: str(path.resolve()) for key, path in found.items()}


def mni_template(wildcards):
    """The template that the study names, if it names one."""
    template = STUDY["mri"].get("template")
    return expand_path("mri.template", template) if template else []


def scan(contrast):
    """Input function: the scan that the study names for a person without labels."""

    def find(wildcards):
        key = f"cohort.scans.{wildcards.subject}.{contrast}"
        return expand_path(key, COHORT["scans"][wildcards.subject][contrast])

    return find


def alternatives(names):
    """Regular expression that matches exactly the given names (nothing, if there are none)."""
    return "|".join(names) if names else "(?!)"


def batches(subject):
    """Numbers of the training batches of a head, as text."""
    count = paths.pair_count(STUDY["rom"]["pairs"])
    return [f"{number:03d}" for number in range(-(-count // STUDY["rom"]["batch"]))]


def kept_bases():
    """The output of training that holds the bases, where anything needs them."""
    name = result("{subject}/rom/{subject}_batch-{batch}_bases")
    needed = STUDY["rom"]["corrected"] or STUDY["rom"]["experiment"]["norms"]
    return {"bases": temp(directory(name))} if needed else {}


def uncorrected_model():
    """The reduced model as merging leaves it: the final one, unless it is to be corrected."""
    if STUDY["rom"]["corrected"]:
        return temp(result("{subject}/rom/{subject}_desc-uncorrected_rom.h5"))
    return result("{subject}/rom/{subject}_rom.h5")


def convergence(kind):
    """Input function: tables of one kind of all batches of Experiment 1."""

    def find(wildcards):
        return expand(
            result(f"{{subject}}/rom/{{subject}}_batch-{{batch}}_{kind}.tsv"),
            subject=wildcards.subject,
            batch=batches(wildcards.subject),
        )

    return find


def disturbed_geometry():
    """What a head that differs in one thing shares with the study's."""
    head, electrodes = STUDY["head"], STUDY["head"]["electrodes"]
    return {
        "mesh": head["mesh"],
        "spongy": head.get("spongy"),
        "diameter": electrodes["diameter"],
        "anisotropic": head["anisotropic"],
        "radial": head["radial"],
        "relative_impedance": electrodes.get("relative_impedance", {}),
    }


def trained(name):
    """Path pattern of a file in the study that `rom.trained` names."""
    root = expand_path("rom.trained", STUDY["rom"]["trained"])
    return f"{root}/{{subject}}/{name}"


def measured_file(wildcards):
    """The measured voltages that the study names for a head, if it names any."""
    name = STUDY["inverse"]["measured"]
    name = name[wildcards.subject] if isinstance(name, dict) else name
    return expand_path("inverse.measured", name) if name else []


def normalised(subjects):
    """Normalised T1w and T2w of subjects, by contrast."""
    return {
        contrast: expand(
            anat(f"space-grid_desc-normalised_{contrast}.nii.gz"), subject=subjects
        )
        for contrast in ("T1w", "T2w")
    }


def networks(name):
    """Path pattern of a file beside the trained networks: this study's, or those it names."""
    folder = STUDY["condnet"].get("networks")
    root = expand_path("condnet.networks", folder) if folder else result("networks")
    return f"{root}/{name}"


def own_maps(subject):
    """Estimated maps of a subject in the T1w's own grid, one per table."""
    name = f"{subject}/cond/{subject}_space-T1w_table-{{table}}_desc-condnet_condmap.nii.gz"
    return expand(result(name), table=TABLES)


def study_note():
    """What a figure of the whole cohort has to say of its images."""
    return {
        "phantom": "generated heads, simulated images",
        "labels": "real label maps, simulated T1w and T2w",
        "bids": "",
    }[COHORT["source"]]


def picture_note(wildcards):
    """What a figure of a subject has to say of its images."""
    return "" if wildcards.subject in SCANS else study_note()


def head_note(wildcards):
    """What a figure of a head model has to say of its origin."""
    if STUDY["head"]["source"] == "colin27":
        return "Colin27 atlas head"
    if STUDY["head"]["source"] == "file":
        return "mesh from a file"
    return picture_note(wildcards)


def field_labels(subject="{subject}"):
    """Path (pattern) of the labels on the grid of the fields."""
    space = FINE or "space-grid_"
    return result(f"{subject}/anat/{subject}_{space}dseg.nii.gz")


def finer_labels(wildcards):
    """The label map from which labels finer than the study's voxels can be made."""
    if COHORT["source"] == "labels":
        return label_map(wildcards)
    return [] if GENERATED else str(anat("dseg.nii.gz")).format(**wildcards)


def mni_warp():
    """Path pattern of the deformation to MNI space, if the study asks for one."""
    deformable = STUDY["tms"]["hand_knob"]["registration"] == "deformable"
    return anat("desc-mni_warp.nii.gz") if deformable else []


def given_matrix(wildcards):
    """The placement that the study gives for a subject by a matrix, if it gives one."""
    return STUDY["tms"].get("matrices", {}).get(wildcards.subject, [])


def fine_truth():
    """The truth of a generated head on the fields' own grid, as an output."""
    return {"truth": first_table("true", FINE)} if GENERATED else {}


def map_labels(wildcards):
    """Labels on the grid of a conductivity map."""
    return anat(f"{wildcards.space or 'space-grid_'}dseg.nii.gz").format(**wildcards)


def first_table(name, space=""):
    """Path pattern of a map of the study's first conductivity table."""
    return result(
        f"{{subject}}/cond/{{subject}}_{space}table-{TABLES[0]}_desc-{name}_condmap.nii.gz"
    )


def field_map(wildcards):
    """Conductivity map behind a field: a model of the first table, or model-table."""
    model, _, table = wildcards.model.partition("-")
    subject, table = wildcards.subject, table or TABLES[0]
    return result(
        f"{subject}/cond/{subject}_{FINE}table-{table}_desc-{model}_condmap.nii.gz"
    )


def every_table(name):
    """Path patterns of a map of each of the study's conductivity tables."""
    return [
        result(f"{{subject}}/cond/{{subject}}_table-{table}_desc-{name}_condmap.nii.gz")
        for table in TABLES
    ]


def known_maps(wildcards):
    """Maps that there are of a subject: without labels the estimated one alone."""
    return ["condnet"] if wildcards.subject in SCANS else MODELS


def generated_only(**files):
    """Files that there are of generated heads alone, whose truth is known."""
    return files if GENERATED else {}
