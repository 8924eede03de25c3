from __future__ import annotations

import numpy as np
import pytest

from headcond.checks import InputError
from headcond.inverse.protocol import (
    check_data,
    make_protocol,
    reading_jacobian,
    readings,
    readings_adjoint,
)

ELECTRODES = ("A", "B", "C", "D", "E", "F")
PAIRS = (("A", "F"), ("B", "F"))


def test_average_reference_by_hand():
    protocol = make_protocol(PAIRS, ELECTRODES)
    potentials = np.array([[100.0, 1, 2, 3, 6, -100], [1.0, 100, 2, 3, 6, -100]])
    expected = [[0, -2, -1, 0, 3, 0], [-2, 0, -1, 0, 3, 0]]
    np.testing.assert_allclose(readings(potentials, protocol), expected)
    assert protocol.dof.tolist() == [3, 3]
    assert protocol.mask.sum() == 8


def test_single_reference_by_hand():
    protocol = make_protocol(PAIRS, ELECTRODES, "D", missing={None: ["E"], ("B", "F"): ["A"]})
    potentials = np.array([[100.0, 1, 2, 3, 6, -100], [1.0, 100, 2, 4, 6, -100]])
    expected = [[0, -2, -1, 0, 0, 0], [0, 0, -2, 0, 0, 0]]
    np.testing.assert_allclose(readings(potentials, protocol), expected)
    assert protocol.dof.tolist() == [2, 1]


def test_missing_electrode_leaves_the_average():
    protocol = make_protocol(PAIRS[:1], ELECTRODES, missing={("A", "F"): ["E"]})
    potentials = np.array([[0.0, 1, 2, 3, 1e6, 0]])
    np.testing.assert_allclose(readings(potentials, protocol), [[0, -1, 0, 1, 0, 0]])


@pytest.mark.parametrize("reference", ["average", "C"])
def test_offset_and_injecting_electrodes_do_not_matter(reference):
    rng = np.random.default_rng(0)
    protocol = make_protocol(PAIRS, ELECTRODES, reference)
    potentials = rng.standard_normal((7, 2, 6))
    changed = potentials + rng.standard_normal((7, 2, 1))
    for m, pair in enumerate(PAIRS):
        changed[:, m, [ELECTRODES.index(label) for label in pair]] += 9.0
    np.testing.assert_allclose(readings(changed, protocol), readings(potentials, protocol),
                               atol=1e-14)  # fmt: skip


@pytest.mark.parametrize("reference", ["average", "C"])
def test_jacobian_and_adjoint_are_those_of_the_linear_map(reference):
    rng = np.random.default_rng(1)
    protocol = make_protocol(PAIRS, ELECTRODES, reference, missing={None: ["E"]})
    slopes, dual = rng.standard_normal((4, 2, 6, 3)), rng.standard_normal((4, 2, 6))
    got = reading_jacobian(slopes, protocol)
    for k in range(3):
        np.testing.assert_allclose(got[..., k], readings(slopes[..., k], protocol), atol=1e-15)
    left = np.sum(dual * readings(slopes[..., 0], protocol))
    right = np.sum(readings_adjoint(dual, protocol) * slopes[..., 0])
    assert left == pytest.approx(right, abs=1e-12)


def test_select_repeats_pairs():
    protocol = make_protocol(PAIRS, ELECTRODES)
    part = protocol.select([1, 1, 0])
    assert part.pairs == (PAIRS[1], PAIRS[1], PAIRS[0])
    values = np.random.default_rng(2).standard_normal((3, 6))
    np.testing.assert_array_equal(
        readings(values, part)[0], readings(np.stack([values[1], values[0]]), protocol)[1]
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((("A", "Z"),), ELECTRODES), "'Z' is not among"),
        (((("A", "A"),), ELECTRODES), "same electrode"),
        ((PAIRS, ELECTRODES, "A"), "uses the reference electrode"),
        ((PAIRS, ELECTRODES, "Q"), "reference electrode 'Q'"),
        ((PAIRS, (*ELECTRODES, "A")), "not unique"),
        (((), ELECTRODES), "no injection pair"),
        ((PAIRS, ELECTRODES, "C", {None: ["C"]}), "is missing under pair"),
        ((PAIRS, ELECTRODES, "average", {("X", "F"): ["C"]}), "not injected"),
        ((PAIRS, ELECTRODES, "average", {None: ["B", "C", "D", "E"]}), "no independent reading"),
        ((PAIRS, ELECTRODES, "average", {None: ["W"]}), "missing electrode 'W'"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(InputError, match=message):
        make_protocol(*arguments)


def test_data_with_holes_is_refused_and_named():
    protocol = make_protocol(PAIRS, ELECTRODES)
    data = np.full((3, 2, 6), np.nan)
    data[:, protocol.mask] = 1.0
    assert np.all(check_data(data, protocol)[:, ~protocol.mask] == 0)
    data[2, 1, 3] = np.nan
    with pytest.raises(InputError, match="1 readings .* electrode D under pair B-F"):
        check_data(data, protocol)
    with pytest.raises(InputError, match="shape"):
        readings(np.zeros((2, 5)), protocol)
