# Everything in Python that the rules share: the checked study, its lists, and source digests.
import ast
import functools
import hashlib
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir, "src")))
from headcond import study as studies
from headcond.checks import InputError

studies.use_this_environment()

try:
    STUDY = studies.check(config)
except InputError as error:
    raise WorkflowError(f"Study refused. {error}") from None


# Not for a plan, and not again in every job.
onstart:
    from headcond import preflight

    try:
        preflight.check_output(STUDY)
        preflight.check_files(STUDY)
    except InputError as error:
        raise WorkflowError(f"Study refused. {error}") from None


OUT = str(studies.folder(STUDY))
COHORT = STUDY["cohort"]
WINGS = STUDY["wings"]
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
POSITIONS = STUDY["tms"]["further_positions"]


wildcard_constraints:
    subject="sub-[A-Za-z0-9]+",
    axis="sagittal|coronal|axial",
    contrast="T1w|T2w",
    table="A|B|cole-cole",
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
            for folder in (root, Path(workflow.basedir, "scripts")):
                stem = folder.joinpath(*name.split("."))
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


def growing(mebibytes):
    """Memory that grows with every attempt of a job."""
    return lambda wildcards, attempt: mebibytes * attempt


def result(name):
    """Path (pattern) of a result of the study."""
    return f"{OUT}/{name}"


def anat(name):
    """Path pattern of an anatomical file of a subject."""
    return result(f"{{subject}}/anat/{{subject}}_{name}")


def expand_path(key, path):
    """Absolute path of an input that a study names under `key`."""
    return str(studies.expand(key, path).resolve())


def colin27(name):
    """A file of the Colin27 head."""
    return f"{expand_path('head.folder', STUDY['head']['folder'])}/{name}"


def label_map(wildcards):
    """The label map that a study on label maps names for a subject."""
    return str(studies.label_file(STUDY, wildcards.subject).resolve())


def bids_files(wildcards):
    """Scans and label map of a subject in a BIDS-like folder."""
    found = studies.bids_files(STUDY, wildcards.subject)
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
    pairs = STUDY["rom"]["pairs"]
    count = pairs if isinstance(pairs, int) else len(pairs)
    return [f"{number:03d}" for number in range(-(-count // STUDY["rom"]["batch"]))]


def kept_bases():
    """The output of training that holds the bases, where the cross blocks need them."""
    name = result("{subject}/rom/{subject}_batch-{batch}_bases")
    return {"bases": temp(directory(name))} if STUDY["rom"]["corrected"] else {}


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


def normalised(subjects):
    """Normalised T1w and T2w of subjects, by contrast."""
    return {
        contrast: expand(
            anat(f"space-grid_desc-normalised_{contrast}.nii.gz"), subject=subjects
        )
        for contrast in ("T1w", "T2w")
    }


def figures():
    """Figures of the study, by the name under which the report shows them."""
    found = {}
    if "tms" in WINGS:
        found["losses"] = result("figures/losses.png")
        for subject in SHOWN:
            found[f"anatomy_{subject}"] = f"{OUT}/figures/{subject}_anatomy.png"
            found[f"conductivity_{subject}"] = (
                f"{OUT}/figures/{subject}_conductivity.png"
            )
        for subject in COHORT["test"]:
            found[f"profile_{subject}"] = f"{OUT}/figures/{subject}_profile.png"
            found[f"coil_{subject}"] = f"{OUT}/figures/{subject}_coil.png"
            found[f"efield_{subject}"] = f"{OUT}/figures/{subject}_efield.png"
            found[f"difference_{subject}"] = f"{OUT}/figures/{subject}_difference.png"
        found["sagittal"] = result("figures/sagittal.png")
    if "eit" in WINGS:
        for subject in HEADS:
            names = ["mesh", "electrodes", "greedy", "bound", "estimates"]
            if STUDY["rom"]["experiment"]["norms"]:
                names += ["convergence", "measures", "stopping"]
            for name in names:
                found[f"{name}_{subject}"] = f"{OUT}/figures/{subject}_{name}.png"
    if "forward" in WINGS:
        for subject in HEADS:
            for name in ("mesh", "electrodes", "potential", "thickness"):
                found[f"{name}_{subject}"] = f"{OUT}/figures/{subject}_{name}.png"
    return found


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
    return picture_note(wildcards)


def tables():
    """Tables and records that the report reads, by kind."""
    found = {}
    if "tms" in WINGS:
        found["alignments"] = expand(anat("desc-alignment.json"), subject=SHOWN)
        found["facts"] = expand(anat("head.json"), subject=LABELLED)
        found["networks"] = expand(
            result("networks/axis-{axis}_history.tsv"), axis=AXES
        )
        found["map_errors"] = expand(
            result("{subject}/cond/{subject}_errors.tsv"), subject=COHORT["test"]
        )
        for kind in ("globalerror", "peaks"):
            found[kind] = expand(
                result(f"{{subject}}/tms/{{subject}}_pos-coil_{kind}.tsv"),
                subject=COHORT["test"],
            )
        for kind, name in (
            ("efields", "efield.nii.gz"),
            ("tissue_fields", "tissues.tsv"),
        ):
            found[kind] = expand(
                result(f"{{subject}}/tms/{{subject}}_pos-coil_cond-{{model}}_{name}"),
                subject=COHORT["test"],
                model=FIELDS,
            )
        if POSITIONS:
            found["positions"] = expand(
                result("{subject}/tms/{subject}_desc-positions_efield.tsv"),
                subject=COHORT["test"],
            )
    if "eit" in WINGS or "forward" in WINGS:
        found["qualities"] = expand(
            result("{subject}/head/{subject}_desc-quality.json"), subject=HEADS
        )
    if "forward" in WINGS:
        found["residuals"] = expand(
            result("{subject}/forward/{subject}_residuals.tsv"), subject=HEADS
        )
    if "eit" in WINGS:
        found["validations"] = expand(
            result("{subject}/rom/{subject}_validation.tsv"), subject=HEADS
        )
        found["relative_errors"] = expand(
            result("{subject}/eit/{subject}_relativeerror.tsv"), subject=HEADS
        )
    return found


def first_table(name):
    """Path pattern of a map of the study's first conductivity table."""
    return result(
        f"{{subject}}/cond/{{subject}}_table-{TABLES[0]}_desc-{name}_condmap.nii.gz"
    )


def field_map(wildcards):
    """Conductivity map behind a field: a model of the first table, or model-table."""
    model, _, table = wildcards.model.partition("-")
    subject, table = wildcards.subject, table or TABLES[0]
    return result(f"{subject}/cond/{subject}_table-{table}_desc-{model}_condmap.nii.gz")
