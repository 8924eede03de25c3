"""Box and training settings of a study's section `rom`, as objects of `headcond.rom`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headcond.rom.parameters import Box, operator_box
from headcond.rom.settings import Settings


def study_box(rom: Mapping[str, Any], electrodes: Mapping[str, Any], blocks: Sequence[str]) -> Box:
    """Box of the conductivities of a study (`operator_box`).

    Parameters
    ----------
    rom, electrodes : sections `rom` and `head.electrodes`.
    blocks : names of the operator's blocks.
    """
    return operator_box(
        rom["box"], blocks, electrodes["contact_impedance"], rom["contact"], rom["fixed"]
    )


def study_settings(rom: Mapping[str, Any], current: float, seed: int) -> Settings:
    """Settings of a study's training.

    Parameters
    ----------
    rom : section `rom`; a stop rule at 0 is off.
    current : injected current, A.
    seed : of the study.
    """
    return Settings(
        current=current, training=rom["training_points"], seed=seed,
        max_snapshots=rom["snapshots"], tolerance=rom["tolerance"] or None,
        reading_noise=rom["reading_noise"] or None, norm=rom["norm"], riesz=rom["riesz"],
        cycles=rom["cycles"],
    )  # fmt: skip
