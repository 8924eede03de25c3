"""Assemble the affine blocks of the complete electrode model."""

from headcond import io
from headcond.fem.assembly import radial_directions
from headcond.fem.electrode_model import assemble
from headcond.head.formats import read_head


def main(head, operators, anisotropic, radial, provenance):
    """Write one block per tissue (two if it is anisotropic) and one for the contacts."""
    mesh, electrodes = read_head(head)
    normals = radial_directions(mesh, anisotropic, radial) if anisotropic else None
    operator = assemble(mesh, electrodes, anisotropic, normals)
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
