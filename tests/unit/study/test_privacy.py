"""What a header says of a person reaches no result: docs/how-to/privacy.md."""

from __future__ import annotations

import gzip
import json
from importlib import import_module

import nibabel
import numpy as np
import pytest

from headcond.files import results

SECRETS = ("DOE^JANE", "19700131", "St. Nowhere", "PAT-4711", "20240229")


def scan(path, data, affine):
    """Write an image whose header, extension and sidecar carry a name, dates and a place."""
    image = nibabel.Nifti1Image(data, affine)
    image.header["descrip"] = b"DOE^JANE 19700131"
    image.header["aux_file"] = b"PAT-4711"
    image.header["db_name"] = b"St. Nowhere"
    image.header["intent_name"] = b"20240229"
    comment = json.dumps({"PatientName": "DOE^JANE", "StudyDate": "20240229"}).encode()
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", comment))
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(image, path)
    results.sidecar_path(path).write_text(
        json.dumps({"PatientBirthDate": "19700131", "InstitutionName": "St. Nowhere"})
    )
    for secret in SECRETS:
        assert secret in readable(path) + readable(results.sidecar_path(path)), (
            "the test's own file"
        )
    return str(path)


def readable(path):
    """Everything that a file holds, unpacked, as text."""
    content = path.read_bytes()
    content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    return content.decode("latin-1")


@pytest.fixture
def step_main():
    return lambda name: import_module(f"scripts.{name}").main


@pytest.fixture
def person(tmp_path):
    """T1w, T2w and SynthSeg's labels of a ball-shaped head, their headers full of secrets."""
    index = np.stack(np.meshgrid(*[np.arange(24)] * 3, indexing="ij"), -1) - 11.5
    distance = np.linalg.norm(index, axis=-1)
    labels = np.zeros(distance.shape, np.int16)
    for radius, number in ((10.5, 511), (9, 515), (7, 24), (6, 3), (4, 2)):
        labels[distance < radius] = number
    image = np.random.default_rng(1).uniform(5, 90, labels.shape).astype(np.float32)
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    folder = tmp_path / "incoming"
    return {
        "scan_t1": scan(folder / "a_T1w.nii.gz", image, affine),
        "scan_t2": scan(folder / "a_T2w.nii.gz", image[::-1].copy(), affine),
        "label_map": scan(folder / "a_dseg.nii.gz", labels, affine),
    }


def assert_clean(folder):
    written = [path for path in folder.rglob("*") if path.is_file()]
    assert len(written) >= 4
    for path in written:
        for secret in SECRETS:
            assert secret not in readable(path), f"{path.name} holds {secret}"


def test_scans_of_a_person_without_labels(step_main, person, tmp_path):
    out = tmp_path / "results"
    step_main("cohort.import_scan")(
        person["scan_t1"], person["scan_t2"], out / "x_T1w.nii.gz", out / "x_T2w.nii.gz",
        provenance={"rule": "import_scan", "inputs": {"scan_t1": person["scan_t1"]}},
    )  # fmt: skip
    assert_clean(out)


def test_scans_and_labels_of_a_person(step_main, person, tmp_path):
    out = tmp_path / "results"
    step_main("cohort.import_subject")(
        **person, t1=out / "x_T1w.nii.gz", t2=out / "x_T2w.nii.gz", labels=out / "x_dseg.nii.gz",
        facts=out / "x_head.json", subject="sub-01", scheme="synthseg",
        provenance={"rule": "import_subject", "inputs": person},
    )  # fmt: skip
    assert_clean(out)
    assert nibabel.load(out / "x_T1w.nii.gz").header["descrip"].item() == b""


def test_a_path_is_told_as_it_stands(step_main, person, tmp_path):
    """The one way in: sidecars name their inputs, so a name in a path would be told."""
    out = tmp_path / "results"
    step_main("cohort.import_scan")(
        person["scan_t1"], person["scan_t2"], out / "x_T1w.nii.gz", out / "x_T2w.nii.gz",
        provenance={"inputs": {"scan_t1": "/incoming/DOE^JANE/T1w.nii.gz"}},
    )  # fmt: skip
    with pytest.raises(AssertionError, match=r"x_T\dw\.json holds DOE\^JANE"):
        assert_clean(out)
