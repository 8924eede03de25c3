"""Settings of a training, and digests that identify a training."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from headcond.checks import InputError, check_option, check_positive
from headcond.fem.operator import AffineOperator
from headcond.rom.bounds import NORMS
from headcond.rom.parameters import Box
from headcond.rom.stability import Stability

ORTHOGONALISATIONS = ("repeated", "classical")
RIESZ = ("solve", "cycle")


@dataclass(frozen=True)
class Settings:
    """Sample, norm, Riesz map and stop rules of a training.

    Attributes
    ----------
    current : injected current, A.
    training : number of Latin-hypercube points; the box centre comes on top.
    seed : of the training sample.
    max_snapshots : at most so many snapshots.
    tolerance : end when the largest relative bound over the sample is at most this.
    reading_noise : end when the certified error of the drive voltage, bound^2 / current, is
        at most this everywhere in the sample, V. The next snapshot is then where the
        absolute bound is largest; otherwise where the relative one is.
    norm : "energy", or "euclidean" as in the paper.
    stability : stability factors, for the Euclidean norm.
    orthogonalisation : "repeated" until orthogonal, or "classical" Gram-Schmidt as eq. 7.
    riesz : Riesz map of the energy bound: "solve", or "cycle", V-cycles of the solver at the
        reference with their measured spectral bound: cheaper, and wider by at most the root of
        that spectrum's spread.
    cycles : V-cycles of one Riesz map, joined by Chebyshev's iteration: more of them cost more
        and give a sharper bound.
    riesz_tolerance : true relative residual of the Riesz solves; their error is in the bound.
    """

    current: float = 20e-6
    training: int = 6000
    seed: int = 0
    max_snapshots: int = 40
    tolerance: float | None = None
    reading_noise: float | None = None
    norm: str = "energy"
    stability: Stability | None = None
    orthogonalisation: str = "repeated"
    riesz: str = "solve"
    cycles: int = 1
    riesz_tolerance: float = 1e-12

    def __post_init__(self) -> None:
        check_option("norm", self.norm, NORMS)
        check_option("orthogonalisation", self.orthogonalisation, ORTHOGONALISATIONS)
        check_option("riesz", self.riesz, RIESZ)
        for name in ("current", "training", "max_snapshots", "riesz_tolerance", "cycles"):
            check_positive(name, getattr(self, name))
        for name in ("tolerance", "reading_noise"):
            if getattr(self, name) is not None:
                check_positive(name, getattr(self, name))
        if self.norm == "euclidean" and self.stability is None:
            raise InputError("The Euclidean bound needs stability factors: give `stability`.")
        if self.norm == "euclidean" and self.reading_noise is not None:
            raise InputError("Only the energy bound certifies readings: leave out reading_noise.")
        if self.norm == "energy" and self.orthogonalisation == "classical":
            raise InputError("The energy bound needs an orthonormal basis: use 'repeated'.")


def operator_digest(operator: AffineOperator) -> str:
    """Digest of an operator's blocks, pattern and electrodes, to recognise it."""
    digest = hashlib.sha256(repr((operator.names, operator.electrodes, operator.nodes)).encode())
    for array in (operator.indptr, operator.indices, operator.data):
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()[:16]


def training_digest(operator: AffineOperator, box: Box, settings: Settings) -> str:
    """Digest of all that decides a training's result besides the pair."""
    facts: list[Any] = [operator_digest(operator), box.names, box.lower.tolist(),
                        box.upper.tolist(), sorted(box.fixed.items())]  # fmt: skip
    unused = {"stability"} | ({"cycles"} if settings.riesz == "solve" else set())
    facts += [getattr(settings, f.name) for f in fields(settings) if f.name not in unused]
    if settings.stability is not None:
        stability = settings.stability
        facts += [stability.method, stability.sigma.tolist(), stability.values.tolist()]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
