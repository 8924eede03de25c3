"""The objective of an estimate: whitened residuals as a function of log conductivity."""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from headcond.checks import InputError, check_finite, check_option, check_shape
from headcond.inverse import noise
from headcond.inverse.protocol import AVERAGE, Protocol, check_data, reading_jacobian, readings

# Least amplitude in units of its own standard deviation; below, noise decides the sign.
LEAST_AMPLITUDE = 3.0
# The box of every tissue spans less than a factor of 100, so no voltage moves by more.
_UNIT_FACTOR = 100.0
_MEMORY = 2.5e8


class ForwardModel(typing.Protocol):
    """Interface of reduced and full models of a head.

    Attributes
    ----------
    names : P parameter names.
    lower, upper : (P,) box in S/m.
    pairs : (source, sink) labels.
    electrodes : L labels.
    current : A.

    Notes
    -----
    Optional methods make estimates per pair much cheaper: `voltages_each(sigma, pairs)` and
    `jacobian_each(sigma, pairs)` evaluate pair number `pairs[n]` at the point `sigma[n]` only,
    with results (n, L) and (n, L, P).
    """

    names: Sequence[str]
    lower: np.ndarray
    upper: np.ndarray
    pairs: Sequence[tuple[str, str]]
    electrodes: Sequence[str]
    current: float

    def voltages(self, sigma: np.ndarray) -> np.ndarray:
        """Electrode potentials (..., pairs, L) in V, for sigma (..., P) in S/m."""

    def jacobian(self, sigma: np.ndarray) -> np.ndarray:
        """Their derivatives (..., pairs, L, P) in V/(S/m)."""


@dataclass(frozen=True)
class Objective:
    """Least-squares problems 1/2 ||W (v(sigma) - v_meas)||^2 in x = log sigma of the free tissues.

    `S` data sets times `K` groups of pairs: one group per pair if `each`, else a single group.
    Problem number n is group n % K of data set n // K.

    Attributes
    ----------
    model, protocol, whitener : forward model, readings and their noise.
    data : (S, pairs, L) measured readings in V, zero outside the protocol's mask.
    each : whether every pair is a problem of its own.
    free : (F,) indices of the free parameters.
    fixed : (S, K, P) conductivities in S/m; the free ones' entries hold the start.
    amplitude : whether the data are amplitudes: each then takes the sign of the model's
        reading, || |v(sigma)| - |v_meas| || in the metric of the noise.
    prior : (2, F) mean and standard deviation (infinite without a prior) of each log
        conductivity, which add the F residuals (x - mean) / deviation; or None.
    """

    model: Any
    protocol: Protocol
    whitener: noise.Whitener
    data: np.ndarray
    each: bool
    free: np.ndarray
    fixed: np.ndarray
    amplitude: bool = False
    prior: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Number of data sets S and of groups K."""
        return self.fixed.shape[:2]

    @property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """The model's box in log conductivity, two arrays (F,)."""
        return tuple(np.log(wall) for wall in self._walls)

    @property
    def _walls(self) -> tuple[np.ndarray, np.ndarray]:
        model = self.model
        return tuple(np.asarray(end, float)[self.free] for end in (model.lower, model.upper))

    @property
    def dof(self) -> np.ndarray:
        """Independent readings of each group (K,)."""
        return self.whitener.dof if self.each else np.array([self.whitener.dof.sum()])

    def sigma(self, x: np.ndarray, which: np.ndarray) -> np.ndarray:
        """All P conductivities (n, P) at the logarithms x (n, F) of the free ones."""
        sigma = self.fixed.reshape(-1, self.fixed.shape[-1])[which]
        # Inside to the last bit: a reduced model refuses points outside its box.
        sigma[:, self.free] = np.clip(np.exp(x), *self._walls)
        return sigma

    def residual(self, x: np.ndarray, which: np.ndarray) -> np.ndarray:
        """Whitened residuals (n, D); those of a prior come last.

        Parameters
        ----------
        x : (n, F) logarithms of the free conductivities in S/m.
        which : (n,) numbers of the problems.
        """
        sigma = self.sigma(x, which)
        row, group = np.divmod(which, self.shape[1])
        potentials, part, whiten = self._evaluate("voltages", sigma, group)
        expected = readings(potentials, part)
        data = self.data[row, group] if self.each else self.data[row]
        if self.amplitude:
            data = np.copysign(data, expected)
        misfit = whiten(expected - data).reshape(len(which), -1)
        if self.prior is None:
            return misfit
        return np.concatenate([misfit, (x - self.prior[0]) / self.prior[1]], axis=1)

    def jacobian(self, x: np.ndarray, which: np.ndarray) -> np.ndarray:
        """Derivatives (n, D, F) of `residual` with respect to x."""
        sigma = self.sigma(x, which)
        slopes, part, whiten = self._evaluate("jacobian", sigma, which % self.shape[1])
        slopes = slopes[..., self.free]
        slopes *= sigma[:, self.free].reshape(len(which), *(1,) * (slopes.ndim - 2), -1)
        slopes = whiten.jacobian(reading_jacobian(slopes, part))
        slopes = slopes.reshape(len(which), -1, len(self.free))
        if self.prior is None:
            return slopes
        rows = np.broadcast_to(np.diag(1 / self.prior[1]), (len(which), *(2 * self.free.shape)))
        return np.concatenate([slopes, rows], axis=1)

    def _evaluate(
        self, what: str, sigma: np.ndarray, group: np.ndarray
    ) -> tuple[np.ndarray, Protocol, noise.Whitener]:
        """The model's voltages or Jacobian at sigma (n, P), with their readings and whitener."""
        if not self.each:
            return getattr(self.model, what)(sigma), self.protocol, self.whitener
        part, whiten = self.protocol.select(group), self.whitener.select(group)
        if each := getattr(self.model, f"{what}_each", None):
            return each(sigma, group), part, whiten
        return getattr(self.model, what)(sigma)[np.arange(len(group)), group], part, whiten

    def signal(self, which: np.ndarray) -> np.ndarray:
        """Squared norm of the whitened data (n,), the scale of their rounding errors."""
        row, group = np.divmod(which, self.shape[1])
        if self.each:
            return np.sum(self.whitener.select(group)(self.data[row, group]) ** 2, axis=-1)
        return np.sum(self.whitener(self.data[row]) ** 2, axis=(-2, -1))


def make_objective(
    model: ForwardModel,
    data: np.ndarray,
    protocol: Protocol,
    std: float | np.ndarray,
    *,
    pairs: str = "each",
    fixed: Mapping[str, ArrayLike] | None = None,
    start: ArrayLike | None = None,
    amplitude: bool = False,
    prior: Mapping[str, tuple[float, float]] | None = None,
    weighting: str = "covariance",
) -> Objective:
    """Check the input of an estimation and pose its problems.

    Parameters
    ----------
    model : forward model of the protocol's pairs and electrodes.
    data : (S, pairs, L) readings in V.
    std : noise, see `optimise.estimate` as for all others.
    fixed, start : numbers or arrays that broadcast to (S, K), for the start to (S, K, P), K
        being the number of pairs, or 1 if `pairs` is "joint".

    Raises
    ------
    InputError
        If model, protocol and data do not fit together, a value is outside the box, no parameter
        is free, there are fewer independent readings than free parameters, or the data seem to
        be in another unit (off by more than a factor of 100).
    """
    check_option("pairs", pairs, ("each", "joint"))
    each = pairs == "each"
    _check_same(model, protocol)
    data = check_data(check_shape("data", data, (None, None, None)), protocol)
    names = [str(name) for name in model.names]
    lower, upper = np.asarray(model.lower, float), np.asarray(model.upper, float)
    if np.any(lower <= 0) or np.any(upper <= lower):
        raise InputError("The model's box must have 0 < lower < upper for every parameter.")
    shape = (len(data), len(protocol.pairs) if each else 1)
    values = np.array(np.broadcast_to(_start(start, lower, upper, shape), (*shape, len(names))))
    fixed = dict(fixed or {})
    for name, value in fixed.items():
        check_option("fixed tissue", name, names)
        k = names.index(name)
        value = check_finite(f"fixed[{name!r}]", np.asarray(value, float))
        if np.any(value < lower[k] * (1 - 1e-12)) or np.any(value > upper[k] * (1 + 1e-12)):
            raise InputError(
                f"The fixed conductivity of {name} is outside the model's box "
                f"{lower[k]:g}..{upper[k]:g} S/m: give a value inside, or widen the box."
            )
        values[..., k] = broadcast(f"fixed[{name!r}]", value, shape)
    free = np.array([k for k, name in enumerate(names) if name not in fixed], int)
    if not len(free):
        raise InputError("Every parameter is fixed: there is nothing to estimate.")
    whiten = noise.whitener(protocol, std, weighting)
    if amplitude:
        if protocol.reference == AVERAGE:
            raise InputError("Amplitudes need one electrode as the reference, not the average.")
        if np.any(data < 0):
            raise InputError("An amplitude is below 0: these readings are signed.")
    problem = Objective(
        model, protocol, whiten, data, each, free, values, amplitude, _prior(prior, names, free)
    )
    if np.any(few := problem.dof < len(free)):
        where = "-".join(protocol.pairs[int(np.argmax(few))]) if each else "all pairs together"
        raise InputError(
            f"{where}: {problem.dof.min()} independent readings for {len(free)} conductivities: "
            "fix some of them, or leave the pattern out; all patterns together (mode joint) may "
            "have enough."
        )
    _check_unit(problem)
    return problem


def normal_equations(residual: np.ndarray, jacobian: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Newton matrix J^T J (..., F, F) and gradient J^T r (..., F)."""
    transposed = np.swapaxes(jacobian, -1, -2)
    return transposed @ jacobian, (transposed @ residual[..., None])[..., 0]


def chunks(problem: Objective) -> list[np.ndarray]:
    """Numbers of the problems, in portions whose Jacobians fit the memory budget."""
    readings = problem.data[0].size if not problem.each else problem.data.shape[-1]
    count = max(1, int(_MEMORY / (8.0 * 4 * readings * problem.fixed.shape[-1])))
    total = int(np.prod(problem.shape))
    return [np.arange(i, min(i + count, total)) for i in range(0, total, count)]


def _check_same(model: ForwardModel, protocol: Protocol) -> None:
    electrodes = tuple(map(str, model.electrodes))
    pairs = tuple((str(source), str(sink)) for source, sink in model.pairs)
    for what, theirs, wanted in (
        ("electrodes", electrodes, protocol.electrodes),
        ("injection pairs", pairs, protocol.pairs),
    ):
        if theirs != wanted:
            raise InputError(
                f"The model's {len(theirs)} {what} are not the protocol's {len(wanted)}, in the "
                "same order."
            )


def _start(
    start: ArrayLike | None, lower: np.ndarray, upper: np.ndarray, shape: tuple[int, int]
) -> np.ndarray:
    if start is None:
        return 0.5 * (lower + upper)
    values = check_finite("start", np.asarray(start, float))
    values = broadcast("start", values, (*shape, len(lower)))
    if np.any(values < lower * (1 - 1e-12)) or np.any(values > upper * (1 + 1e-12)):
        raise InputError("start is outside the model's box.")
    return values


def _prior(
    prior: Mapping[str, tuple[float, float]] | None, names: Sequence[str], free: np.ndarray
) -> np.ndarray | None:
    if prior is None:
        return None
    table = np.stack([np.zeros(len(names)), np.full(len(names), np.inf)])
    for name, (mean, std) in prior.items():
        check_option("tissue of the prior", name, names)
        check_finite(f"prior of {name}", np.array([mean, std]))
        if std <= 0:
            raise InputError(f"The prior of {name} needs a standard deviation above 0, got {std}.")
        table[:, names.index(name)] = mean, std
    if np.all(np.isinf(table[1, free])):
        raise InputError("The prior has none of the free tissues: add one of them.")
    return table[:, free]


def broadcast(name: str, value: ArrayLike, shape: tuple[int, ...]) -> np.ndarray:
    """`value` as float in another shape; `InputError` if it does not fit."""
    try:
        return np.broadcast_to(np.asarray(value, float), shape)
    except ValueError as error:
        raise InputError(f"{name} of shape {np.shape(value)} does not fit {shape}.") from error


def _check_unit(problem: Objective) -> None:
    model = problem.model
    centre = np.sqrt(np.asarray(model.lower, float) * np.asarray(model.upper, float))
    expected = np.abs(readings(model.voltages(centre), problem.protocol))
    mask = problem.protocol.mask
    typical, wanted = np.median(np.abs(problem.data[:, mask])), np.median(expected[mask])
    ratio = typical / wanted
    if not 1 / _UNIT_FACTOR < ratio < _UNIT_FACTOR:
        raise InputError(
            f"The median reading is {typical:.3g} V, the model expects {wanted:.3g} V at "
            f"{model.current:g} A, {ratio:.2g} times as much: check the units of voltages (V) "
            f"and current (A).{_unit_hint(ratio)}"
        )


def _unit_hint(ratio: float) -> str:
    thousands = round(np.log10(ratio) / 3) if np.isfinite(ratio) and ratio > 0 else 0
    # More than a factor of 20 from a power of 1000: not explained by a prefix of a unit.
    if abs(thousands) not in (1, 2) or not 1 / 20 < ratio / 1e3**thousands < 20:
        return ""
    power, prefix = {1: ("1000", "m"), 2: ("a million", "u")}[abs(thousands)]
    what = f"voltages in {prefix}V" if thousands > 0 else f"a current in {prefix}A"
    return f" They are off by {power}, as if {what} were written as {what[-1]}."
