"""Checks of a study's keys against each other and against the files: what no schema can say.

`CHECKS` lists them by the pipelines that they concern. Each raises `InputError` with a message
that starts with the key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from headcond.caps import CAPS, cap_positions, injection_pairs, template_positions
from headcond.checks import InputError, check_option
from headcond.study.paths import bids_files, existing, label_file, pair_count, refinement

COLIN27_FILES = ("standard_seg.mat", "brainweb_discrete.mat", "standard_mri.mat")
TABLE_FREQUENCY = 10e3  # Hz, of the paper's tables A and B
# Keys of `cohort` that a source needs.
SOURCE_KEYS = {"labels": ("folder", "pattern", "scheme"), "bids": ("folder", "scheme")}

Study = Mapping[str, Any]


def check_choices(study: Study) -> None:
    """Run every check of `CHECKS` that concerns one of the study's pipelines, in their order.

    Raises
    ------
    InputError
        For the first key whose value does not fit the others, or whose file is missing.
    """
    for pipelines, checks in CHECKS:
        for check in checks if pipelines & set(study["pipelines"]) else ():
            check(study)


def _distinct_subjects(study: Study) -> None:
    train, test = (set(study["cohort"][key]) for key in ("train", "test"))
    for subject in sorted(train & test):
        raise InputError(f"cohort.test: {subject} is in cohort.train too; test heads are unseen.")
    for subject in study["cohort"]["scans"]:
        if subject in train | test:
            raise InputError(f"cohort.scans.{subject}: is in cohort.train or cohort.test too.")


def _images(study: Study) -> None:
    cohort, source = study["cohort"], study["cohort"]["source"]
    if "template" in study["mri"]:
        existing("mri.template", study["mri"]["template"])
    for subject, scans in cohort["scans"].items():
        for contrast in ("t1", "t2"):
            existing(f"cohort.scans.{subject}.{contrast}", scans[contrast])
    for key in SOURCE_KEYS.get(source, ()):
        if key not in cohort:
            raise InputError(f"cohort.{key}: needed with cohort.source: {source}.")
    if source != "phantom":
        existing("cohort.folder", cohort["folder"], "folder")
    for subject in sorted({*cohort["train"], *cohort["test"]}):
        if source == "labels":
            existing(f"cohort.pattern (for {subject})", label_file(study, subject))
        if source == "bids":
            try:
                bids_files(study, subject)
            except InputError as error:
                raise InputError(f"cohort.folder (for {subject}): {error}") from None


def _generated_voxels(study: Study) -> None:
    cohort = study["cohort"]
    generated = cohort["source"] == "phantom" and (cohort["train"] or cohort["test"])
    if generated and cohort["voxel_size_mm"] > 2.5:
        raise InputError(
            "cohort.voxel_size_mm: generated heads need 2.5 or less, or skin and skull tear."
        )


def _trained_networks(study: Study) -> None:
    if "networks" not in study["condnet"]:
        return
    folder = existing("condnet.networks", study["condnet"]["networks"], "folder")
    kinds = ("network.ckpt", "history.tsv") if "tms" in study["pipelines"] else ("network.ckpt",)
    names = [f"axis-{axis}_{kind}" for axis in study["condnet"]["axes"] for kind in kinds]
    for name in [*names, "domain.json"]:
        if not (folder / name).is_file():
            raise InputError(
                f"condnet.networks: {folder / name} does not exist. Name the folder `networks` in "
                "the results of a study that has run to its end."
            )


def _people_to_predict(study: Study) -> None:
    if "networks" not in study["condnet"]:
        raise InputError("condnet.networks: the pipeline predict needs trained networks.")
    if not study["cohort"]["scans"]:
        raise InputError("cohort.scans: the pipeline predict needs at least one person.")


def _training(study: Study) -> None:
    condnet, train = study["condnet"], study["cohort"]["train"]
    if "networks" in condnet:
        return
    if not train:
        raise InputError("cohort.train: at least one subject is needed to train the networks.")
    if condnet["validation"] == "subject" and len(train) < 2:
        raise InputError(
            "condnet.validation: subject needs two or more subjects in cohort.train; "
            "use slice, or add a subject."
        )
    depth, shape = condnet["depth"], study["mri"]["shape"]
    if any(length % 2**depth for length in shape):
        raise InputError(
            f"mri.shape: {shape} must be multiples of {2**depth}, 2 to the power of condnet.depth."
        )
    for name, levels in (("encoder", depth), ("decoder", depth - 1), ("map", depth - 1)):
        key, kernels = f"condnet.kernels.{name}", condnet["kernels"][name]
        if isinstance(kernels, list) and len(kernels) != levels:
            raise InputError(
                f"{key}: needs one kernel, or {levels} with condnet.depth {depth}, "
                f"got {len(kernels)}."
            )
        for kernel in kernels if isinstance(kernels, list) else [kernels]:
            if kernel % 2 == 0:
                raise InputError(f"{key}: kernels must be odd, got {kernel}.")


def _subjects_to_test(study: Study) -> None:
    if not study["cohort"]["test"]:
        raise InputError("cohort.test: at least one subject is needed for fields and tables.")


def _conductivity_tables(study: Study) -> None:
    condnet = study["condnet"]
    tables = [*condnet["tables"], *study["tms"].get("further_tables", [])]
    if len(set(tables)) < len(tables):
        raise InputError(
            "tms.further_tables: names a table of condnet.tables, whose uniform map is compared "
            "already."
        )
    if condnet["frequency"] != TABLE_FREQUENCY and set(tables) & {"A", "B"}:
        raise InputError(
            f"condnet.frequency: the tables A and B hold at {TABLE_FREQUENCY:g} Hz only; "
            "use the table cole-cole for another frequency."
        )
    if study["cohort"]["source"] == "phantom" and condnet["tables"][0] != "A":
        raise InputError(
            "condnet.tables: the true conductivity of generated heads is built on table A and "
            "compared with the first table; name A first."
        )


def _coil(study: Study) -> None:
    tms, coil = study["tms"], study["tms"]["coil"]
    if tms["handle"] == tms["position"]:
        raise InputError("tms.handle: must be another place than tms.position.")
    places, _ = template_positions("standard_1005")
    check_option("tms.position", tms["position"], places)
    check_option("tms.handle", tms["handle"], places)
    for number, entry in enumerate(tms["further_positions"]):
        for key in ("position", "handle"):
            check_option(f"tms.further_positions.{number}.{key}", entry[key], places)
    for subject in tms.get("matrices", {}):
        check_option(f"tms.matrices.{subject}", subject, study["cohort"]["test"])
    if coil["inner_diameter"] >= coil["outer_diameter"]:
        raise InputError("tms.coil.inner_diameter: must be smaller than tms.coil.outer_diameter.")
    if "file" in coil:
        existing("tms.coil.file", coil["file"])


def _field_voxels(study: Study) -> None:
    cohort, coarse = study["cohort"], study["cohort"]["voxel_size_mm"]
    size = study["tms"].get("voxel_size_mm", coarse)
    if abs(coarse / size - refinement(study)) > 1e-6:
        raise InputError(
            f"tms.voxel_size_mm: {size:g} mm does not divide cohort.voxel_size_mm, {coarse:g} mm, "
            "into whole voxels; the fields' grid nests into that of the networks."
        )
    if not study["tms"]["subvoxel"]:
        return
    if cohort["source"] == "bids":
        raise InputError(
            "tms.subvoxel: needs labels finer than the study's grid, which a BIDS-like folder does "
            "not have; set it to false."
        )
    if cohort["source"] == "labels" and size < 1.5:
        raise InputError(
            "tms.subvoxel: label maps hold nothing finer than about 1 mm; raise the voxels of the "
            "fields (tms.voxel_size_mm, cohort.voxel_size_mm) to 2, or set it to false."
        )


def _hand_knob(study: Study) -> None:
    deformable = study["tms"]["hand_knob"]["registration"] == "deformable"
    if deformable and study["cohort"]["source"] == "phantom":
        raise InputError(
            "tms.hand_knob.registration: generated heads come with their affine map to MNI space; "
            "deformable is for real ones."
        )


def _heads(study: Study) -> None:
    head, cohort = study["head"], study["cohort"]
    if head["source"] == "colin27":
        if "folder" not in head:
            raise InputError("head.folder: needed with head.source: colin27.")
        folder = existing("head.folder", head["folder"], "folder")
        for name in COLIN27_FILES:
            existing("head.folder", folder / name)
    elif head["source"] == "file":
        if "unit" not in head:
            raise InputError(
                "head.unit: needed with head.source: file; mm is usual, but it is never assumed."
            )
        for subject in head["subjects"]:
            key = f"head.files.{subject}"
            if subject not in head.get("files", {}):
                raise InputError(f"{key}: needed with head.source: file, the path of its mesh.")
            existing(key, head["files"][subject])
    else:
        for subject in head["subjects"]:
            if subject not in (*cohort["train"], *cohort["test"]):
                raise InputError(f"head.subjects: {subject} is not in cohort.train or cohort.test.")


def electrode_names(study: Study) -> list[str] | None:
    """Labels of the study's cap; None for `cap: file`, whose electrodes a mesh file brings."""
    cap = study["head"]["electrodes"]["cap"]
    return None if cap == "file" else list(cap_positions(cap, np.eye(4)))


def _electrodes(study: Study) -> None:
    cap, sink = (study["head"]["electrodes"][key] for key in ("cap", "sink"))
    if cap == "file" and study["head"]["source"] != "file":
        raise InputError("head.electrodes.cap: file needs head.source: file.")
    if cap.endswith(".csv"):
        existing("head.electrodes.cap", cap)
    elif cap != "file":
        check_option("head.electrodes.cap", cap, CAPS)
    if (names := electrode_names(study)) is not None:
        check_option("head.electrodes.sink", sink, names)


def _pairs(study: Study, section: str) -> list[str] | None:
    """Injecting electrodes of `rom.pairs` or `forward.pairs`; None where only a mesh tells."""
    cap, sink = (study["head"]["electrodes"][key] for key in ("cap", "sink"))
    key, pairs, names = f"{section}.pairs", study[section]["pairs"], electrode_names(study)
    if not isinstance(pairs, int):
        for name in pairs:
            if names is not None:
                check_option(key, name, names)
            if name == sink:
                raise InputError(f"{key}: {sink} is the sink of all pairs and cannot inject.")
    if names is None:
        return None if isinstance(pairs, int) else list(pairs)
    if isinstance(pairs, int) and pairs >= len(names):
        raise InputError(f"{key}: {pairs} pairs, but the cap {cap} has {len(names)} electrodes.")
    return [source for source, _ in injection_pairs(names, sink, pairs)]


def _reduced_model(study: Study) -> None:
    rom, heads = study["rom"], study["head"]["subjects"]
    sources, names = _pairs(study, "rom"), electrode_names(study)
    if rom["training_points"] < rom["snapshots"]:
        raise InputError("rom.training_points: fewer points than rom.snapshots can be chosen from.")
    reference = study["inverse"]["reference"]
    if reference != "average":
        if names is not None:
            check_option("inverse.reference", reference, ["average", *names])
        if reference in (study["head"]["electrodes"]["sink"], *(sources or ())):
            raise InputError(
                f"inverse.reference: {reference} carries current, so it is no reading; "
                "choose a passive electrode, or average."
            )
    if "trained" in rom:
        folder = existing("rom.trained", rom["trained"], "folder")
        for head in heads:
            existing("rom.trained", folder / head / "rom" / f"{head}_rom.h5")


def _measured_voltages(study: Study) -> None:
    measured, heads = study["inverse"]["measured"], study["head"]["subjects"]
    if isinstance(measured, dict) and set(measured) != set(heads):
        raise InputError(
            f"inverse.measured: names {', '.join(measured)}, head.subjects {', '.join(heads)}: "
            "every head needs its measurement."
        )
    for path in measured.values() if isinstance(measured, dict) else [measured]:
        if path:
            existing("inverse.measured", path, "file" if path.endswith(".tsv") else "folder")


def _inverse_experiments(study: Study) -> None:
    experiment, names = study["inverse"]["experiment"], electrode_names(study)
    if "disturbances" in experiment["kinds"] and study["head"]["source"] == "file":
        raise InputError(
            "inverse.experiment.kinds: disturbances makes other meshes from labels; "
            "head.source: file has none."
        )
    if names is not None and experiment["baseline_pairs"] >= len(names):
        raise InputError(
            f"inverse.experiment.baseline_pairs: the cap {study['head']['electrodes']['cap']} "
            f"allows at most {len(names) - 1}."
        )
    if "references" in experiment["kinds"]:
        if study["rom"]["box"] != "merged_skull" or study["head"]["anisotropic"]:
            raise InputError(
                "inverse.experiment.kinds: references needs rom.box: merged_skull and an isotropic "
                "head."
            )
        if names is not None and pair_count(study["rom"]["pairs"]) < len(names) - 1:
            raise InputError(
                "inverse.experiment.kinds: references needs every electrode but the sink as a "
                f"pair: set rom.pairs to {len(names) - 1}."
            )


ANY = {"tms", "eit", "forward", "predict"}
_TMS = [_training, _subjects_to_test, _conductivity_tables, _coil, _field_voxels, _hand_knob]
CHECKS: tuple[tuple[set[str], list[Callable[[Study], Any]]], ...] = (
    (ANY, [_distinct_subjects, _images, _generated_voxels, _trained_networks]),
    ({"predict"}, [_people_to_predict]),
    ({"tms"}, _TMS),
    ({"eit", "forward"}, [_heads, _electrodes]),
    ({"forward"}, [partial(_pairs, section="forward")]),
    ({"eit"}, [_reduced_model, _measured_voltages, _inverse_experiments]),
)
