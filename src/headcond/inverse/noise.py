"""Measurement noise, white per electrode before re-referencing, and its whitening after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headcond.checks import check_option, check_positive
from headcond.inverse.protocol import AVERAGE, Protocol, check_noise, rank_one

# Standard deviation of Fernandez-Corazza et al. (2018), used by the ROM-pEIT study.
DEFAULT_NOISE = 0.82e-6


def add_noise(potentials: np.ndarray, std: float, generator: np.random.Generator) -> np.ndarray:
    """Return potentials with independent Gaussian noise of every electrode, before any reference.

    Parameters
    ----------
    potentials : (..., pairs, L) V.
    std : standard deviation of one electrode, V.
    generator : see `headcond.random.generator`.
    """
    check_positive("noise", std)
    return potentials + std * generator.standard_normal(np.shape(potentials))


@dataclass(frozen=True)
class Whitener:
    """Linear map that turns reading noise into independent standard normal numbers.

    For each pair it is diag(scale) (I - shift weights^T), a rank-one change of a diagonal, which
    costs one pass over the readings. Apply it to readings or their Jacobian.

    Attributes
    ----------
    scale, shift, weights : (pairs, L).
    dof : (pairs,) independent readings, the number of nonzero entries of a result.
    correlation : the noise of the results has the covariance I + correlation 1 1^T within a pair;
        0 if they are independent.
    """

    scale: np.ndarray
    shift: np.ndarray
    weights: np.ndarray
    dof: np.ndarray
    correlation: float = 0.0

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Whiten readings (..., pairs, L) in V; redundant entries are zero."""
        return rank_one(values, self.scale, self.shift, self.weights)

    def jacobian(self, values: np.ndarray) -> np.ndarray:
        """Whiten a Jacobian (..., pairs, L, P) of readings."""
        return rank_one(values, self.scale, self.shift, self.weights, trailing=True)

    def select(self, pairs: Sequence[int]) -> Whitener:
        """The whitener of the pairs of these indices, which may repeat."""
        index = np.asarray(pairs, int)
        return Whitener(self.scale[index], self.shift[index], self.weights[index], self.dof[index],
                        self.correlation)  # fmt: skip

    def adjoint(self, values: np.ndarray) -> np.ndarray:
        """Apply the transpose to whitened values (..., pairs, L)."""
        scaled = self.scale * values
        return rank_one(scaled, np.ones_like(self.scale), self.weights, self.shift)


def whitener(
    protocol: Protocol, std: float | np.ndarray, weighting: str = "covariance"
) -> Whitener:
    """Whiten the readings of a protocol under white electrode noise.

    One reference, R readings: (I + 1 1^T)^(-1/2) = I - c 1 1^T with
    c = (1 - (R + 1)^(-1/2)) / R. Average of R: an orthonormal basis of the contrasts, the
    first R - 1 rows of the Householder reflection that takes 1/sqrt(R) to the last unit
    vector; on readings that sum to zero it adds v_R / (sqrt(R) - 1) to each of the others.

    Parameters
    ----------
    protocol : patterns and readings.
    std : standard deviation of an electrode's noise before re-referencing, V; one number,
        or one per pair.
    weighting : "covariance", or "plain" to divide by the deviation only. Against an average the
        two are equivalent, as the covariance of its readings is a projection.
    """
    check_option("weighting", weighting, ("covariance", "plain"))
    deviation = check_noise(std, protocol)[:, None]
    mask = protocol.mask.astype(float)
    count = mask.sum(axis=1, keepdims=True)
    if weighting == "plain" and protocol.reference != AVERAGE:
        return Whitener(mask / deviation, 0.0 * mask, 0.0 * mask, protocol.dof, 1.0)
    if protocol.reference != AVERAGE:
        factor = (1.0 - 1.0 / np.sqrt(count + 1.0)) / count
        return Whitener(mask / deviation, factor * mask, mask, protocol.dof)
    last = np.zeros_like(mask)
    position = mask.shape[1] - 1 - np.argmax(mask[:, ::-1], axis=1)
    last[np.arange(len(mask)), position] = 1.0
    kept = mask - last
    return Whitener(kept / deviation, -kept / (np.sqrt(count) - 1.0), last, protocol.dof)
