"""Experiment 5 at the size of a cube: variants, their noise and their tables."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from headcond.experiments import measured as experiment
from headcond.experiments.measured import clearest_frequency, fit_variants, noise_level, variants
from headcond.inverse.measurement import Measurement
from headcond.rom.parameters import Box
from tests.helpers.inverse_models import CURRENT, box_points, full_model, galerkin

STD = 1e-7


@pytest.fixture(scope="module")
def full():
    return full_model()


@pytest.fixture(scope="module")
def model(full):
    return galerkin(full, box_points(full, 9, np.random.default_rng(1)))


def middle(model):
    return 0.5 * (model.box.lower + model.box.upper)


def spectrum(full, model, noise=None):
    wide = model.voltages(middle(model))
    wide = wide - wide[:, [11]]
    return [
        Measurement(full.pairs, model.electrodes, scale * wide, np.full(3, CURRENT), "E12",
                    frequency=frequency, noise=noise)
        for frequency, scale in ((5.0, 1.0), (20.0, 0.98))
    ]  # fmt: skip


def test_variants_are_those_of_the_paper():
    names = ("scalp", "compact_bone", "spongy_bone", "csf", "gm", "wm")
    wide = Box(names, [0.136, 0.0008, 0.001, 1.388, 0.06, 0.065],
               [0.62, 0.0131, 0.3, 1.794, 0.739, 0.2], {"contact": 0.2})  # fmt: skip
    found = variants(wide, 5e-5)
    assert len(found) == 4
    outer, outer_wide, every, every_wide = found.values()
    assert set(outer.fixed) == {"csf", "gm", "wm"} and outer.fixed["wm"] == 0.2, "clipped"
    assert outer.limits == {"spongy_bone": (0.001, 0.088)} and not outer_wide.limits
    assert not every.fixed and not every_wide.fixed and every.noise == 5e-5
    narrow = Box(names, wide.lower, [0.62, 0.0131, 0.088, 1.794, 0.739, 0.2], {"contact": 0.2})
    assert list(variants(narrow, 5e-5)) == ["outer tissues", "all tissues"]


def test_fit_variants_says_which_is_which(full, model, caplog):
    caplog.set_level("INFO")
    found = fit_variants(spectrum(full, model), model, variants(model.box, STD))
    assert "fit 4 of 4: all tissues, 20 Hz" in caplog.text
    assert set(found.estimates["variant"]) == {"outer tissues", "all tissues"}
    assert set(found.summary["frequency"]) == {5.0, 20.0} and len(found.facts) == 4
    one = found.summary[(found.summary["frequency"] == 5) & (found.summary["variant"] ==
                        "all tissues")].set_index("parameter")  # fmt: skip
    np.testing.assert_allclose(one["joint"], middle(model), rtol=1e-4)


def test_the_noise_is_the_tables_or_what_reciprocity_shows(full, model, monkeypatch):
    one = spectrum(full, model, noise=STD)[0]
    assert noise_level(one, 5e-7) == STD, "the table's own"
    unknown = dataclasses.replace(one, noise=None)
    monkeypatch.setattr(experiment, "reciprocity_noise", lambda _: (2e-6, 30))
    assert noise_level(unknown, 5e-7) == 2e-6
    assert noise_level(unknown, 5e-6) == 5e-6
    monkeypatch.setattr(experiment, "reciprocity_noise", lambda _: None)
    assert noise_level(unknown, 5e-7) == 5e-7


def test_the_clearest_frequency_is_that_of_the_least_reciprocity_noise():
    noise = {5.0: 7e-5, 100.0: 4e-5, 20.0: 5e-5}
    facts = [{"frequency": f, "reciprocity_noise": s} for f, s in noise.items()]
    assert clearest_frequency(facts) == 100
    facts[0]["reciprocity_noise"] = None
    assert clearest_frequency(facts) == 5
