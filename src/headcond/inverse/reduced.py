"""Forward model of any injection patterns from a reduced model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from headcond.checks import InputError, check_option
from headcond.inverse.protocol import Protocol
from headcond.rom.corrected import corrected_potentials, corrected_rows
from headcond.rom.model import ReducedModel
from headcond.rom.parameters import Box

_SIGNS = np.array([1.0, -1.0])  # current enters at a pattern's first electrode


class ReducedForward:
    """Potentials and Jacobians of injection patterns from pairs trained against one sink.

    The pattern (i, j) is the difference of the trained pairs (i, sink) and (j, sink).

    Parameters
    ----------
    model : trained pairs.
    pairs : (source, sink) labels of the patterns; the trained pairs by default.
    snapshots : number of basis vectors of each pair that are used; all by default.
    corrected : readings corrected by the dual solutions (`ReducedModel.voltages`); by default if
        the model has the cross blocks.
    limits : (least, largest) of some parameters by name, S/m: a smaller box for estimates,
        inside the trained one.

    Attributes
    ----------
    names, lower, upper, pairs, electrodes, current : see `objective.ForwardModel`.

    Raises
    ------
    InputError
        If a pattern uses an electrode that no pair was trained for, or limits leave the box.
    """

    def __init__(
        self,
        model: ReducedModel,
        pairs: Sequence[tuple[str, str]] | None = None,
        snapshots: int | None = None,
        corrected: bool | None = None,
        limits: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        trained = tuple((pair.source, pair.sink) for pair in model.pairs)
        wanted = trained if pairs is None else tuple((str(i), str(j)) for i, j in pairs)
        self._model = model
        self._box = model.box
        self._base = [pair.first(snapshots) for pair in model.pairs]
        self._cross = None
        if model.cross is not None if corrected is None else corrected:
            self._places = model.source_indices()
            self._sink = model.electrodes.index(model.sink)
            self._cross = model.cross.first(snapshots)
        # Numbers of a pattern's two pairs; -1 for the common sink, which has no pair.
        numbers = {**{label: n for n, label in enumerate(model.sources)}, model.sink: -1}
        for source, sink in wanted:
            for label in (source, sink):
                check_option("electrode of a pattern", label, numbers)
            if source == sink:
                raise InputError(
                    f"A pattern injects and extracts at the same electrode {source!r}."
                )
        self._numbers = np.array([numbers[label] for pair in wanted for label in pair], int)
        self._numbers = self._numbers.reshape(-1, 2)
        self.names = tuple(model.box.names)
        self.lower, self.upper = _narrowed(model.box, limits or {})
        self.pairs = wanted
        self.electrodes = tuple(model.electrodes)
        self.current = model.current

    def voltages(self, sigma: ArrayLike) -> np.ndarray:
        """Electrode potentials (..., pairs, L) in V, for sigma (..., P) in S/m in the box."""
        return self._of_all(sigma, 0)

    def jacobian(self, sigma: ArrayLike) -> np.ndarray:
        """Derivatives (..., pairs, L, P) of the potentials in V/(S/m)."""
        return self._of_all(sigma, len(self.names))

    def voltages_each(self, sigma: ArrayLike, pairs: Sequence[int]) -> np.ndarray:
        """Potentials (n, L) of the patterns of indices (n,), each at its own sigma (n, P)."""
        return self._of_each(sigma, pairs, 0)

    def jacobian_each(self, sigma: ArrayLike, pairs: Sequence[int]) -> np.ndarray:
        """Derivatives (n, L, P) of the patterns' potentials, each at its own sigma (n, P)."""
        return self._of_each(sigma, pairs, len(self.names))

    def _of_all(self, sigma: ArrayLike, parameters: int) -> np.ndarray:
        theta, shape = self._theta(sigma)
        tail = (parameters,) if parameters else ()
        out = np.zeros((len(theta), len(self.pairs), len(self.electrodes), *tail))
        if self._cross is not None:
            corrected = corrected_potentials(
                self._base, self._cross, self._places, self._sink, self.current, theta, parameters
            )
        for number in np.unique(self._numbers[self._numbers >= 0]):
            plain = self._cross is None
            value = self._plain(number, theta, parameters) if plain else corrected[:, number]
            for m, end in np.argwhere(self._numbers == number):
                out[:, m] += _SIGNS[end] * value
        return out.reshape(*shape, *out.shape[1:])

    def _of_each(self, sigma: ArrayLike, pairs: Sequence[int], parameters: int) -> np.ndarray:
        theta, pairs = self._theta_each(sigma, pairs)
        tail = (parameters,) if parameters else ()
        out = np.zeros((len(pairs), len(self.electrodes), *tail))
        points, ends = np.nonzero(self._numbers[pairs] >= 0)
        numbers = self._numbers[pairs[points], ends]
        signs = _SIGNS[ends].reshape(-1, *(1,) * (out.ndim - 1))
        if self._cross is not None:
            rows = corrected_rows(
                self._base, self._cross, points, numbers, self._places, self._sink, self.current,
                theta, parameters,
            )  # fmt: skip
            np.add.at(out, points, signs * rows)
            return out
        for number in np.unique(numbers):
            which = np.flatnonzero(numbers == number)
            value = self._plain(number, theta[points[which]], parameters)
            out[points[which]] += signs[which] * value
        return out

    def _plain(self, number: int, theta: np.ndarray, parameters: int) -> np.ndarray:
        """Uncorrected potentials (S, L) of a trained pair, or derivatives (S, L, K)."""
        pair = self._base[number]
        if parameters:
            return pair.electrode_basis @ pair.derivative(theta, parameters)[1]
        return pair.solve(theta) @ pair.electrode_basis.T

    def _theta_each(self, sigma: ArrayLike, pairs: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        theta, _ = self._theta(sigma)
        pairs = np.asarray(pairs, int)
        if len(theta) != len(pairs):
            raise InputError(f"{len(theta)} points in sigma for {len(pairs)} pairs.")
        wrong = pairs[(pairs < 0) | (pairs >= len(self.pairs))]
        if len(wrong):
            raise InputError(f"Pattern {wrong[0]} does not exist: there are {len(self.pairs)}.")
        return theta, pairs

    def _theta(self, sigma: ArrayLike) -> tuple[np.ndarray, tuple[int, ...]]:
        theta = self._box.theta(self._box.check(sigma))
        return theta.reshape(-1, theta.shape[-1]), theta.shape[:-1]


def _narrowed(box: Box, limits: Mapping[str, tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    lower, upper = box.lower.copy(), box.upper.copy()
    for name, (least, largest) in limits.items():
        check_option("limited tissue", name, box.names)
        k = box.names.index(name)
        if not lower[k] <= least < largest <= upper[k]:
            raise InputError(
                f"Limits of {name}: {least:g}..{largest:g} S/m must be inside the model's box "
                f"{lower[k]:g}..{upper[k]:g}."
            )
        lower[k], upper[k] = least, largest
    return lower, upper


def forward_model(model: Any, protocol: Protocol) -> Any:
    """A forward model of the protocol's patterns; a model other than `ReducedModel` unchanged."""
    return ReducedForward(model, protocol.pairs) if isinstance(model, ReducedModel) else model


# An error below this part of the noise is negligible (the paper's stopping rule).
NEGLIGIBLE = 0.1


def certified_error(model: ReducedModel, protocol: Protocol, sigma: np.ndarray) -> np.ndarray:
    """Largest certified error of a pattern's readings at one point, V.

    A corrected potential of the trained pair i at electrode m is off by at most
    Delta_i Delta_m / I; a pattern is the difference of two pairs, a reading that of an electrode
    and the reference.

    Parameters
    ----------
    model : reduced model.
    protocol : its readings.
    sigma : (P,) S/m, or (pairs, P) with a point for each pattern.

    Returns
    -------
    (pairs,) V at the model's current; infinite if single readings are not certified, which takes
    cross blocks and a pair for every electrode but the sink.
    """
    count = len(protocol.pairs)
    trained = set(model.sources) | {model.sink}
    if model.cross is None or model.norm != "energy" or set(model.electrodes) - trained:
        return np.full(count, np.inf)
    points = np.broadcast_to(np.asarray(sigma, float), (count, len(model.box.names)))
    single, where = np.unique(points, axis=0, return_inverse=True)
    bounds = model.reading_bound(single)[where.ravel()]
    out = np.empty(count)
    for m, pair in enumerate(protocol.pairs):
        parts = [model.sources.index(label) for label in pair if label != model.sink]
        each = bounds[m, parts].sum(axis=0)
        out[m] = np.where(protocol.mask[m], each + protocol.weights[m] @ each, 0.0).max()
    return out
