"""Put the batches of pairs together into one reduced model."""

from headcond.files import results
from headcond.rom.history import greedy_table
from headcond.rom.model import ReducedModel, merge
from headcond.study.step import run


def main(batches, model, greedy, provenance):
    """Write the reduced model of all pairs, and how their greedy searches went."""
    merged = merge([ReducedModel.read(path) for path in batches])
    merged.write(model)
    results.write_sidecar(
        model, units={"voltages": "V", "parameters": "S/m"}, provenance=provenance,
        parameters=list(merged.box.names), lower=merged.box.lower, upper=merged.box.upper,
        current_A=merged.current,
    )  # fmt: skip
    units = {name: "S/m" for name in merged.box.names}
    results.write_table(greedy, greedy_table(merged), units=units, provenance=provenance)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
