import json
import struct

import nibabel
import numpy as np
import pandas as pd
import pytest

from headcond.checks import InputError
from headcond.files import results


def test_what_a_killed_writer_left_goes_with_the_next_write(tmp_path):
    path = tmp_path / "sub-01_a[1].nii.gz"
    left = tmp_path / ".sub-01_a[1]-0c439e97.nii.gz"
    others = [tmp_path / ".sub-01_a-0c439e97.nii.gz", tmp_path / ".sub-01_a[1]-notes.nii.gz"]
    for file in (left, *others):
        file.write_text("half")
    with results.atomic(path) as temporary:
        temporary.write_text("whole")
    assert path.read_text() == "whole" and not left.exists()
    assert all(file.exists() for file in others)


def test_atomic_replaces_only_on_success(tmp_path):
    path = tmp_path / "table.tsv"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), results.atomic(path) as temporary:
        temporary.write_text("half")
        1 / 0  # noqa: B018
    assert path.read_text() == "old"
    with results.atomic(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["table.tsv"]


@pytest.mark.parametrize(
    ("name", "side"),
    [("a.nii.gz", "a.json"), ("a.tsv", "a.json"), ("a_b-1.5_c.nii.gz", "a_b-1.5_c.json")],
)
def test_sidecar_stands_beside(tmp_path, name, side):
    assert results.sidecar_path(tmp_path / name) == tmp_path / side


def test_volume_round_trip_keeps_values_affine_and_provenance(tmp_path):
    data = np.random.default_rng(0).random((3, 4, 5)).astype(np.float32)
    affine = np.array([[0, 2, 0, 1], [-2, 0, 0, 5], [0, 0, 3, -7], [0, 0, 0, 1.0]])
    path = tmp_path / "deep" / "volume.nii.gz"
    results.write_volume(path, data, affine, units="S/m", provenance={"rule": "test"}, iterations=3)
    back, back_affine = results.read_volume(path)
    np.testing.assert_array_equal(back, data)
    np.testing.assert_allclose(back_affine, affine)
    side = results.read_json(results.sidecar_path(path))
    assert side["units"] == "S/m" and side["iterations"] == 3
    assert side["provenance"]["rule"] == "test"
    assert side["provenance"]["versions"]["numpy"] == np.__version__


AFFINE = np.array([[1.5, 0, 0, -40], [0, 1.5, 0, -50], [0, 0, 2, -60], [0, 0, 0, 1.0]])


def forms(path, sform, qform):
    """Write an image with the affines of sform and qform; None sets a code of 0."""
    image = nibabel.Nifti1Image(np.ones((40, 50, 60), np.float32), None)
    image.header.set_sform(sform, code=0 if sform is None else 1)
    image.header.set_qform(qform, code=0 if qform is None else 1)
    nibabel.save(image, path)


def test_sform_and_qform_that_differ_are_warned_of_and_the_sform_is_used(tmp_path, caplog):
    path = tmp_path / "scan.nii"
    turned = AFFINE.copy()
    turned[:2, :2] = 1.5 * np.array([[0.8, -0.6], [0.6, 0.8]])
    turned[0, 3] += 3
    forms(path, AFFINE, turned)
    _, affine = results.read_volume(path)
    np.testing.assert_allclose(affine, AFFINE)
    corners = [np.array([i, j, k, 1]) for i in (0, 39) for j in (0, 49) for k in (0, 59)]
    most = max(np.linalg.norm((turned - AFFINE) @ corner) for corner in corners)
    (record,) = caplog.records
    assert record.levelname == "WARNING" and record.getMessage() == (
        f"{path}: sform and qform differ by 3 mm at the first voxel and up to {most:.3g} mm at "
        "the corners. The sform is used; if it is wrong, set its code to 0."
    )


def test_an_invalid_qform_is_warned_of(tmp_path, caplog):
    path = tmp_path / "scan.nii"
    forms(path, AFFINE, AFFINE)
    content = bytearray(path.read_bytes())
    struct.pack_into("<3f", content, 256, 0.9, 0.9, 0.9)  # a quaternion longer than 1
    path.write_bytes(content)
    np.testing.assert_allclose(results.read_volume(path)[1], AFFINE)
    assert "scan.nii: its qform is not valid" in caplog.text


@pytest.mark.parametrize("case", ["same", "rounded", "no sform", "no qform", "written"])
def test_one_orientation_gives_no_warning(tmp_path, caplog, case):
    path = tmp_path / "scan.nii.gz"
    other = AFFINE + 1e-4 * np.array([[1, -1, 0, 50], [0, 1, 1, 0], [0, 0, 1, 0], [0, 0, 0, 0]])
    expected = other if case == "no sform" else AFFINE
    if case == "written":
        results.write_volume(path, np.ones((4, 5, 6), np.float32), AFFINE)
    else:
        forms(path, None if case == "no sform" else AFFINE,
              {"same": AFFINE, "no qform": None}.get(case, other))  # fmt: skip
    np.testing.assert_allclose(results.read_volume(path)[1], expected, atol=1e-3)
    assert not caplog.records


def test_components_come_first(tmp_path):
    data = np.arange(2 * 3 * 4 * 2, dtype=np.float32).reshape(2, 3, 4, 2)
    results.write_volume(tmp_path / "maps.nii.gz", data, np.eye(4))
    maps, _ = results.read_components(tmp_path / "maps.nii.gz")
    np.testing.assert_array_equal(maps[1], data[..., 1])
    with pytest.raises(InputError, match=r"maps\.nii\.gz: expected a 3-D volume"):
        results.read_volume(tmp_path / "maps.nii.gz")


def test_unreadable_images_are_named(tmp_path):
    path = tmp_path / "broken.nii.gz"
    path.write_bytes(b"not an image")
    with pytest.raises(InputError, match=r"broken\.nii\.gz: cannot be read"):
        results.read_volume(path)
    with pytest.raises(InputError, match=r"absent\.nii\.gz: cannot be read"):
        results.read_volume(tmp_path / "absent.nii.gz")


def test_truncated_image_is_refused(tmp_path):
    path = tmp_path / "cut.nii.gz"
    nibabel.save(
        nibabel.Nifti1Image(np.random.default_rng(1).random((20, 20, 20)), np.eye(4)), path
    )
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(InputError, match=r"cut\.nii\.gz"):
        results.read_volume(path)


def test_table_round_trip_keeps_names_as_text(tmp_path):
    table = pd.DataFrame({"subject": ["01", "sub-02"], "value": [0.1, np.nan]})
    results.write_table(tmp_path / "t.tsv", table, units={"value": "S/m"})
    back = results.read_table(tmp_path / "t.tsv")
    pd.testing.assert_frame_equal(back, table)
    assert "n/a" in (tmp_path / "t.tsv").read_text()


def test_json_takes_numpy_and_refuses_nan(tmp_path):
    results.write_json(tmp_path / "a.json", {"matrix": np.eye(2), "count": np.int64(3)})
    assert json.loads((tmp_path / "a.json").read_text()) == {"matrix": [[1, 0], [0, 1]], "count": 3}
    with pytest.raises(ValueError):
        results.write_json(tmp_path / "b.json", {"value": float("nan")})
    assert not (tmp_path / "b.json").exists()


def test_a_damaged_sidecar_is_refused_with_the_file_that_it_describes(tmp_path):
    path = tmp_path / "table.tsv"
    results.write_table(path, pd.DataFrame({"a": range(9)}))
    whole = path.read_text()
    path.write_text(whole[:8])
    for damaged in ('{"provenance": {"bytes"', ""):
        results.sidecar_path(path).write_text(damaged)
        with pytest.raises(InputError, match=r"table\.json: cannot be read as JSON"):
            results.read_table(path)
