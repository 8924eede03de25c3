"""Bad input of the TMS wing: every case one clear message, before any solve."""

from __future__ import annotations

import numpy as np
import pytest

from headcond.caps import cap_positions
from headcond.checks import InputError
from headcond.tms import coil, coil_files, placement, regions, spfd

AFFINE = np.diag([5.0, 5, 5, 1])
AFFINE[:3, 3] = -47.5
INDEX = np.stack(np.mgrid[:20, :20, :20], axis=-1) * 5.0 - 47.5
RADIUS = np.linalg.norm(INDEX, axis=-1)
HEAD = (RADIUS < 40).astype(np.uint8) * 8
SIGMA = np.where(HEAD > 0, 0.3, 0.0)
ABOVE = coil.from_dipoles([0, 0, 0.06], [0, 0, 1.0])
SHEARED = AFFINE + np.array([[0, 2.0, 0, 0]] + [[0] * 4] * 3)
INTO = np.diag([1.0, -1, -1, 1])  # z down, into the top of the ball; in mm
INTO[2, 3] = 44.0


def changed(values, where, value):
    out = np.array(values, float)
    out[where] = value
    return out


def matrix(**entries):
    """`INTO` with other entries, each named as r<row>c<column>."""
    out = INTO.copy()
    for name, value in entries.items():
        out[int(name[1]), int(name[3])] = value
    return out


CASES = {
    "coil inside the head": (
        lambda: spfd.solve_efield(SIGMA, AFFINE, coil.from_dipoles([0, 0, 0.02], [0, 0, 1]), 1e6),
        "reaches into conducting voxels",
    ),
    "placed coil inside the head": (
        lambda: placement.from_matrix(HEAD, AFFINE, matrix(r2c3=20.0)), "are inside the head"),
    "windings inside the head": (
        lambda: placement.from_matrix(HEAD, AFFINE, INTO, coil.circular(0.02).transformed(
            placement.from_simnibs(matrix(r2c2=1, r1c1=1, r2c3=10)))), "are inside the head"),
    "z away from the head": (
        lambda: placement.from_matrix(HEAD, AFFINE, matrix(r2c2=1.0, r1c1=1.0)),
        "z does not lead into the head"),
    "matrix in metres": (
        lambda: placement.from_matrix(HEAD, AFFINE, matrix(r2c3=0.044)), "inside the head"),
    "mirrored matrix": (
        lambda: placement.from_matrix(HEAD, AFFINE, matrix(r1c1=1.0)), "mirror image"),
    "scaled matrix": (
        lambda: placement.from_matrix(HEAD, AFFINE, matrix(r0c0=2.0)), "not orthonormal"),
    "sheared affine, placement": (
        lambda: placement.place(HEAD, SHEARED, [0, 0, 40], [0, 30, 40]), "sheared"),
    "sheared affine, field": (
        lambda: spfd.solve_efield(SIGMA, SHEARED, ABOVE, 1e6), "orthogonal|sheared"),
    "zero conductivity in tissue": (
        lambda: regions.check_tissue(changed(SIGMA, (10, 10, 10), 0), HEAD, "map.nii.gz"),
        r"map.nii.gz is zero or negative in voxels of gm \(1\)"),
    "negative conductivity in tissue": (
        lambda: regions.check_tissue(changed(SIGMA, (10, 10, 10), -1), HEAD), "negative"),
    "negative conductivity, field": (
        lambda: spfd.solve_efield(changed(SIGMA, (10, 10, 10), -1), AFFINE, ABOVE, 1e6),
        "negative"),
    "conductivity that is no number": (
        lambda: spfd.solve_efield(changed(SIGMA, (10, 10, 10), np.nan), AFFINE, ABOVE, 1e6),
        "NaN"),
    "no conductive voxel": (
        lambda: spfd.solve_efield(0 * SIGMA, AFFINE, ABOVE, 1e6), "conduct"),
    "no head to place a coil on": (
        lambda: placement.place(0 * HEAD, AFFINE, [0, 0, 40], [0, 30, 40]), "head mask is empty"),
    "position outside the cap": (
        lambda: cap_positions("standard_1005", np.eye(4), ("C3", "C33")),
        "no electrode C33. Did you mean"),
    "position far off the scalp": (
        lambda: placement.place(HEAD, AFFINE, [0, 0, 140], [0, 30, 140]), "mm off the scalp"),
    "hand knob outside the image": (
        lambda: regions.hand_knob(AFFINE, HEAD.shape, np.eye(4), (-42, -13, 166)), "No voxel"),
    "current that is no number": (
        lambda: spfd.solve_efield(SIGMA, AFFINE, ABOVE, float("inf")), "didt"),
    "no distance": (
        lambda: placement.place(HEAD, AFFINE, [0, 0, 40], [0, 30, 40], distance=0), "distance"),
    "half a grid": (
        lambda: placement.scalp_grid(HEAD, AFFINE, placement.from_simnibs(INTO), 10, 0.5), "steps"),
}  # fmt: skip
FILES = {
    "count.ccd": ("2\n0 0 0.1 0 0 1\n", "2 dipoles announced, but the table is"),
    "millimetres.ccd": ("1\n0 0 40 0 0 1\n", "not in the format's units"),
    "words.ccd": ("one\n", "expected a count"),
    "count.tcd": ('{"coilElementList": [{"type": 1, "points": [[0, 0, 1]], "values": []}]}',
                  "must have 3 numbers per row|1 points but 0 values"),
    "metres.tcd": ('{"coilElementList": [{"type": 2, "points": [[0, 0, 9999]], '
                   '"values": [[1, 0, 0]]}]}', "not in the format's units"),
    "coil.obj": ("", "a coil file ends in"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_refused_with_a_message(name):
    call, message = CASES[name]
    with pytest.raises(InputError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", FILES)
def test_bad_coil_files_are_refused_by_name(tmp_path, name):
    text, message = FILES[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        coil_files.read(tmp_path / name)
    assert name in str(caught.value)
