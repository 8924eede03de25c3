"""A new person's scans through networks that are trained already, by what `make predict` runs."""

import re
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest

from headcond.cohort.phantom import generate_head
from headcond.condnet.domain import fit_domain, image_statistics
from headcond.condnet.fusion import targets
from headcond.condnet.slices import AXES, describe_grid
from headcond.condnet.training import TrainingSettings, train_axis
from headcond.files import results
from headcond.mri.bias import correct
from headcond.mri.normalise import normalise
from headcond.mri.resampling import conform, resample
from headcond.tissues import conductivity_map, conductivity_table

SHAPE, SIZE = (64, 64, 64), 4.0
ROOT = Path(__file__).resolve().parents[2]


def train(folder, head):
    """Small networks of a generated head, prepared as the workflow does it, the T2w in place.

    Beside them the training domain, which has no limits with one head.
    """
    t1, affine = conform(head.t1, head.affine, SIZE, SHAPE)
    t2 = np.clip(resample(head.t2, head.t2_affine, affine, SHAPE), 0, None)
    images = np.stack([normalise(correct(image, affine)[0])[0] for image in (t1, t2)])
    labels = resample(head.labels, head.affine, affine, SHAPE, order=0)
    table = conductivity_table("A")
    normalisation = {"method": "percentile", "bias_shrink": 4, "images": ["T1w", "T2w"]}
    grid = describe_grid(SHAPE, affine)
    domain = {"grid": grid, "normalisation": normalisation}
    results.write_json(
        folder / "domain.json", domain | fit_domain({"sub-01": image_statistics(*images, SIZE)})
    )
    truth = targets(conductivity_map(labels, table)[None], [max(table.values())], 0.1)
    for axis in AXES:
        train_axis(
            {"sub-01": images}, {"sub-01": truth}, axis,
            TrainingSettings(epochs=6, learning_rate=3e-3, validation="slice", seed=0),
            tables={"A": table}, tau=0.1, normalisation=normalisation, grid=grid,
            checkpoint=folder / f"axis-{axis}_network.ckpt", folder=folder / axis,
        )  # fmt: skip


def turned(path, data, affine):
    """Write a scan with its axes permuted and flipped, as another scanner stores it."""
    image = nibabel.Nifti1Image(data, affine).as_reoriented([[2, 1], [0, -1], [1, 1]])
    nibabel.save(image, path)
    return image.shape, image.affine


@pytest.mark.slow
def test_scans_become_a_map_in_their_own_grid_by_one_command(make_checkout, tmp_path):
    checkout = make_checkout("predict")
    networks = tmp_path / "networks"
    networks.mkdir()
    train(networks, generate_head(1, "sub-01", 2.5))
    person = generate_head(1, "sub-02", 2.5)
    shape, affine = turned(tmp_path / "t1.nii.gz", person.t1, person.affine)
    turned(tmp_path / "t2.nii.gz", person.t2, person.t2_affine)

    makefile = (ROOT / "Makefile").read_text()
    recipe = makefile[makefile.index("predict: setup") :].split("\n\n")[0]
    assert 'python -m headcond.study.prediction "$(NETWORKS)" "$(T1)" "$(T2)" "$(OUT)"' in recipe
    assert '--configfile "$(OUT)/study.yaml"' in recipe

    out = tmp_path / "anna"

    def prepare_labels(t1="t1.nii.gz", t2="t2.nii.gz"):
        return subprocess.run(
            [sys.executable, "-m", "headcond.study.prediction", networks,
             tmp_path / t1, tmp_path / t2,
             out, "sub-anna"],
            cwd=checkout.folder, text=True, capture_output=True, check=False,
            env=checkout.environment() | {"PYTHONPATH": str(checkout.folder / "src")},
        )  # fmt: skip

    prepared = prepare_labels()
    assert prepared.stdout.strip() == str(out / "study.yaml"), prepared.stderr
    arguments = ("--cores", 2, "--configfile", out / "study.yaml")
    checkout.run(*arguments)

    cond = out / "sub-anna" / "cond"
    own, own_affine = results.read_volume(
        cond / "sub-anna_space-T1w_table-A_desc-condnet_condmap.nii.gz"
    )
    assert own.shape == shape and np.allclose(own_affine, affine), "the T1w's own grid"
    assert own.max() <= 2.0 / 0.9 + 1e-5 and (own >= 0).all()
    truth = nibabel.Nifti1Image(person.labels, person.affine)
    truth = np.asarray(truth.as_reoriented([[2, 1], [0, -1], [1, 1]]).dataobj)
    overlap = 2 * np.sum((own > 0) & (truth > 0)) / (np.sum(own > 0) + np.sum(truth > 0))
    assert overlap > 0.85, "the head lies where it is in the scan"
    fluid, bone = (np.median(own[truth == number]) for number in (7, 4))
    assert fluid > bone > 0, "six epochs tell CSF from bone"
    judgement = results.read_json(cond / "sub-anna_domain.json")
    assert judgement["outside"] is None, "one training head spans no domain"
    assert 0 < judgement["statistics"]["intensity"]["distance"] < 1
    spread, _ = results.read_components(cond / "sub-anna_desc-spread_condmap.nii.gz")
    assert spread.max() > 0
    for name in ("alignment", "anatomy", "conductivity"):
        assert (out / "figures" / f"sub-anna_{name}.png").stat().st_size > 10_000
    for path in cond.glob("*.nii.gz"):
        record = results.read_json(results.sidecar_path(path))
        assert record["units"] and re.fullmatch("[0-9a-f]{16}", record["provenance"]["source"])
    quality = results.read_json(out / "sub-anna/anat/sub-anna_desc-alignment.json")["quality"]
    assert quality["mutual_information_after"] > quality["mutual_information_before"]

    assert "Nothing to be done" in checkout.run(*arguments)
    refused = prepare_labels(t1="t2.nii.gz", t2="t1.nii.gz")
    assert refused.returncode == 1 and "exists already: name another folder" in refused.stderr
