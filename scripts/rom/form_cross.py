"""Give the reduced model the blocks between its pairs' bases, for corrected readings."""

import dataclasses
from pathlib import Path

from headcond.checks import InputError
from headcond.fem.operator import AffineOperator
from headcond.files import results
from headcond.rom.corrected import form_cross
from headcond.rom.model import ReducedModel
from headcond.rom.pair_training import pair_folder
from headcond.rom.settings import operator_digest
from headcond.study.step import run


def main(operators, model, bases, corrected, provenance):
    """Write the reduced model with its cross blocks."""
    operator = AffineOperator.read(operators)
    reduced = ReducedModel.read(model)
    if reduced.attributes["operator"] != operator_digest(operator):
        raise InputError(f"{model}: was trained on another operator than {operators}.")
    folders = {}
    for source in reduced.sources:
        name = pair_folder(operator, source)
        for batch in bases:
            if (Path(batch) / name).is_dir():
                folders[source] = Path(batch) / name
    cross = form_cross(operator, reduced.box, reduced.sources, folders)
    dataclasses.replace(reduced, cross=cross).write(corrected)
    results.write_sidecar(
        corrected, units={"voltages": "V", "parameters": "S/m"}, provenance=provenance,
        parameters=list(reduced.box.names), lower=reduced.box.lower, upper=reduced.box.upper,
        current_A=reduced.current,
    )  # fmt: skip


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
