"""Box and training settings of a study's section `rom`, as objects of `headcond.rom`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from headcond.checks import InputError
from headcond.rom.model import ReducedModel
from headcond.rom.parameters import Box, operator_box
from headcond.rom.settings import Settings
from headcond.study.paths import pair_count


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


def check_geometry(folder: str, made: Mapping[str, Any], geometry: Mapping[str, Any]) -> None:
    """Check that the head of another study has this study's mesh, cap and electrode model.

    Parameters
    ----------
    folder : results of the other study, for the message.
    made : parameters of its mesh and operators, from their sidecars.
    geometry : this study's, by the same names.

    Raises
    ------
    InputError
        If one differs.
    """
    made = {**made.get("electrodes", {}), **made}  # a section of its own in older results
    for key, value in geometry.items():
        if key in made and made[key] != value:
            raise InputError(
                f"rom.trained: {folder} was made with {key} {made[key]}, this study says {value}: "
                "use the same settings of the head, or train anew."
            )


def check_trained(
    folder: str, model: ReducedModel, box: Box, current: float, sink: str, pairs: int | Sequence
) -> None:
    """Check that a reduced model of another study is the one that this study would train.

    Raises
    ------
    InputError
        If box, current (A), sink or number of pairs differ.
    """
    same = model.box.names == box.names and all(
        np.allclose(getattr(model.box, end), getattr(box, end)) for end in ("lower", "upper")
    )
    same = same and dict(model.box.fixed) == dict(box.fixed)
    if not same or model.current != current or model.sink != sink:
        raise InputError(
            f"rom.trained: the model in {folder} has another box, current or sink than rom.box, "
            "rom.fixed, inverse.current and head.electrodes.sink: use the same, or train anew."
        )
    if pair_count(pairs) != len(model.pairs):
        raise InputError(
            f"rom.trained: the model in {folder} has {len(model.pairs)} pairs, rom.pairs asks "
            f"for {pair_count(pairs)}: write {len(model.pairs)}."
        )
