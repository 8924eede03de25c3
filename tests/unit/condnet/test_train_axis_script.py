"""The script behind the rule train_axis: what a study says reaches the network and its file."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
import yaml
from scipy import ndimage

from headcond.checks import InputError
from headcond.condnet.checkpoint import load_checkpoint
from headcond.condnet.prediction import predict_axis
from headcond.files import results
from headcond.tissues import conductivity_table
from scripts.condnet import train_axis

ROOT = Path(__file__).resolve().parents[3]
PREPARATION = {"method": "percentile", "bias_shrink": 3, "images": ["T1w", "T2w"]}
SHAPE, SUBJECTS = (8, 16, 12), ("sub-01", "sub-02", "sub-03")
AFFINE = np.diag([4.0, 4.0, 4.0, 1.0])


@pytest.fixture(scope="module")
def main():
    return train_axis.main


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """T1w, T2w and labels of three tiny heads."""
    folder = tmp_path_factory.mktemp("heads")
    found = []
    for number, subject in enumerate(SUBJECTS):
        rng = np.random.default_rng(number)
        field = ndimage.gaussian_filter(rng.standard_normal(SHAPE), 2)
        labels = np.digitize(field, np.quantile(field, np.linspace(0.1, 0.9, 13))).astype(np.uint8)
        t1 = ((labels + rng.random(SHAPE)) / 14).astype(np.float32)
        paths = []
        for name, data in (("T1w", t1), ("T2w", 1 - t1), ("labels", labels)):
            paths.append(str(folder / f"{subject}_{name}.nii"))
            nibabel.save(nibabel.Nifti1Image(data, AFFINE), paths[-1])
        found.append(paths)
    return [list(paths) for paths in zip(*found, strict=True)]


def train(main, files, folder, unseen=(), **settings):
    network, history = folder / "axis.ckpt", folder / "history.tsv"
    default = yaml.safe_load((ROOT / "config.yaml").read_text())["condnet"]
    used = default | {"epochs": 1, "depth": 2} | settings
    main(
        *files, network=str(network), history=str(history), seed=1, axis="axial",
        subjects=[name for name in SUBJECTS if name not in unseen], unseen=list(unseen),
        normalisation=PREPARATION, settings=used, state=str(folder / "state"),
        threads=1, provenance={"rule": "train_axis", "source": "abc", "parameters": used},
    )  # fmt: skip
    return load_checkpoint(network), results.read_table(history)


def test_the_study_decides_the_network(main, files, tmp_path):
    kernels = {"encoder": [5, 3], "decoder": 7, "map": [1]}
    checkpoint, history = train(
        main, files, tmp_path, tables=["A", "cole-cole"], kernels=kernels, precision="bfloat16",
        empty_slices="keep", learning_rate=0.01, batch_size=3,
    )  # fmt: skip
    assert checkpoint.network.settings == {
        "inputs": 2, "outputs": 2, "depth": 2, "encoder_kernels": [5, 3],
        "decoder_kernels": [7], "map_kernels": [1],
    }  # fmt: skip
    assert checkpoint.tables == {n: conductivity_table(n) for n in ("A", "cole-cole")}
    kept = checkpoint.training["settings"]
    assert (kept["precision"], kept["empty"], kept["learning_rate"]) == ("bfloat16", "keep", 0.01)
    assert (kept["batch_size"], kept["validation"], kept["seed"]) == (3, "subject", 1)
    assert checkpoint.normalisation == PREPARATION
    assert "unseen_loss" not in history.columns
    units = json.loads((tmp_path / "history.json").read_text())["units"]
    assert units["train_loss"] == "nats per voxel" and units["loading_seconds"] == "s"
    assert not list((tmp_path / "state").iterdir())
    images = np.stack([results.read_volume(paths[0])[0] for paths in files[:2]])
    facts = {"grid": checkpoint.grid, "normalisation": checkpoint.normalisation}
    assert predict_axis(checkpoint, images, **facts).shape == (2, *SHAPE)


def test_beside_the_papers_split_stands_a_head_that_no_network_saw(main, files, tmp_path):
    checkpoint, history = train(main, files, tmp_path, ("sub-03",), validation="slice")
    assert checkpoint.training["subjects"] == ["sub-01", "sub-02"]
    assert checkpoint.training["validation_subjects"] == ["sub-01", "sub-02"]
    assert checkpoint.training["unseen_subjects"] == ["sub-03"]
    assert (history["unseen_loss"] > history["unseen_floor"]).all()


def test_labels_on_another_grid_are_refused(main, files, tmp_path):
    moved = tmp_path / "moved.nii"
    image = nibabel.load(files[2][0])
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj), np.diag([4, 4, 5, 1])), moved)
    other = [*files[:2], [str(moved), *files[2][1:]]]
    with pytest.raises(InputError, match=r"moved\.nii and .*sub-01_T1w\.nii have different grids"):
        train(main, other, tmp_path)
