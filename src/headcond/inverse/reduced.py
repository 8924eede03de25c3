"""A reduced model as the estimators want it: any injection pattern, each at its own point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from headcond.checks import InputError, check_option
from headcond.inverse.measurement import Protocol
from headcond.rom.affine import Box
from headcond.rom.corrected import corrected_potentials, corrected_rows
from headcond.rom.model import ReducedModel


class ReducedForward:
    """Potentials and Jacobians of injection patterns from pairs trained against one sink.

    The pattern (i, j) is the difference of the trained pairs (i, sink) and (j, sink).

    Parameters
    ----------
    model : trained pairs.
    pairs : (source, sink) labels of the patterns; the trained pairs by default.
    snapshots : use the first so many basis vectors of each pair; all by default.
    corrected : readings corrected by the dual solutions (`ReducedModel.voltages`); by default
        where the model has the cross blocks for it.
    limits : (least, largest) of some parameters by name, S/m: a smaller box inside the
        trained one for the estimators to stay in.

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
            self._places = model.dual_places()
            self._sink = model.electrodes.index(model.sink)
            self._cross = model.cross.first(snapshots)
        self._parts: list[list[tuple[int, float]]] = []
        for source, sink in wanted:
            for label in (source, sink):
                check_option("electrode of a pattern", label, (*model.sources, model.sink))
            if source == sink:
                raise InputError(
                    f"A pattern injects and extracts at the same electrode {source!r}."
                )
            self._parts.append([
                (model.sources.index(label), sign)
                for label, sign in ((source, 1.0), (sink, -1.0)) if label != model.sink
            ])  # fmt: skip
        self._users: dict[int, list[tuple[int, float]]] = {}
        for m, parts in enumerate(self._parts):
            for number, sign in parts:
                self._users.setdefault(number, []).append((m, sign))
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
        for number, patterns in self._users.items():
            if self._cross is not None:
                value = corrected[:, number]
            else:
                value = self._plain(number, theta, parameters)
            for m, sign in patterns:
                out[:, m] += sign * value
        return out.reshape(*shape, *out.shape[1:])

    def _of_each(self, sigma: ArrayLike, pairs: Sequence[int], parameters: int) -> np.ndarray:
        theta, pairs = self._theta_each(sigma, pairs)
        tail = (parameters,) if parameters else ()
        out = np.zeros((len(pairs), len(self.electrodes), *tail))
        parts = [(n, *part) for n, pair in enumerate(pairs) for part in self._parts[pair]]
        points, numbers, signs = (np.array(column) for column in zip(*parts, strict=True))
        if self._cross is not None:
            rows = corrected_rows(
                self._base, self._cross, points, numbers, self._places, self._sink, self.current,
                theta, parameters,
            )  # fmt: skip
            np.add.at(out, points, signs.reshape(-1, *(1,) * (rows.ndim - 1)) * rows)
            return out
        for number in np.unique(numbers):
            which = np.flatnonzero(numbers == number)
            value = self._plain(number, theta[points[which]], parameters)
            out[points[which]] += signs[which].reshape(-1, *(1,) * (value.ndim - 1)) * value
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
                f"Limits of {name}: {least:g}..{largest:g} S/m must lie inside the model's box "
                f"{lower[k]:g}..{upper[k]:g}."
            )
        lower[k], upper[k] = least, largest
    return lower, upper


def forward_model(model: Any, protocol: Protocol) -> Any:
    """A model that the estimators can use: a `ReducedModel` as patterns of the protocol."""
    return ReducedForward(model, protocol.pairs) if isinstance(model, ReducedModel) else model
