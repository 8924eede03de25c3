"""A reduced model as the estimators want it: any injection pattern, each at its own point."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from headcond.checks import InputError, check_option
from headcond.inverse.measurement import Protocol
from headcond.rom.affine import Box
from headcond.rom.bounds import chunks
from headcond.rom.corrected import corrected_row
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
        self.names = tuple(model.box.names)
        self.lower, self.upper = _narrowed(model.box, limits or {})
        self.pairs = wanted
        self.electrodes = tuple(model.electrodes)
        self.current = model.current

    def voltages(self, sigma: ArrayLike) -> np.ndarray:
        """Electrode potentials (..., pairs, L) in V, for sigma (..., P) in S/m in the box."""
        theta, shape = self._theta(sigma)
        out = np.zeros((len(theta), len(self.pairs), len(self.electrodes)))
        for number, patterns in self._users(range(len(self.pairs))):
            value = self._potentials(number, theta)
            for m, sign in patterns:
                out[:, m] += sign * value
        return out.reshape(*shape, *out.shape[1:])

    def jacobian(self, sigma: ArrayLike) -> np.ndarray:
        """Derivatives (..., pairs, L, P) of the potentials in V/(S/m)."""
        theta, shape = self._theta(sigma)
        out = np.zeros((len(theta), len(self.pairs), len(self.electrodes), len(self.names)))
        for number, patterns in self._users(range(len(self.pairs))):
            value = self._slopes(number, theta)
            for m, sign in patterns:
                out[:, m] += sign * value
        return out.reshape(*shape, *out.shape[1:])

    def voltages_each(self, sigma: ArrayLike, pairs: Sequence[int]) -> np.ndarray:
        """Potentials (n, L) of the patterns of indices (n,), each at its own sigma (n, P)."""
        theta, pairs = self._theta_each(sigma, pairs)
        out = np.zeros((len(pairs), len(self.electrodes)))
        for where, parts in self._groups(pairs):
            for number, sign in parts:
                out[where] += sign * self._potentials(number, theta[where])
        return out

    def jacobian_each(self, sigma: ArrayLike, pairs: Sequence[int]) -> np.ndarray:
        """Derivatives (n, L, P) of the patterns' potentials, each at its own sigma (n, P)."""
        theta, pairs = self._theta_each(sigma, pairs)
        out = np.zeros((len(pairs), len(self.electrodes), len(self.names)))
        for where, parts in self._groups(pairs):
            for number, sign in parts:
                out[where] += sign * self._slopes(number, theta[where])
        return out

    def _potentials(self, number: int, theta: np.ndarray) -> np.ndarray:
        if self._cross is not None:
            return self._corrected(number, theta, 0)
        pair = self._base[number]
        return pair.solve(theta) @ pair.electrode_basis.T

    def _slopes(self, number: int, theta: np.ndarray) -> np.ndarray:
        if self._cross is not None:
            return self._corrected(number, theta, len(self.names))
        pair = self._base[number]
        return pair.electrode_basis @ pair.derivative(theta, len(self.names))[1]

    def _corrected(self, number: int, theta: np.ndarray, parameters: int) -> np.ndarray:
        sink = self.electrodes.index(self._model.sink)
        parts = [
            corrected_row(self._base, self._cross, number, self._places, sink, self.current,
                          theta[part], parameters)
            for part in chunks(len(theta), max(pair.snapshots for pair in self._base))
        ]  # fmt: skip
        return np.concatenate(parts)

    def _groups(self, pairs: np.ndarray) -> Iterator[tuple[np.ndarray, list[tuple[int, float]]]]:
        order = np.argsort(pairs, kind="stable")
        ends = np.flatnonzero(np.diff(pairs[order])) + 1
        for where in np.split(order, ends):
            yield where, self._parts[pairs[where[0]]]

    def _theta_each(self, sigma: ArrayLike, pairs: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        theta, _ = self._theta(sigma)
        pairs = np.asarray(pairs, int)
        if len(theta) != len(pairs):
            raise InputError(f"{len(theta)} points in sigma for {len(pairs)} pairs.")
        return theta, pairs

    def _users(self, patterns: Sequence[int]) -> list[tuple[int, list[tuple[int, float]]]]:
        users: dict[int, list[tuple[int, float]]] = {}
        for m in patterns:
            for number, sign in self._parts[m]:
                users.setdefault(number, []).append((m, sign))
        return list(users.items())

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
