"""Sections of a study as objects of `headcond.rom`: box and training settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headcond.rom.parameters import Box, operator_box
from headcond.rom.settings import Settings


def study_box(rom: Mapping[str, Any], electrodes: Mapping[str, Any], blocks: Sequence[str]) -> Box:
    """`operator_box` by a study's sections `rom` and `head.electrodes`."""
    return operator_box(
        rom["box"], blocks, electrodes["contact_impedance"], rom["contact"], rom["fixed"]
    )


def study_settings(rom: Mapping[str, Any], current: float, seed: int) -> Settings:
    """Settings of a training by a study's section `rom`; a stop at 0 is none.

    Parameters
    ----------
    rom : as docs/study-file.md has it.
    current : injected current, A.
    """
    return Settings(
        current=current, training=rom["training_points"], seed=seed,
        max_snapshots=rom["snapshots"], tolerance=rom["tolerance"] or None,
        reading_noise=rom["reading_noise"] or None, norm=rom["norm"], riesz=rom["riesz"],
        cycles=rom["cycles"],
    )  # fmt: skip
