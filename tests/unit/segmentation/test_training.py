"""A short training repeats bit by bit, goes on after an interruption, and learns."""

import dataclasses

import numpy as np
import pytest
import torch

from headcond.checks import InputError
from headcond.segmentation import training
from headcond.segmentation.training import Schedule, train

SHORT = Schedule(4, 1e-2, early=(32, 32, 32), late=(32, 40, 32), late_from=0.5)


@pytest.fixture(autouse=True)
def short_rounds(monkeypatch):
    monkeypatch.setattr(training, "ROUND", 2)


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def run(anatomy, folder, tiny, **options):
    held = dataclasses.replace(anatomy, name="held back")
    return train(
        [anatomy], SHORT, folder, seed=5, held_back=[held], validate_every=1,
        network=tiny, **options,
    )  # fmt: skip


def test_it_repeats_and_resumes_bit_by_bit(anatomy, tiny, tmp_path):
    once, history = run(anatomy, tmp_path / "a", tiny)
    again, _ = run(anatomy, tmp_path / "b", tiny)
    assert same(once, again) and not same(once, tiny)
    run(anatomy, tmp_path / "c", tiny, rounds=1)
    resumed, resumed_history = run(anatomy, tmp_path / "c", tiny)
    assert same(once, resumed)
    assert [entry["step"] for entry in resumed_history] == [2, 4]
    for one, other in zip(history, resumed_history, strict=True):
        assert one["cross_entropy"] == other["cross_entropy"]
        assert one["held_back"].keys() == other["held_back"].keys()
        np.testing.assert_array_equal(
            list(one["held_back"].values()), list(other["held_back"].values())
        )


def test_fresh_weights_follow_from_the_seed_alone(anatomy, tmp_path, monkeypatch):
    small = {"stem": 4, "widths": (4, 6), "head": 4}
    make = training.SegmentationNetwork
    monkeypatch.setattr(training, "SegmentationNetwork", lambda: make(**small))
    networks = []
    for number in range(2):
        torch.manual_seed(number)
        networks.append(train([anatomy], SHORT, tmp_path / str(number), seed=5, rounds=1)[0])
    assert same(*networks)


def test_the_rate_rises_and_falls():
    schedule = Schedule(1000, 1.0)
    rates = [schedule.rate(step) for step in range(1000)]
    assert rates[0] == pytest.approx(0.02) and max(rates) == pytest.approx(1.0, abs=1e-3)
    assert np.argmax(rates) == pytest.approx(50, abs=2) and rates[-1] < 1e-3
    assert schedule.shape(0) == schedule.early and schedule.shape(999) == schedule.late


def test_another_trainings_state_is_refused(anatomy, tiny, tmp_path):
    run(anatomy, tmp_path, tiny, rounds=1)
    with pytest.raises(InputError, match="another training"):
        train([anatomy], dataclasses.replace(SHORT, steps=6), tmp_path, seed=5, network=tiny)


def test_held_back_heads_are_never_trained_on(anatomy, tmp_path):
    with pytest.raises(InputError, match="balls"):
        train([anatomy], SHORT, tmp_path, seed=1, held_back=[anatomy])
    with pytest.raises(InputError, match="no anatomies"):
        train([], SHORT, tmp_path, seed=1)
