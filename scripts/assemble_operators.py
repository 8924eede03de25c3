"""Assemble the affine blocks of the complete electrode model."""

from headcond import io
from headcond.fem.electrode_model import assemble
from headcond.head.formats import read_head


def main(head, operators, provenance):
    """Write one block per tissue and one for the contacts."""
    mesh, electrodes = read_head(head)
    operator = assemble(mesh, electrodes)
    operator.write(operators)
    io.write_sidecar(
        operators,
        units={"tissue blocks": "m", "contact block": "m^2"},
        names=list(operator.names),
        unknowns=operator.size,
        provenance=provenance,
    )


if __name__ == "__main__":
    import step

    step.run(main, snakemake)  # noqa: F821
