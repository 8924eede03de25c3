"""Conductivity from probabilities: by hand for a voxel, invariants for many."""

import numpy as np
import pytest

from headcond.checks import InputError
from headcond.segmentation.conductivity import (
    METHODS,
    conductivity_interval,
    conductivity_of,
)
from headcond.tissues import TISSUES, conductivity_map, conductivity_table, tissue_id

TABLE = conductivity_table("B")


def voxel(**shares):
    out = np.zeros((14, 1, 1, 1))
    for name, share in shares.items():
        out[tissue_id(name)] = share
    return out


def random(shape=(4, 5, 6)):
    return np.moveaxis(np.random.default_rng(0).dirichlet(np.full(14, 0.3), shape), -1, 0)


def test_certain_labels_give_the_uniform_map():
    labels = np.random.default_rng(0).integers(0, 14, (5, 6, 7))
    certain = np.moveaxis(np.eye(14)[labels], -1, 0)
    for method in METHODS:
        np.testing.assert_allclose(
            conductivity_of(certain, TABLE, method), conductivity_map(labels, TABLE), rtol=1e-5
        )


def test_bone_and_fluid_by_hand():
    mixed = voxel(bone_cortical=0.6, csf=0.3, air=0.1)
    bone, fluid = TABLE["bone_cortical"], TABLE["csf"]
    wanted = {
        "median": bone,
        "label": bone,
        "arithmetic": (2 * bone + fluid) / 3,
        "geometric": (bone**2 * fluid) ** (1 / 3),
    }
    for method, value in wanted.items():
        assert conductivity_of(mixed, TABLE, method).item() == pytest.approx(value, rel=1e-5)
    lower, upper = conductivity_interval(mixed, TABLE)
    assert (lower.item(), upper.item()) == pytest.approx((bone, fluid))


def test_air_is_exactly_zero():
    for shares in ({"air": 0.6, "skin": 0.4}, {"air": 1.0}):
        for method in METHODS:
            assert conductivity_of(voxel(**shares), TABLE, method).item() == 0


def test_the_interval_holds_the_median():
    shares = random()
    middle = conductivity_of(shares, TABLE)
    lower, upper = conductivity_interval(shares, TABLE)
    assert (lower <= middle).all() and (middle <= upper).all()
    assert ((lower == 0) == (middle == 0)).all()


def test_the_median_is_the_slow_one():
    shares = random((3, 3, 3))
    got = conductivity_of(shares, TABLE)
    values = np.array([TABLE[name] for name in TISSUES])
    order = np.argsort(values, kind="stable")
    for index in np.ndindex(3, 3, 3):
        own = shares[(slice(1, None), *index)]
        if shares[(0, *index)] >= own.sum():
            assert got[index] == 0
            continue
        place = np.searchsorted(np.cumsum(own[order]) / own.sum(), 0.5)
        assert got[index] == pytest.approx(values[order[place]])


def test_unusable_input_is_refused():
    with pytest.raises(InputError, match="Did you mean 'median'"):
        conductivity_of(random(), TABLE, "medium")
    with pytest.raises(InputError, match="lacks skin"):
        conductivity_of(random(), {k: v for k, v in TABLE.items() if k != "skin"})
    with pytest.raises(InputError, match="shape"):
        conductivity_of(random()[:-1], TABLE)
    with pytest.raises(InputError, match="quantiles"):
        conductivity_interval(random(), TABLE, (0.9, 0.1))
