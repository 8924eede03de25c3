"""The shipped weights: half precision in a safetensors file, with a card that says what they are.

A safetensors file holds numbers and nothing that runs; its size and digest are checked against the
card before a byte of it is interpreted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load as parse
from safetensors.numpy import save as serialise

from headcond.checks import InputError
from headcond.files.results import atomic
from headcond.segmentation.network import SegmentationNetwork

FORMAT = "headcond segmentation 1"
LARGEST_WEIGHTS = 12_000_000
"""Bytes of the largest weight file that is read."""
LARGEST_CARD = 1_000_000
SHIPPED = Path(__file__).parent / "data" / "weights.safetensors"
"""The weights that come with the package; the card has the same name with `.json`."""


def save_weights(
    path: str | Path, network: SegmentationNetwork, facts: Mapping[str, Any]
) -> dict[str, Any]:
    """Write a network's weights in half precision and their card next to them.

    Parameters
    ----------
    path : file name ending in `.safetensors`; the card gets the suffix `.json`.
    network : trained network (the running average of its weights, as `train` returns it).
    facts : what the card should say: training data, licences, steps, curve, scores, limits.

    Returns
    -------
    The card.

    Raises
    ------
    InputError
        If a weight is not finite in half precision, or the file would exceed `LARGEST_WEIGHTS`.
    """
    path = Path(path)
    arrays = {}
    for name, value in sorted(network.state_dict().items()):
        with np.errstate(over="ignore"):
            half = value.detach().cpu().contiguous().numpy().astype(np.float16)
        if not np.isfinite(half).all():
            raise InputError(f"The weight {name} is not finite in half precision.")
        arrays[name] = half
    content = serialise(arrays, {"format": FORMAT})
    if len(content) > LARGEST_WEIGHTS:
        raise InputError(
            f"The weights take {len(content)} bytes, more than {LARGEST_WEIGHTS}: make the network "
            "smaller."
        )
    card = {
        "format": FORMAT,
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "network": network.settings,
        **facts,
    }
    with atomic(path) as temporary:
        temporary.write_bytes(content)
    with atomic(path.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    return card


def read_card(path: str | Path = SHIPPED) -> dict[str, Any]:
    """Read the card of a weight file.

    Raises
    ------
    InputError
        If there is none, or it is not a card of this format.
    """
    card_path = Path(path).with_suffix(".json")
    text = _bounded(card_path, LARGEST_CARD)
    try:
        card = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{card_path}: is not JSON ({error}). Install headcond again.") from error
    found = card.get("format") if isinstance(card, dict) else None
    if found != FORMAT:
        raise InputError(
            f"{card_path}: expected a card of format {FORMAT!r}, got {found!r}. Install headcond "
            "again, or name weights of this version."
        )
    return card


def load_weights(path: str | Path = SHIPPED) -> SegmentationNetwork:
    """Build the network of a weight file.

    Parameters
    ----------
    path : weight file, its card next to it; the shipped one by default.

    Returns
    -------
    The network in evaluation mode, float32.

    Raises
    ------
    InputError
        If the file or its card is missing, damaged, too large or of another network.
    """
    path = Path(path)
    card = read_card(path)
    content = _bounded(path, LARGEST_WEIGHTS)
    if hashlib.sha256(content).hexdigest() != card.get("sha256"):
        raise InputError(
            f"{path}: its digest is not the one of its card, so it is damaged or was replaced. "
            "Install headcond again."
        )
    try:
        with torch.device("meta"):  # no weights to draw: the caller's random state is untouched
            network = SegmentationNetwork(**card["network"])
        state = {
            name: torch.from_numpy(values.astype(np.float32))
            for name, values in parse(content).items()
        }
        network.load_state_dict(state, assign=True)
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{path}: its network cannot be built ({error}). Install headcond again."
        ) from error
    network.to(memory_format=torch.channels_last_3d)
    return network.requires_grad_(False).eval()


def _bounded(path: Path, largest: int) -> bytes:
    """Content of a file that is no larger than `largest` bytes."""
    try:
        with open(path, "rb") as stream:
            content = stream.read(largest + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error}). Install headcond again.") from error
    if len(content) > largest:
        raise InputError(f"{path}: is larger than {largest} bytes, so it is not what it should be.")
    return content
