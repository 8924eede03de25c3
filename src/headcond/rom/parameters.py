"""Boxes of parameters and the affine coefficients that a reduced model sees (eq. 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sparse
from numpy.typing import ArrayLike
from scipy.stats import qmc

from headcond.checks import InputError, check_finite, check_option, check_positive
from headcond.fem.operator import AffineOperator
from headcond.tissues import EIT_RANGES

BOXES = ("full", "quartile", "expanded_spongy", "merged_skull")

_CONTACT = "contact"
_FIXED = "fixed"
_SKULL = "skull"
_SKULL_PARTS = ("compact_bone", "spongy_bone")
_SKULLS = (_SKULL, f"{_SKULL}_radial", f"{_SKULL}_tangential")
_EXPANDED_SPONGY = 0.3  # S/m, upper end of the paper's second training of the real heads
_ROUND_OFF = 1e-12  # of the width: an optimiser's own rounding at a face is not outside


@dataclass(frozen=True)
class Box:
    """A box of varying affine parameters, and the coefficients that stay as they are.

    Attributes
    ----------
    names : the P varying parameters in the order of sigma's last axis: block names of the
        operator (`contact` varies as 1/z), or `skull` for compact and spongy bone as one.
    lower, upper : (P,) ends, S/m (1/(Ohm m^2) for `contact`).
    fixed : coefficient of every other block of the operator.

    Raises
    ------
    InputError
        If an end is not above zero, min >= max, a name is used twice, or a coefficient is
        not above zero.
    """

    names: tuple[str, ...]
    lower: np.ndarray
    upper: np.ndarray
    fixed: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = tuple(self.names)
        if not names:
            raise InputError("The box has no varying parameter: name at least one tissue.")
        twice = {name for name in names if names.count(name) > 1 or name in self.fixed}
        if twice:
            raise InputError(f"Box parameters named twice: {', '.join(sorted(twice))}.")
        lower, upper = (
            np.array(check_finite(f"box {end}", np.asarray(values, float)), float)
            for end, values in (("minima", self.lower), ("maxima", self.upper))
        )
        for ends in (lower, upper):
            if ends.shape != (len(names),):
                raise InputError(f"The box names {len(names)} parameters, its ends {ends.shape}.")
        for name, low, high in zip(names, lower, upper, strict=True):
            if low <= 0:
                raise InputError(f"Box of {name}: the minimum must be above 0, got {low}.")
            if low >= high:
                raise InputError(
                    f"Box of {name}: the minimum {low} is not below the maximum {high}; "
                    "give it as a fixed coefficient if it does not vary."
                )
        fixed = {key: check_positive(f"fixed {key}", self.fixed[key]) for key in self.fixed}
        lower.flags.writeable = upper.flags.writeable = False
        for name, value in (("names", names), ("lower", lower), ("upper", upper), ("fixed", fixed)):
            object.__setattr__(self, name, value)

    @property
    def centre(self) -> np.ndarray:
        """Middle of the box (P,), where the first snapshot is taken."""
        return 0.5 * (self.lower + self.upper)

    @property
    def block_names(self) -> tuple[str, ...]:
        """Names of the Q affine terms: the parameters, then `fixed` if anything is."""
        return (*self.names, _FIXED) if self.fixed else self.names

    @property
    def reference(self) -> np.ndarray:
        """Reference coefficients theta_bar (Q,): the geometric mean of the box (1 for `fixed`).

        It minimises the worst effectivity, sqrt(max theta/theta_bar / min theta/theta_bar).
        """
        return self.theta(np.sqrt(self.lower * self.upper))

    def theta(self, sigma: ArrayLike) -> np.ndarray:
        """Affine coefficients (..., Q) at parameters sigma (..., P); `fixed` has 1."""
        sigma = self._points(sigma)
        if not self.fixed:
            return sigma
        return np.concatenate((sigma, np.ones((*sigma.shape[:-1], 1))), axis=-1)

    def inside(self, sigma: ArrayLike) -> np.ndarray:
        """Whether each point of sigma (..., P) is in the box, up to 1e-12 of its width."""
        return np.all(self._within(self._points(sigma)), axis=-1)

    def check(self, sigma: ArrayLike) -> np.ndarray:
        """Return sigma (..., P) if all its points are in the box, else raise `InputError`."""
        sigma = self._points(sigma)
        outside = ~self.inside(sigma)
        if np.any(outside):
            point = sigma[outside][0]
            k = int(np.argmin(self._within(point)))
            raise InputError(
                f"{int(outside.sum())} of {outside.size} points are outside the trained box: "
                f"{self.names[k]} = {point[k]:.6g}, trained from {self.lower[k]:.6g} to "
                f"{self.upper[k]:.6g}. Train on a wider box, or pass outside='flag'."
            )
        return sigma

    def _within(self, sigma: np.ndarray) -> np.ndarray:
        slack = _ROUND_OFF * (self.upper - self.lower)
        return (sigma >= self.lower - slack) & (sigma <= self.upper + slack)

    def coefficients(self, operator: AffineOperator, sigma: ArrayLike) -> np.ndarray:
        """Coefficients (len(operator.names),) of the operator's own blocks at one sigma (P,).

        Raises
        ------
        InputError
            If the box and the operator do not name the same blocks.
        """
        sigma = self._points(sigma)
        members = self._members(operator)
        theta = np.empty(len(operator.names))
        for name, value in zip(self.names, sigma, strict=True):
            theta[members[name]] = value
        for name, value in self.fixed.items():
            theta[operator.names.index(name)] = value
        return theta

    def blocks(self, operator: AffineOperator) -> list[sparse.csr_matrix]:
        """The Q blocks A_q, (size, size) each, in the order of `block_names`.

        A merged parameter is the sum of its blocks; `fixed` is the sum of the fixed ones,
        each times its coefficient.
        """
        members = self._members(operator)
        parts = [[operator.block(operator.names[q]) for q in members[n]] for n in self.names]
        if self.fixed:
            parts.append([value * operator.block(name) for name, value in self.fixed.items()])
        return [block if not rest else sum(rest, block) for block, *rest in parts]

    def _members(self, operator: AffineOperator) -> dict[str, list[int]]:
        members = {}
        for name in self.names:
            parts = (name,)
            if name in _SKULLS and name not in operator.names:
                parts = tuple(part + name.removeprefix(_SKULL) for part in _SKULL_PARTS)
            members[name] = [operator.names.index(p) for p in parts if p in operator.names]
            if len(members[name]) != len(parts):
                raise InputError(
                    f"The box varies {name!r}, but the operator's blocks are "
                    f"{', '.join(operator.names)}."
                )
        for name in self.fixed:
            check_option("fixed coefficient", name, operator.names)
        used = [q for parts in members.values() for q in parts]
        used += [operator.names.index(name) for name in self.fixed]
        missing = [name for q, name in enumerate(operator.names) if q not in used]
        if missing:
            raise InputError(
                f"No coefficient for the operator's {', '.join(missing)}: let it vary in the box "
                "or give it as fixed."
            )
        if len(set(used)) != len(used):
            raise InputError("A block of the operator has two coefficients in the box.")
        return members

    def _points(self, sigma: ArrayLike) -> np.ndarray:
        sigma = check_finite("sigma", np.asarray(sigma, float))
        if sigma.ndim == 0 or sigma.shape[-1] != len(self.names):
            raise InputError(
                f"sigma must have {len(self.names)} values in its last axis "
                f"({', '.join(self.names)}), got shape {sigma.shape}."
            )
        if np.any(sigma <= 0):
            raise InputError("sigma holds values that are not above 0: no conductivity is.")
        return sigma


def named_box(
    name: str,
    parameters: Sequence[str],
    *,
    fixed: Mapping[str, float] | None = None,
    contact: tuple[float, float] | None = None,
) -> Box:
    """Box of a published set of ranges (ROM-pEIT paper, Table 1 and sections 2.3.5-2.3.7).

    Parameters
    ----------
    name : "full" (minimum to maximum), "quartile" (lower to upper quartile),
        "expanded_spongy" (full, spongy bone up to 0.3 S/m), "merged_skull" (quartile, with
        one skull between compact bone's lower and spongy bone's upper quartile).
    parameters : tissues that vary, in the order of sigma's last axis; `skull` is both bones
        as one, `<tissue>_radial` and `<tissue>_tangential` have the tissue's range,
        `contact` the range given.
    fixed : coefficients of the operator's other blocks.
    contact : least and largest 1/z, 1/(Ohm m^2), where `contact` varies.
    """
    check_option("box", name, BOXES)
    ends = [_range(name, parameter, contact) for parameter in parameters]
    return Box(tuple(parameters), [low for low, _ in ends], [high for _, high in ends], fixed or {})


def operator_box(
    name: str,
    blocks: Sequence[str],
    impedance: float,
    impedances: Sequence[float] = (),
    fixed: Mapping[str, float] | None = None,
) -> Box:
    """Named box for all blocks of an operator.

    Parameters
    ----------
    name : of `BOXES`; "merged_skull" takes compact and spongy bone as one parameter, `skull`.
    blocks : names of the operator's blocks.
    impedance : contact impedance z, Ohm m^2, where it is fixed.
    impedances : least and largest z where `contact` is a trained parameter; empty otherwise.
    fixed : conductivity, S/m, of blocks that do not vary.
    """
    fixed = dict(fixed or {})
    for block in fixed:
        check_option("fixed conductivity", block, [b for b in blocks if b != _CONTACT])
    parameters = [block for block in blocks if block != _CONTACT and block not in fixed]
    if name == "merged_skull":
        parameters = _merged(parameters)
    if not len(impedances):
        return named_box(name, parameters, fixed={**fixed, _CONTACT: 1.0 / impedance})
    if len(impedances) != 2 or not 0 < impedances[0] < impedances[1]:
        raise InputError(
            "A trained contact impedance needs its least and largest value, Ohm m^2, in that "
            f"order; got {list(impedances)}."
        )
    ends = (1.0 / impedances[1], 1.0 / impedances[0])
    return named_box(name, [*parameters, _CONTACT], fixed=fixed, contact=ends)


def _merged(parameters: Sequence[str]) -> list[str]:
    """The parameters with both bones as one, or their radial and tangential parts as two."""
    compact, spongy = _SKULL_PARTS
    merged = []
    for name in parameters:
        if name.startswith(compact):
            if name.replace(compact, spongy) not in parameters:
                break
            merged.append(name.replace(compact, _SKULL))
        elif not name.startswith(spongy):
            merged.append(name)
    skulls = set(_SKULLS) & set(merged)
    if not skulls or len(merged) != len(parameters) - len(skulls):
        raise InputError(
            "The box 'merged_skull' needs the blocks compact_bone and spongy_bone, both of them "
            f"isotropic or both anisotropic; there are {', '.join(parameters)}."
        )
    return merged


def latin_hypercube(box: Box, count: int, generator: np.random.Generator) -> np.ndarray:
    """Training points (count + 1, P): the box centre, then a Latin hypercube sample."""
    if count < 1:
        raise InputError(f"A training sample needs at least one point, got {count}.")
    unit = qmc.LatinHypercube(len(box.names), rng=generator).random(count)
    return np.concatenate((box.centre[None], qmc.scale(unit, box.lower, box.upper)))


def _range(box: str, parameter: str, contact: tuple[float, float] | None) -> tuple[float, float]:
    if parameter == _CONTACT:
        if contact is None:
            raise InputError("The box varies 'contact': give its least and largest 1/z.")
        return contact
    tissue = parameter.removesuffix("_radial").removesuffix("_tangential")
    check_option("box parameter", tissue, (*EIT_RANGES, _SKULL))
    low, high = ("lq", "uq") if box in ("quartile", "merged_skull") else ("min", "max")
    if tissue == _SKULL:
        return EIT_RANGES[_SKULL_PARTS[0]][low], EIT_RANGES[_SKULL_PARTS[1]][high]
    upper = EIT_RANGES[tissue][high]
    if tissue == _SKULL_PARTS[1] and box == "expanded_spongy":
        upper = _EXPANDED_SPONGY
    return EIT_RANGES[tissue][low], upper
