# Everything in Python that the rules share: the checked study, its lists, keys and paths.
import functools
import json
import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir, "src")))
from headcond.study import config as studies
from headcond.study import paths
from headcond.study.source_digests import source_digest
from headcond.checks import InputError

studies.use_this_environment()

try:
    STUDY = studies.check(config)
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


def keys(section, *names):
    """Those keys of a section ("rom", "head.electrodes") that a rule uses, for its `params`.

    A rule with the whole section would run again after a change of any of its keys.
    """
    entries = functools.reduce(dict.get, section.split("."), STUDY)
    return {name: entries[name] for name in names}


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
# Subjects whose slices no network has seen, next to a validation by slices of the training heads.
UNSEEN = COHORT["test"][:1] if STUDY["condnet"]["validation"] == "slice" else []
# Conductivity maps whose fields are compared with that of the uniform map.
MODELS = ["uniform", "blurred", "condnet"] + (["true"] if GENERATED else [])
# Fields: those of MODELS, of the sub-voxel reference, and of further conductivity tables.
FIELDS = [
    *MODELS,
    *(["subvoxel"] if STUDY["tms"]["subvoxel"] else []),
    *(f"{model}-{table}" for table in TABLES[1:] for model in ("uniform", "condnet")),
    *(f"uniform-{table}" for table in STUDY["tms"].get("further_tables", [])),
]
# What a network must share with the images that it is given; it travels in the checkpoint.
PREPARATION = {
    "method": STUDY["mri"]["normalisation"],
    "bias_shrink": STUDY["mri"]["bias_shrink"],
    "images": ["T1w", "T2w"],
}
POSITIONS = STUDY["tms"]["further_positions"]
# Placements that the study gives by a matrix, by subject.
MATRICES = STUDY["tms"].get("matrices", {})
# The grid of the fields may be finer than that of the networks.
REFINEMENT = paths.refinement(STUDY)
FINE = "space-field_" if REFINEMENT > 1 else ""
# Keys that several rules use.
SCALE = keys("condnet", "tables", "frequency", "tau")
COIL = STUDY["tms"]["coil"]
COIL = {"file": COIL["file"]} if "file" in COIL else COIL
HAND_KNOB = keys("tms.hand_knob", "centre_mni_mm", "radius_mm")
CAP = keys("head.electrodes", "cap", "diameter")
MESH = {
    **keys("head.mesh", "method", "size"),
    "cut": STUDY["head"].get("cut", []),
    "spongy": STUDY["head"].get("spongy"),
}
ELECTRODE_MODEL = {
    **keys("head", "anisotropic", "radial"),
    "relative_impedance": STUDY["head"]["electrodes"].get("relative_impedance", {}),
}
INJECTION = keys("head.electrodes", "sink", "contact_impedance")
SOLVER = keys("rom", "backend", "preconditioner")
BOX = keys("rom", "box", "contact", "fixed")
FIT = keys("inverse", "noise", "reference", "modes")
TRAINING = {
    **BOX,
    **SOLVER,
    **keys("rom", "pairs", "batch", "snapshots", "training_points", "tolerance"),
    **keys("rom", "reading_noise", "mode", "ranks_per_solve", "norm", "riesz"),
    **keys("rom", "cycles", "corrected"),
}


wildcard_constraints:
    subject="sub-[A-Za-z0-9]+",
    axis="sagittal|coronal|axial",
    contrast="T1w|T2w",
    table="A|B|cole-cole",
    space="(space-field_)?",
    model=r"(uniform|blurred|condnet|true|subvoxel)(-(A|B|cole-cole))?",
    batch=r"\d+",


def source(script):
    """Digest of a script and of all package files that it reaches through imports."""
    return source_digest(Path(workflow.basedir), script)


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


def network_memory():
    """Memory (MB) of a network's training: images and targets as float32, 1.5 GB of the rest."""
    heads, voxels = len(COHORT["train"]) + 1, math.prod(STUDY["mri"]["shape"])
    return 1500 + round(4e-6 * voxels * heads * (2 + len(TABLES)))


# Path patterns, one function per folder of results.


def result(name):
    """A result of the study."""
    return f"{OUT}/{name}"


def logs(name):
    """The log of a rule's job."""
    return result(f"logs/{name}.log")


def benchmarks(name):
    """Run time and peak memory of a rule's job."""
    return result(f"benchmarks/{name}.tsv")


def figure(name):
    """A figure of the report."""
    return result(f"figures/{name}.png")


def table(name):
    """A table of all subjects."""
    return result(f"tables/{name}.tsv")


def of_subject(folder):
    """Function that gives the path pattern of a subject's file in a folder."""
    return lambda name: result(f"{{subject}}/{folder}/{{subject}}_{name}")


anat, cond, tms, head, forward, rom, eit, measured = map(
    of_subject, ("anat", "cond", "tms", "head", "forward", "rom", "eit", "measured")
)


def scans(kind=""):
    """T1w and T2w of a subject, as the inputs or outputs `t1` and `t2` of a rule."""
    return {"t1": anat(f"{kind}T1w.nii.gz"), "t2": anat(f"{kind}T2w.nii.gz")}


def networks(name):
    """A file next to the trained networks: this study's, or those that it names."""
    folder = STUDY["condnet"].get("networks")
    root = absolute(folder) if folder else result("networks")
    return f"{root}/{name}"


def condmap(model, table=TABLES[0], space=""):
    """A conductivity map on the networks' grid, or on that of the fields."""
    return cond(f"{space}table-{table}_desc-{model}_condmap.nii.gz")


def every_table(model):
    """A conductivity map for each of the study's tables."""
    return [condmap(model, name) for name in TABLES]


def field(name):
    """A file of the field that the coil induces in a conductivity map."""
    return tms(f"pos-coil_cond-{{model}}_{name}")


def every_field(name="efield.nii.gz"):
    """A file of the field in every conductivity map."""
    return expand(field(name), model=FIELDS, allow_missing=True)


def field_labels():
    """Labels on the grid of the fields."""
    return anat(f"{FINE or 'space-grid_'}dseg.nii.gz")


def mni_warp():
    """The deformation to MNI space, if the study has one."""
    deformable = STUDY["tms"]["hand_knob"]["registration"] == "deformable"
    return anat("desc-mni_warp.nii.gz") if deformable else []


def normalised(subjects):
    """Normalised T1w and T2w of subjects, by contrast."""
    name = anat("space-grid_desc-normalised_{contrast}.nii.gz")
    return {each: expand(name, contrast=each, subject=subjects) for each in ("T1w", "T2w")}


def own_maps(subject):
    """Estimated maps of a subject in the T1w's own grid, one per table."""
    return expand(condmap("condnet", "{table}", "space-T1w_"), subject=subject, table=TABLES)


def generated_only(**files):
    """Files of generated heads alone, whose truth is known."""
    return files if GENERATED else {}


def alternatives(names):
    """Regular expression that matches exactly the given names (nothing, if there are none)."""
    return "|".join(names) if names else "(?!)"


def batches(name):
    """A file of every training batch of a head."""
    count = -(-paths.pair_count(STUDY["rom"]["pairs"]) // STUDY["rom"]["batch"])
    numbers = [f"{number:03d}" for number in range(count)]
    return expand(rom(f"batch-{{batch}}_{name}"), batch=numbers, allow_missing=True)


def kept_bases():
    """The output of training that holds the bases, where anything needs them."""
    needed = STUDY["rom"]["corrected"] or STUDY["rom"]["experiment"]["norms"]
    return {"bases": temp(directory(rom("batch-{batch}_bases")))} if needed else {}


def uncorrected_model():
    """The reduced model as merging leaves it: the final one, unless it is to be corrected."""
    return temp(rom("desc-uncorrected_rom.h5")) if STUDY["rom"]["corrected"] else rom("rom.h5")


# Files that the study names.


def absolute(path):
    """Absolute path of an input that a study names."""
    return str(Path(path).resolve())


def colin27(name):
    """A file of the Colin27 head."""
    return f"{absolute(STUDY['head']['folder'])}/{name}"


def label_map(wildcards):
    """The label map that a study on label maps names for a subject."""
    return str(paths.label_file(STUDY, wildcards.subject).resolve())


def finer_labels(wildcards):
    """The label map from which labels finer than the study's voxels can be made."""
    if COHORT["source"] == "labels":
        return label_map(wildcards)
    return [] if GENERATED else anat("dseg.nii.gz").format(**wildcards)


def bids_files(wildcards):
    """Scans and label map of a subject in a BIDS-like folder."""
    files = paths.bids_files(STUDY, wildcards.subject)
    return {key: absolute(path) for key, path in files.items()}


def mni_template(wildcards):
    """The template that the study names, if it names one."""
    template = STUDY["mri"].get("template")
    return absolute(template) if template else []


def named_scan(contrast):
    """Input function: the scan that the study names for a person without labels."""
    return lambda wildcards: absolute(COHORT["scans"][wildcards.subject][contrast])


def measured_file(wildcards):
    """The measured voltages that the study names for a head, if it names any."""
    name = STUDY["inverse"]["measured"]
    name = name[wildcards.subject] if isinstance(name, dict) else name
    return absolute(name) if name else []


# Inputs and params that depend on the subject or the map.


def map_labels(wildcards):
    """Labels on the grid of a conductivity map."""
    return anat(f"{wildcards.space or 'space-grid_'}dseg.nii.gz").format(**wildcards)


def field_map(wildcards):
    """Conductivity map behind a field: a model of the first table, or model-table."""
    model, _, table = wildcards.model.partition("-")
    return condmap(model, table or TABLES[0], FINE).format(**wildcards)


def known_models(wildcards):
    """Kinds of conductivity maps of a subject: without labels the estimated one alone."""
    return ["condnet"] if wildcards.subject in SCANS else MODELS


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
