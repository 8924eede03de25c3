"""Assemble the affine blocks of the complete electrode model."""

import numpy as np

from headcond.checks import check_option
from headcond.fem.anisotropy import radial_directions
from headcond.fem.electrode_model import assemble
from headcond.files import results
from headcond.head.formats import read_head
from headcond.study.step import run


def main(head, operators, anisotropic, radial, relative_impedance, provenance):
    """Write one block per tissue (two if it is anisotropic) and one for the contacts."""
    mesh, electrodes = read_head(head)
    normals = radial_directions(mesh, anisotropic, radial) if anisotropic else None
    for name in relative_impedance:
        check_option("head.electrodes.relative_impedance", name, electrodes.labels)
    scale = np.array([relative_impedance.get(name, 1.0) for name in electrodes.labels])
    operator = assemble(mesh, electrodes, anisotropic, normals, scale)
    operator.write(operators)
    units = {"tissue blocks": "m", "contact block": "m^2"}
    facts = {"names": list(operator.names), "unknowns": operator.size, "provenance": provenance}
    results.write_sidecar(operators, units=units, **facts)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
