"""Take the network of one slicing axis from another study, if it fits this one."""

import hashlib
import shutil
from pathlib import Path

from headcond import io
from headcond.condnet.reuse import check_reuse
from headcond.tissues import conductivity_table


def main(
    trained, losses, network, history, axis, tables, frequency, tau, normalisation, shape,
    voxel_size_mm, unseen, provenance,
):  # fmt: skip
    """Copy the network and its losses; the sidecars say whose they are."""
    checkpoint = check_reuse(
        trained,
        axis=axis,
        tables={name: conductivity_table(name, frequency) for name in tables},
        tau=tau,
        normalisation={"method": normalisation, "images": ["T1w", "T2w"]},
        grid={"shape": shape, "voxel_size": [voxel_size_mm] * 3, "orientation": "RAS"},
        unseen=unseen,
    )
    about = {
        "taken_from": {
            "file": str(trained),
            "sha256": hashlib.sha256(Path(trained).read_bytes()).hexdigest(),
            "subjects": checkpoint.training["subjects"],
            "epochs": len(checkpoint.training["history"]),
        },
        "provenance": provenance,
    }
    for source, target in ((trained, network), (losses, history)):
        with io.atomic(target) as temporary:
            shutil.copyfile(source, temporary)
        io.write_sidecar(target, **about)


if __name__ == "__main__":
    import step

    step.run(main, snakemake)  # noqa: F821
