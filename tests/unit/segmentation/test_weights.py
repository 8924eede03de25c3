"""Weights and their card: written, read, and refused when they are not what they should be."""

import json

import pytest
import torch

from headcond.checks import InputError
from headcond.segmentation import weights
from headcond.segmentation.weights import SHIPPED, load_weights, read_card, save_weights


@pytest.fixture
def packed(tiny, tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(path, tiny, {"steps": 4})
    return path


def test_weights_come_back_in_half_precision(tiny, packed):
    back = load_weights(packed)
    assert not back.training and back.settings == tiny.settings
    assert read_card(packed)["steps"] == 4
    for (name, one), (_, other) in zip(
        tiny.state_dict().items(), back.state_dict().items(), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-6, msg=name)
        assert other.dtype == torch.float32


def test_writing_is_repeatable(tiny, packed, tmp_path):
    save_weights(tmp_path / "again.safetensors", tiny, {"steps": 4})
    assert (tmp_path / "again.safetensors").read_bytes() == packed.read_bytes()


def test_damaged_weights_are_refused(packed):
    content = bytearray(packed.read_bytes())
    content[-1] ^= 1
    packed.write_bytes(content)
    with pytest.raises(InputError, match="digest"):
        load_weights(packed)


def test_missing_and_huge_files_are_refused(packed, monkeypatch):
    monkeypatch.setattr(weights, "LARGEST_WEIGHTS", 1000)
    with pytest.raises(InputError, match="larger than 1000"):
        load_weights(packed)
    packed.unlink()
    with pytest.raises(InputError, match="cannot be read"):
        load_weights(packed)


@pytest.mark.parametrize("text", ["[", "[1]", '{"format": "other"}'])
def test_other_cards_are_refused(packed, text):
    packed.with_suffix(".json").write_text(text)
    with pytest.raises(InputError, match="card|JSON"):
        load_weights(packed)


def test_another_networks_weights_are_refused(packed):
    card = json.loads(packed.with_suffix(".json").read_text())
    card["network"]["stem"] = 8
    packed.with_suffix(".json").write_text(json.dumps(card))
    with pytest.raises(InputError, match="cannot be built"):
        load_weights(packed)


def test_weights_that_overflow_are_refused(tiny, tmp_path):
    with torch.no_grad():
        tiny.out.bias[0] = 1e6
    with pytest.raises(InputError, match=r"out\.bias"):
        save_weights(tmp_path / "w.safetensors", tiny, {})


def test_the_shipped_weights_load():
    if not SHIPPED.exists():
        pytest.skip("no weights in this checkout")
    card = read_card()
    assert card["bytes"] == SHIPPED.stat().st_size <= weights.LARGEST_WEIGHTS
    network = load_weights()
    assert all(bool(torch.isfinite(p).all()) for p in network.parameters())
