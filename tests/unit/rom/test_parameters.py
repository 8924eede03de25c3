"""Boxes, affine coefficients and training samples."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headcond.checks import InputError
from headcond.random import generator
from headcond.rom.parameters import Box, latin_hypercube, named_box
from tests.helpers import rom_synthetic

TISSUES, CONTACT = rom_synthetic.TISSUES, rom_synthetic.CONTACT


def worst_effectivity(box):
    """Largest sqrt(gamma/alpha) over the corners of the box, by brute force."""
    corners = np.stack(np.meshgrid(*zip(box.lower, box.upper, strict=True)), -1)
    theta = box.theta(corners.reshape(-1, len(box.names)))
    ratio = theta / box.reference
    return np.sqrt(ratio.max(axis=-1) / ratio.min(axis=-1)).max()


@pytest.mark.parametrize(
    ("name", "parameters", "limit"),
    [
        ("quartile", TISSUES, 1.97),
        ("full", TISSUES, 6.17),
        ("expanded_spongy", TISSUES, 8.38),
        ("merged_skull", ("scalp", "skull", "csf", "gm", "wm"), 2.54),
        ("quartile", ("scalp", "skull_radial", "skull_tangential", "csf", "gm", "wm"), 4.65),
    ],
)
def test_published_effectivity_limits_of_the_named_boxes(name, parameters, limit):
    assert worst_effectivity(named_box(name, parameters)) == pytest.approx(limit, abs=0.015)


def test_paper_ranges_and_contact():
    box = named_box("full", ("compact_bone", "contact"), contact=(0.1, 0.4), fixed={"gm": 0.3})
    assert box.lower.tolist() == [0.0008, 0.1]
    assert box.upper.tolist() == [0.0131, 0.4]
    assert named_box("expanded_spongy", ["spongy_bone"]).upper[0] == 0.3
    with pytest.raises(InputError, match="least and largest 1/z"):
        named_box("full", ("compact_bone", "contact"))
    with pytest.raises(InputError, match="Did you mean 'quartile'"):
        named_box("quartiles", TISSUES)


def test_blocks_add_up_to_the_operator():
    operator = rom_synthetic.synthetic_operator(6)
    fixed = {"contact": CONTACT, "csf": 1.6, "gm": 0.3}
    merged = Box(("skull", "scalp", "wm"), [0.002, 0.3, 0.1], [0.04, 0.4, 0.2], fixed)
    sigma = np.array([0.01, 0.35, 0.12])
    theta = merged.theta(sigma)
    total = sum(t * block for t, block in zip(theta, merged.blocks(operator), strict=True))
    named = {**fixed, "scalp": 0.35, "wm": 0.12, "compact_bone": 0.01, "spongy_bone": 0.01}
    expected = operator.combine([named[name] for name in operator.names])
    assert abs(total - expected).max() < 1e-15
    assert abs(operator.combine(merged.coefficients(operator, sigma)) - expected).max() == 0
    assert merged.block_names == ("skull", "scalp", "wm", "fixed")
    assert theta[-1] == merged.reference[-1] == 1.0


def test_a_block_without_coefficient_is_named():
    operator = rom_synthetic.synthetic_operator(6)
    box = named_box("full", TISSUES[:5], fixed={"contact": CONTACT})
    with pytest.raises(InputError, match="No coefficient for the operator's wm"):
        box.blocks(operator)
    box = named_box("full", TISSUES, fixed={"contact": CONTACT, "fat": 0.04})
    with pytest.raises(InputError, match="'fat'"):
        box.blocks(operator)
    box = named_box("full", (*TISSUES, "skull"), fixed={"contact": CONTACT})
    with pytest.raises(InputError, match="two coefficients"):
        box.blocks(operator)
    box = Box(("fat",), [0.1], [0.2])
    with pytest.raises(InputError, match="varies 'fat'"):
        box.blocks(operator)


@pytest.mark.parametrize(
    ("lower", "upper", "fixed", "message"),
    [
        ([0.1, 0.4], [0.2, 0.4], {}, "minimum 0.4 is not below the maximum 0.4"),
        ([0.1, 0.5], [0.2, 0.4], {}, "Box of b: the minimum"),
        ([0.0, 0.1], [0.2, 0.4], {}, "Box of a: the minimum must be above 0"),
        ([0.1, np.nan], [0.2, 0.4], {}, "NaN"),
        ([0.1], [0.2], {}, "names 2 parameters"),
        ([0.1, 0.1], [0.2, 0.4], {"a": 1.0}, "named twice: a"),
        ([0.1, 0.1], [0.2, 0.4], {"c": 0.0}, "fixed c"),
    ],
)
def test_bad_boxes_are_refused(lower, upper, fixed, message):
    with pytest.raises(InputError, match=message):
        Box(("a", "b"), lower, upper, fixed)


def test_points_outside_are_refused_with_the_parameter():
    box = Box(("a", "b"), [0.1, 1.0], [0.2, 2.0])
    points = np.array([[0.1, 2.0], [0.1, 2.0001], [0.15, 1.5]])
    assert box.inside(points).tolist() == [True, False, True]
    with pytest.raises(InputError, match=r"1 of 3 points .* b = 2\.0001, trained from 1 to 2"):
        box.check(points)
    with pytest.raises(InputError, match="not above 0"):
        box.theta([-0.1, 1.0])
    with pytest.raises(InputError, match="2 values in its last axis"):
        box.theta([0.1, 1.0, 1.0])


def test_latin_hypercube_is_stratified_and_starts_at_the_centre():
    box = named_box("full", TISSUES)
    sample = latin_hypercube(box, 50, generator(3, "rom"))
    assert np.array_equal(sample[0], 0.5 * (box.lower + box.upper))
    unit = (sample[1:] - box.lower) / (box.upper - box.lower)
    strata = np.sort(np.floor(unit * 50).astype(int), axis=0)
    assert np.array_equal(strata, np.repeat(np.arange(50)[:, None], 6, axis=1))
    assert np.array_equal(sample, latin_hypercube(box, 50, generator(3, "rom")))
    assert not np.array_equal(sample, latin_hypercube(box, 50, generator(4, "rom")))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(1e-3, 10.0), min_size=3, max_size=3), st.integers(0, 2**31))
def test_min_and_max_theta_enclose_every_rayleigh_quotient(theta, seed):
    rng = np.random.default_rng(seed)
    roots = rng.standard_normal((3, 5, 5))
    blocks = roots @ roots.transpose(0, 2, 1)
    reference = rng.uniform(0.1, 2.0, 3)
    theta, x = np.array(theta), rng.standard_normal(5)
    quotient = np.einsum("q,i,qij,j", theta, x, blocks, x) / np.einsum(
        "q,i,qij,j", reference, x, blocks, x
    )
    assert (theta / reference).min() * (1 - 1e-12) <= quotient
    assert quotient <= (theta / reference).max() * (1 + 1e-12)
