"""Take a head and its reduced model from another study that has trained it."""

import logging
import shutil
from pathlib import Path

from headcond.fem.operator import AffineOperator
from headcond.files import results
from headcond.rom.model import ReducedModel
from headcond.study.rom_inputs import check_geometry, check_trained, study_box
from headcond.study.step import run


def main(given, adopted, folder, geometry, electrodes, settings, current, provenance):
    """Copy files and sidecars, if they are what this study would make."""
    _, _, quality, operators, model, *_ = given
    made = results.read_json(quality)["provenance"]["parameters"]
    made |= results.read_json(results.sidecar_path(operators))["provenance"]["parameters"]
    check_geometry(folder, made, geometry)
    ranges = study_box(settings, electrodes, AffineOperator.read(operators).names)
    trained, pairs = ReducedModel.read(model), settings["pairs"]
    check_trained(folder, trained, ranges, current, electrodes["sink"], pairs)
    for source, goal in zip(given, adopted, strict=True):
        with results.atomic(goal) as temporary:
            shutil.copyfile(source, temporary)
        beside = results.sidecar_path(source)
        if beside != Path(source):
            with results.atomic(results.sidecar_path(goal)) as temporary:
                shutil.copyfile(beside, temporary)
    logging.getLogger("headcond").info("taken from %s: %s", folder, provenance["inputs"])


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
