"""Coil definitions and sampled fields against coils made directly; bad files are refused."""

from __future__ import annotations

import json

import nibabel
import numpy as np
import pytest

from headcond.checks import InputError
from headcond.tms import coil, coil_files, spfd

POINTS = np.random.default_rng(3).uniform(-0.03, 0.03, (60, 3)) + np.array([0, 0, 0.06])
DIPOLES = {"type": 1, "stimulator": 0, "points": [[10, 0, 0], [-10, 0, 5]],
           "values": [[0, 0, 0.02], [0.01, 0, 0]]}  # fmt: skip
LINES = {"type": 2, "stimulator": 0, "points": [[0, 0, 0], [20, 0, 0]],
         "values": [[20, 0, 0], [0, 30, 0]]}  # fmt: skip


def written(tmp_path, *elements, **more):
    path = tmp_path / "coil.tcd"
    content = {"coilElementList": list(elements), "stimulatorList": [{"name": "s"}], **more}
    path.write_text(json.dumps(content))
    return path


def sampled(source, step=2.0):
    """A of `source` per ampere on a grid over POINTS, with an affine that flips and permutes."""
    affine = np.array([[0, -step, 0, 36.0], [step, 0, 0, -36], [0, 0, step, 24], [0, 0, 0, 1]])
    index = np.stack(np.meshgrid(*(np.arange(37),) * 3, indexing="ij"), axis=-1)
    points = (index @ affine[:3, :3].T + affine[:3, 3]) * 1e-3
    return source.dadt(points, 1.0), affine


def test_definition_of_dipoles_and_lines_is_their_sum(tmp_path):
    got = coil_files.read(written(tmp_path, DIPOLES, LINES, name="two"))
    dipoles = coil.from_dipoles(np.array(DIPOLES["points"]) * 1e-3, DIPOLES["values"])
    starts = np.array(LINES["points"]) * 1e-3
    lines = coil.Coil(starts=starts, ends=starts + np.array(LINES["values"]) * 1e-3)
    assert got.name == "two"
    exact = dipoles.dadt(POINTS, 2.0) + lines.dadt(POINTS, 2.0)
    np.testing.assert_allclose(got.dadt(POINTS, 2.0), exact, rtol=1e-12, atol=1e-20)


def test_sampled_field_moves_with_the_coil(tmp_path):
    source = coil_files.read(written(tmp_path, DIPOLES))
    values, affine = sampled(source)
    nibabel.save(nibabel.Nifti1Image(values[:, :, :, None], affine), tmp_path / "coil.nii.gz")
    in_file = coil_files.read(tmp_path / "coil.nii.gz")
    element = {"type": 3, "stimulator": 0, "data": values.tolist(), "affine": affine.tolist()}
    in_definition = coil_files.read(written(tmp_path, element))
    a = 0.7
    move = np.array([[np.cos(a), 0, np.sin(a), 0.1], [0, 1, 0, -0.2], [-np.sin(a), 0, np.cos(a), 0],
                     [0, 0, 0, 1]])  # fmt: skip
    world = POINTS @ move[:3, :3].T + move[:3, 3]
    exact = source.transformed(move).dadt(world, 1e6)
    for got in (in_file, in_definition):
        error = got.transformed(move).dadt(world, 1e6) - exact
        assert np.abs(error).max() < 5e-3 * np.abs(exact).max()  # linear between 2 mm points
    finer = coil.combine(source, in_file).dadt(POINTS, 1.0)
    np.testing.assert_allclose(finer, 2 * source.dadt(POINTS, 1.0), rtol=0.02, atol=1e-9)


def test_field_of_a_sampled_coil_is_that_of_its_dipoles(tmp_path):
    source = coil_files.read(written(tmp_path, DIPOLES))
    values, affine = sampled(source)
    nibabel.save(nibabel.Nifti1Image(values, affine), tmp_path / "coil.nii")
    conductivity = np.zeros((20, 20, 20))
    conductivity[2:-2, 2:-2, 2:-2] = 0.3
    where = np.diag([3.0, 3, 3, 1])
    where[:3, 3] = [-28.5, -28.5, 31.5]
    exact = spfd.solve_efield(conductivity, where, source, 1e6).vector
    got = spfd.solve_efield(conductivity, where, coil_files.read(tmp_path / "coil.nii"), 1e6).vector
    assert np.linalg.norm(got - exact) < 5e-3 * np.linalg.norm(exact)
    with pytest.raises(InputError, match="outside the coil's A-field grid"):
        where[:3, 3] += 20
        spfd.solve_efield(conductivity, where, coil_files.read(tmp_path / "coil.nii"), 1e6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"values": [[0, 0, 1]]}, "2 points but 1 values"),
        ({"values": [[0, 0], [1, 1]]}, "must have 3 numbers per row"),
        ({"points": [[1e4, 0, 0], [0, 0, 0]]}, "not in the format's units"),
        ({"points": "eJxjYGBg"}, "compressed binary"),
        ({"points": [["a", 0, 0]]}, "not an array of numbers"),
        ({"type": 4}, "type 4 is not one of"),
        ({"values": [[0, 0, float("nan")], [0, 0, 1]]}, "values"),
        ({"deformations": [0]}, "no deformation 0"),
        ({"type": 3, "data": [[[[5, 0, 0]] * 2] * 2] * 2, "affine": np.eye(4).tolist()}, "1 A/s"),
        ({"type": 3, "data": [[1, 2]], "affine": np.eye(4).tolist()}, r"shape \(nx, ny, nz, 3\)"),
    ],
)
def test_bad_elements_are_refused(tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        coil_files.read(written(tmp_path, {**DIPOLES, **change}))


def test_files_that_say_too_little_are_refused(tmp_path):
    with pytest.raises(InputError, match="2 stimulators"):
        coil_files.read(written(tmp_path, DIPOLES, {**LINES, "stimulator": 1}))
    bent = {"deformList": [{"type": "x", "deformRange": 0}],
            "deformRangeList": [{"initial": 3, "range": [0, 5]}]}  # fmt: skip
    with pytest.raises(InputError, match="does not start at 0"):
        coil_files.read(written(tmp_path, {**DIPOLES, "deformations": [0]}, **bent))
    bent["deformRangeList"][0]["initial"] = 0
    coil_files.read(written(tmp_path, {**DIPOLES, "deformations": [0]}, **bent))
    (tmp_path / "empty.tcd").write_text("{}")
    with pytest.raises(InputError, match="no coilElementList"):
        coil_files.read(tmp_path / "empty.tcd")
    (tmp_path / "text.tcd").write_text("hello")
    with pytest.raises(InputError, match="not JSON"):
        coil_files.read(tmp_path / "text.tcd")
    with pytest.raises(InputError, match="cannot be read"):
        coil_files.read(tmp_path / "absent.nii.gz")
    with pytest.raises(InputError, match=r"ends in \.ccd, \.tcd"):
        coil_files.read(tmp_path / "coil.stl")
