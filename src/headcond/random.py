"""Random streams by name: they do not depend on the order in which they are drawn."""

from __future__ import annotations

import hashlib

import numpy as np


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """Return the generator of `names` (subject, axis, pair, ...) under the study's `seed`.

    The same seed and names give the same stream on every machine, in any order of calls.
    """
    return np.random.default_rng(seed_sequence(seed, *names))


def seed_sequence(seed: int, *names: str | int) -> np.random.SeedSequence:
    """`numpy.random.SeedSequence` of a seed and a name, spawned by name, never by order."""
    text = "\x1f".join(str(name) for name in names)
    digest = hashlib.sha256(text.encode()).digest()
    key = tuple(int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4))
    return np.random.SeedSequence(entropy=seed, spawn_key=key)
