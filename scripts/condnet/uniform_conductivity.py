"""Give every tissue its one conductivity: the segmented, uniform model."""

from headcond.files import results
from headcond.study.step import run
from headcond.tissues import conductivity_map, conductivity_table


def main(labels, conductivity, table, frequency, provenance):
    """Write the uniform map in S/m; air is exactly 0."""
    tissue, affine = results.read_volume(labels, dtype="uint8")
    result = conductivity_map(tissue, conductivity_table(table, frequency))
    results.write_volume(
        conductivity, result, affine, units="S/m", table=table, provenance=provenance
    )


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
