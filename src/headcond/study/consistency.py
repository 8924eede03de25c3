"""Whether the choices of a study fit each other: what no schema can say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from headcond.caps import CAPS, cap_positions, injection_pairs, template_positions
from headcond.checks import InputError, check_option
from headcond.study.paths import bids_files, existing, expand, label_file, pair_count, refinement

COLIN27_FILES = ("standard_seg.mat", "brainweb_discrete.mat", "standard_mri.mat")
TABLE_FREQUENCY = 10e3  # Hz, of the paper's tables A and B


def check_cohort(study: Mapping[str, Any]) -> None:
    """Raise `InputError` if subjects or their files do not go together."""
    cohort = study["cohort"]
    both = sorted(set(cohort["train"]) & set(cohort["test"]))
    if both:
        raise InputError(
            f"cohort.test: {both[0]} is in cohort.train too; test heads must be unseen."
        )
    named = set(cohort["train"]) | set(cohort["test"])
    for subject in cohort["scans"]:
        if subject in named:
            raise InputError(
                f"cohort.scans.{subject}: this subject is in cohort.train or .test too."
            )
        for contrast in ("t1", "t2"):
            key = f"cohort.scans.{subject}.{contrast}"
            existing(key, expand(key, cohort["scans"][subject][contrast]))
    if cohort["source"] != "phantom":
        if "folder" not in cohort:
            raise InputError(f"cohort.folder: needed with cohort.source: {cohort['source']}.")
        existing("cohort.folder", expand("cohort.folder", cohort["folder"]), "folder")
    needed = {"phantom": (), "labels": ("pattern", "scheme"), "bids": ("scheme",)}
    for key in needed[cohort["source"]]:
        if key not in cohort:
            raise InputError(f"cohort.{key}: needed with cohort.source: {cohort['source']}.")
    for subject in sorted(named):
        if cohort["source"] == "labels":
            existing(f"cohort.pattern (for {subject})", label_file(study, subject))
        if cohort["source"] == "bids":
            try:
                bids_files(study, subject)
            except InputError as error:
                raise InputError(f"cohort.folder (for {subject}): {error}") from None
    if cohort["source"] == "phantom" and named and cohort["voxel_size_mm"] > 2.5:
        raise InputError(
            "cohort.voxel_size_mm: generated heads need 2.5 or less, or skin and skull tear."
        )


def check_choices(study: Mapping[str, Any]) -> None:
    """Raise `InputError` naming the first key whose value does not fit the others."""
    if "template" in study["mri"]:
        existing("mri.template", expand("mri.template", study["mri"]["template"]))
    trained = "networks" in study["condnet"]
    if trained:
        _check_networks(study)
    if "predict" in study["pipelines"]:
        if not trained:
            raise InputError("condnet.networks: the pipeline predict needs trained networks.")
        if not study["cohort"]["scans"]:
            raise InputError("cohort.scans: the pipeline predict needs at least one person.")
    if "tms" in study["pipelines"]:
        if not study["cohort"]["train"] and not trained:
            raise InputError("cohort.train: at least one subject is needed to train the networks.")
        if not study["cohort"]["test"]:
            raise InputError("cohort.test: at least one subject is needed for fields and tables.")
        subjects = len(study["cohort"]["train"])
        if study["condnet"]["validation"] == "subject" and subjects < 2 and not trained:
            raise InputError(
                "condnet.validation: subject needs two or more subjects in cohort.train; "
                "use slice, or add a subject."
            )
        condnet = study["condnet"]
        _check_network(condnet, study["mri"]["shape"])
        further = study["tms"].get("further_tables", [])
        tables = [*condnet["tables"], *further]
        if len(set(tables)) < len(tables):
            raise InputError(
                "tms.further_tables: names a table of condnet.tables, whose uniform map is "
                "compared already."
            )
        if condnet["frequency"] != TABLE_FREQUENCY and set(tables) & {"A", "B"}:
            raise InputError(
                f"condnet.frequency: the tables A and B hold at {TABLE_FREQUENCY:g} Hz only; "
                "use the table cole-cole for another frequency."
            )
        if study["cohort"]["source"] == "phantom" and condnet["tables"][0] != "A":
            raise InputError(
                "condnet.tables: the true conductivity of generated heads stands on table A, and "
                "the first table is compared with it; name A first."
            )
        if study["tms"]["handle"] == study["tms"]["position"]:
            raise InputError("tms.handle: must be another place than tms.position.")
        known = template_positions("standard_1005")[0]
        for key in ("position", "handle"):
            check_option(f"tms.{key}", study["tms"][key], known)
            for number, entry in enumerate(study["tms"]["further_positions"]):
                check_option(f"tms.further_positions.{number}.{key}", entry[key], known)
        for subject in study["tms"].get("matrices", {}):
            check_option(f"tms.matrices.{subject}", subject, study["cohort"]["test"])
        _check_field_voxels(study)
        knob = study["tms"]["hand_knob"]
        if knob["registration"] == "deformable" and study["cohort"]["source"] == "phantom":
            raise InputError(
                "tms.hand_knob.registration: generated heads know their way to MNI space, which "
                "is affine; deformable is for real ones."
            )
        coil = study["tms"]["coil"]
        if coil["inner_diameter"] >= coil["outer_diameter"]:
            raise InputError(
                "tms.coil.inner_diameter: must be smaller than tms.coil.outer_diameter."
            )
        if "file" in coil:
            existing("tms.coil.file", expand("tms.coil.file", coil["file"]))
    if {"eit", "forward"} & set(study["pipelines"]):
        head = study["head"]
        if head["source"] == "colin27":
            if "folder" not in head:
                raise InputError("head.folder: needed with head.source: colin27.")
            folder = existing("head.folder", expand("head.folder", head["folder"]), "folder")
            for name in COLIN27_FILES:
                existing("head.folder", folder / name)
        elif head["source"] == "file":
            _check_files(head)
        else:
            cohort = [*study["cohort"]["train"], *study["cohort"]["test"]]
            for subject in head["subjects"]:
                if subject not in cohort:
                    raise InputError(
                        f"head.subjects: {subject} is not in cohort.train or cohort.test."
                    )
        _check_electrodes(study)
    if "eit" in study["pipelines"]:
        _check_inversion(study)


def _check_network(condnet: Mapping[str, Any], shape: Sequence[int]) -> None:
    depth, multiple = condnet["depth"], 2 ** condnet["depth"]
    if any(length % multiple for length in shape):
        raise InputError(
            f"mri.shape: {shape} must be multiples of {multiple}, 2 to the power of condnet.depth."
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


def _check_files(head: Mapping[str, Any]) -> None:
    if "unit" not in head:
        raise InputError(
            "head.unit: needed with head.source: file; mm is usual, but it is never assumed."
        )
    for subject in head["subjects"]:
        key = f"head.files.{subject}"
        if subject not in head.get("files", {}):
            raise InputError(f"{key}: needed with head.source: file, the path of its mesh.")
        existing(key, expand(key, head["files"][subject]))


def _check_electrodes(study: Mapping[str, Any]) -> None:
    cap, sink = (study["head"]["electrodes"][key] for key in ("cap", "sink"))
    if cap == "file":
        if study["head"]["source"] != "file":
            raise InputError("head.electrodes.cap: file needs head.source: file.")
        return  # what electrodes there are is known once the file is read
    cap = str(expand("head.electrodes.cap", cap)) if cap.endswith(".csv") else cap
    if not cap.endswith(".csv"):
        check_option("head.electrodes.cap", cap, CAPS)
    names = list(cap_positions(cap, np.eye(4)))
    check_option("head.electrodes.sink", sink, names)
    pipelines = [
        key
        for key, pipeline in (("rom", "eit"), ("forward", "forward"))
        if pipeline in study["pipelines"]
    ]
    sources = {key: _check_pairs(f"{key}.pairs", study[key]["pairs"], cap, names, sink)
               for key in pipelines}  # fmt: skip
    if "rom" not in pipelines:
        return
    reference = study["inverse"]["reference"]
    if study["rom"]["training_points"] < study["rom"]["snapshots"]:
        raise InputError("rom.training_points: fewer points than rom.snapshots can be chosen from.")
    if reference != "average":
        check_option("inverse.reference", reference, ["average", *names])
        if reference in (sink, *sources["rom"]):
            raise InputError(
                f"inverse.reference: {reference} carries current, so it is no reading; "
                "choose a passive electrode, or average."
            )


def _check_inversion(study: Mapping[str, Any]) -> None:
    electrodes = study["head"]["electrodes"]
    names = list(cap_positions(electrodes["cap"], np.eye(4)))
    measured, experiment = study["inverse"]["measured"], study["inverse"]["experiment"]
    heads = study["head"]["subjects"]
    if isinstance(measured, dict) and set(measured) != set(heads):
        raise InputError(
            f"inverse.measured: names {', '.join(measured)}, head.subjects {', '.join(heads)}: "
            "every head needs its measurement."
        )
    for name in measured.values() if isinstance(measured, dict) else [measured]:
        if name:
            path = expand("inverse.measured", name)
            existing("inverse.measured", path, "file" if path.suffix == ".tsv" else "folder")
    if "trained" in study["rom"]:
        place = expand("rom.trained", study["rom"]["trained"])
        existing("rom.trained", place, "folder")
        for head in heads:
            existing("rom.trained", place / head / "rom" / f"{head}_rom.h5")
    if "disturbances" in experiment["kinds"] and study["head"]["source"] == "file":
        raise InputError(
            "inverse.experiment.kinds: disturbances makes other meshes from labels; "
            "head.source: file has none."
        )
    if experiment["baseline_pairs"] >= len(names):
        raise InputError(
            f"inverse.experiment.baseline_pairs: the cap {electrodes['cap']} allows at most "
            f"{len(names) - 1}."
        )
    if "references" in experiment["kinds"]:
        if study["rom"]["box"] != "merged_skull" or study["head"]["anisotropic"]:
            raise InputError(
                "inverse.experiment.kinds: references needs rom.box: merged_skull and an isotropic "
                "head."
            )
        if pair_count(study["rom"]["pairs"]) < len(names) - 1:
            raise InputError(
                "inverse.experiment.kinds: references needs every electrode but the sink as a "
                f"pair: set rom.pairs to {len(names) - 1}."
            )


def _check_pairs(
    key: str, pairs: int | Sequence[str], cap: str, names: Sequence[str], sink: str
) -> list[str]:
    """Injecting electrodes of the pairs that `key` asks for."""
    if isinstance(pairs, int) and pairs >= len(names):
        raise InputError(f"{key}: {pairs} pairs, but the cap {cap} has {len(names)} electrodes.")
    if not isinstance(pairs, int):
        for name in pairs:
            check_option(key, name, names)
            if name == sink:
                raise InputError(f"{key}: {sink} is the sink of all pairs and cannot inject.")
    return [source for source, _ in injection_pairs(names, sink, pairs)]


def _check_field_voxels(study: Mapping[str, Any]) -> None:
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
        raise InputError("tms.subvoxel: label maps of a BIDS-like folder lie on the study's grid; "
                         "there are no finer ones.")  # fmt: skip
    if cohort["source"] == "labels" and size < 1.5:
        raise InputError(
            "tms.subvoxel: label maps hold nothing finer than about 1 mm; raise the voxels of the "
            "fields (tms.voxel_size_mm, cohort.voxel_size_mm) to 2, or set it to false."
        )


def _check_networks(study: Mapping[str, Any]) -> None:
    key = "condnet.networks"
    source = existing(key, expand(key, study["condnet"]["networks"]), "folder")
    axes = study["condnet"]["axes"]
    kinds = ("network.ckpt", "history.tsv") if "tms" in study["pipelines"] else ("network.ckpt",)
    for name in [*(f"axis-{axis}_{kind}" for axis in axes for kind in kinds), "domain.json"]:
        if not (source / name).is_file():
            raise InputError(
                f"{key}: {source / name} does not exist; name the folder `networks` of a finished "
                "study's results, or run that study to its end first."
            )
