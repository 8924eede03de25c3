"""Take a head and its reduced model from another study that has trained it."""

import logging
import shutil
from pathlib import Path

import numpy as np

from headcond.checks import InputError
from headcond.fem.operator import AffineOperator
from headcond.files import results
from headcond.rom.model import ReducedModel
from headcond.study.models import study_box


def main(given, adopted, folder, geometry, electrodes, settings, current, provenance):
    """Copy files and sidecars, once they are seen to be what this study would have made."""
    _, _, quality, operators, model, *_ = given
    made = results.read_json(quality)["provenance"]["parameters"]
    made |= results.read_json(results.sidecar_path(operators))["provenance"]["parameters"]
    for key, asked in {**geometry, "electrodes": electrodes}.items():
        if key in made and made[key] != asked:
            raise InputError(
                f"rom.trained: {folder} was made with {key} {made[key]}, this study says {asked}: "
                "use the same settings of the head, or train anew."
            )
    trained, operator = ReducedModel.read(model), AffineOperator.read(operators)
    box = study_box(settings, electrodes, operator.names)
    same = trained.box.names == box.names and all(
        np.allclose(getattr(trained.box, end), getattr(box, end)) for end in ("lower", "upper")
    )
    same = same and dict(trained.box.fixed) == dict(box.fixed)
    if not same or trained.current != current or trained.sink != electrodes["sink"]:
        raise InputError(
            f"rom.trained: the model in {folder} has another box, current or sink than rom.box, "
            "rom.fixed, inverse.current and head.electrodes.sink: use the same, or train anew."
        )
    asked = settings["pairs"]
    count = asked if isinstance(asked, int) else len(asked)
    if count != len(trained.pairs):
        raise InputError(
            f"rom.trained: the model in {folder} has {len(trained.pairs)} pairs, rom.pairs asks "
            f"for {count}: write {len(trained.pairs)}."
        )
    for source, goal in zip(given, adopted, strict=True):
        with results.atomic(goal) as temporary:
            shutil.copyfile(source, temporary)
        beside = results.sidecar_path(source)
        if beside != Path(source):
            with results.atomic(results.sidecar_path(goal)) as temporary:
                shutil.copyfile(beside, temporary)
    logging.getLogger("headcond").info("taken from %s: %s", folder, provenance["inputs"])


if __name__ == "__main__":
    from headcond.study.step import run

    run(main, snakemake)  # noqa: F821
