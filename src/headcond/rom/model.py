"""Reduced models: what training leaves behind, on disk and at query time."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import ArrayLike

from headcond.checks import InputError, check_option
from headcond.io import atomic
from headcond.rom.affine import Box
from headcond.rom.bounds import (
    NORMS,
    chunks,
    energy_bounds,
    reduced_matrices,
    residual_norm,
    solve_reduced,
)
from headcond.rom.stability import Stability

_FORMAT = "headcond-rom-1"
_PAIR_ARRAYS = ("A_N", "b_N", "electrode_basis", "residual_factor", "residual_defect")
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PairModel:
    """Reduced model of one injection pair.

    All arrays are hierarchical: their leading parts belong to the first n snapshots.

    Attributes
    ----------
    source, sink : electrode labels; the current enters at `source`.
    A_N : (Q, N, N) reduced blocks V' A_q V (eq. 8).
    b_N : (N,) reduced load V' b.
    electrode_basis : (L, N) rows of V at the electrodes' potentials.
    residual_factor, residual_defect : (M, 1 + N Q) and (1 + N Q,), see `bounds.ResidualBasis`.
    history : one entry per snapshot and key: `mu` (N, P) S/m; `maximum`, `mean` of the
        relative bound over the training sample and `absolute`, the largest bound, all after
        that snapshot; solver `iterations`, `riesz_iterations`; `orthogonality` |V'XV - I|;
        `seconds_solve`, `seconds_riesz`, `seconds_orthogonal`, `seconds_sweep`.
    end : why training ended: "snapshots", "tolerance", "noise" or "floor".
    basis : (n, N) the basis V itself, where it was kept; never in the model's file.
    """

    source: str
    sink: str
    A_N: np.ndarray
    b_N: np.ndarray
    electrode_basis: np.ndarray
    residual_factor: np.ndarray
    residual_defect: np.ndarray
    history: Mapping[str, np.ndarray]
    end: str
    basis: np.ndarray | None = None

    @property
    def snapshots(self) -> int:
        """Number N of basis vectors."""
        return len(self.b_N)

    def first(self, count: int | None) -> PairModel:
        """The model of the first `count` snapshots (all of them for None, or if fewer)."""
        if count is None or count >= self.snapshots:
            return self
        if count < 1:
            raise InputError(f"A reduced model has at least 1 snapshot, got snapshots={count}.")
        columns = 1 + count * len(self.A_N)
        factor = self.residual_factor[:, :columns]
        return dataclasses.replace(
            self, A_N=self.A_N[:, :count, :count], b_N=self.b_N[:count],
            electrode_basis=self.electrode_basis[:, :count],
            residual_factor=factor[: _height(factor)],
            residual_defect=self.residual_defect[:columns],
            history={key: values[:count] for key, values in self.history.items()},
            basis=None if self.basis is None else self.basis[:, :count],
        )  # fmt: skip

    def solve(self, theta: np.ndarray) -> np.ndarray:
        """Reduced coefficients z (S, N) at affine coefficients (S, Q) (eq. 9)."""
        return solve_reduced(np.ascontiguousarray(self.A_N), self.b_N, theta)

    def derivative(self, theta: np.ndarray, parameters: int) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients z (S, N) and dz/dtheta_k = -A_N^-1 A_N^k z (S, N, K), k < `parameters`."""
        blocks = np.ascontiguousarray(self.A_N)
        value = np.empty((len(theta), self.snapshots))
        slope = np.empty((*value.shape, parameters))
        for part in chunks(len(theta), self.snapshots):
            matrices = reduced_matrices(blocks, theta[part])
            value[part] = np.linalg.solve(matrices, self.b_N[:, None])[..., 0]
            right = np.einsum("kij,sj->sik", blocks[:parameters], value[part], optimize=True)
            slope[part] = np.linalg.solve(matrices, -right)
        return value, slope

    def residual(self, theta: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, ...]:
        """Coefficients z (S, N), residual norm (S,) and its slack (S,) at theta (S, Q)."""
        solution = self.solve(theta)
        norm, slack = residual_norm(
            self.residual_factor, self.residual_defect, theta / reference, solution
        )
        return solution, norm, slack

    def energy(self, solution: np.ndarray) -> np.ndarray:
        """Energy |||u_N|||^2 = b_N' z (S,), W: current times drive voltage."""
        return solution @ self.b_N


@dataclass(frozen=True)
class ReducedModel:
    """Reduced models of pairs with one sink, as they stand in one file.

    Attributes
    ----------
    pairs : the pairs' models.
    box : varying parameters, their ranges, fixed coefficients.
    electrodes : L labels.
    current : injected current, A; the voltages are for this current.
    norm : "energy" or "euclidean", of basis and bound.
    stability : stability factors, for the Euclidean bound.
    attributes : JSON-like facts for provenance.
    """

    pairs: tuple[PairModel, ...]
    box: Box
    electrodes: tuple[str, ...]
    current: float
    norm: str = "energy"
    stability: Stability | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_option("norm", self.norm, NORMS)
        object.__setattr__(self, "pairs", tuple(self.pairs))
        if not self.pairs:
            raise InputError("A reduced model needs at least one pair.")
        if len({pair.sink for pair in self.pairs}) > 1:
            raise InputError("The pairs of one reduced model must share their sink electrode.")
        sources = self.sources
        if len(set(sources)) < len(sources):
            raise InputError("A pair stands twice in the reduced model.")

    @property
    def sink(self) -> str:
        """Label of the electrode where every pair's current leaves."""
        return self.pairs[0].sink

    @property
    def sources(self) -> tuple[str, ...]:
        """Labels of the injecting electrodes, in the order of the pairs."""
        return tuple(pair.source for pair in self.pairs)

    def select(self, sources: Sequence[str]) -> ReducedModel:
        """The model of some pairs only, named by their injecting electrode, in that order."""
        for source in sources:
            check_option("pair", source, self.sources)
        pairs = tuple(self.pairs[self.sources.index(source)] for source in sources)
        return dataclasses.replace(self, pairs=pairs)

    def voltages(
        self, sigma: ArrayLike, snapshots: int | None = None, outside: str = "refuse"
    ) -> np.ndarray:
        """Electrode potentials (..., pairs, L), V, up to one constant per pair and point.

        Any pair (i, j) is model_i - model_j; the reference is chosen at measurement time.

        Parameters
        ----------
        sigma : (..., P) parameters, S/m.
        snapshots : use the first so many basis vectors; all by default.
        outside : "refuse" points outside the box, or "flag" them (a warning is logged and
            `box.inside` tells which; nothing was trained there).
        """
        theta, shape = self._theta(sigma, outside)
        out = np.empty((len(theta), len(self.pairs), len(self.electrodes)))
        for number, pair in enumerate(self._first(snapshots)):
            out[:, number] = pair.solve(theta) @ pair.electrode_basis.T
        return out.reshape(*shape, *out.shape[1:])

    def jacobian(
        self, sigma: ArrayLike, snapshots: int | None = None, outside: str = "refuse"
    ) -> np.ndarray:
        """Exact derivative of `voltages` by sigma, (..., pairs, L, P), V/(S/m).

        dz/dsigma_k = -A_N^-1 A_N^k z; arguments as those of `voltages`.
        """
        theta, shape = self._theta(sigma, outside)
        count = len(self.box.names)
        out = np.empty((len(theta), len(self.pairs), len(self.electrodes), count))
        for number, pair in enumerate(self._first(snapshots)):
            _, slope = pair.derivative(theta, count)
            out[:, number] = pair.electrode_basis @ slope
        return out.reshape(*shape, *out.shape[1:])

    def bound(
        self, sigma: ArrayLike, snapshots: int | None = None, outside: str = "refuse",
        relative: bool = False,
    ) -> np.ndarray:  # fmt: skip
        """Upper bound (..., pairs) of the error of the reduced solution.

        Energy norm: |||u - u_N|||_mu <= bound, W^0.5, a certificate at every point (outside
        the box too, where it is merely large); the drive voltage is then off by at most
        bound^2 / current. `relative` divides by |||u_N||| <= |||u|||. Euclidean norm: of
        ||u - u_N||_2, a certificate only if `stability.certified`; `relative` divides by
        ||u_N|| - bound <= ||u|| (infinite where that is not positive).
        """
        theta, shape = self._theta(sigma, outside)
        factor = self._stability_factor(theta)
        out = np.empty((len(theta), len(self.pairs)))
        for number, pair in enumerate(self._first(snapshots)):
            solution, norm, slack = pair.residual(theta, self.box.reference)
            if self.norm == "energy":
                _, out[:, number] = energy_bounds(norm, slack, theta / self.box.reference)
                scale = np.sqrt(pair.energy(solution))
            else:
                out[:, number] = (norm + slack) / factor
                scale = np.linalg.norm(solution, axis=1) - out[:, number]
            if relative:
                below = scale <= 0
                out[:, number] /= np.where(below, 1.0, scale)
                out[below, number] = np.inf
        return out.reshape(*shape, len(self.pairs))

    def write(self, path: str | Path) -> None:
        """Write as HDF5, atomically: one group per pair, the common facts as attributes."""
        with atomic(path) as temporary, h5py.File(temporary, "w") as file:
            file.attrs["format"] = _FORMAT
            file.attrs["affine_names"] = list(self.box.block_names)
            file.attrs["parameters"] = list(self.box.names)
            file.attrs["lower"], file.attrs["upper"] = self.box.lower, self.box.upper
            file.attrs["fixed"] = json.dumps(dict(self.box.fixed))
            file.attrs["reference"] = self.box.reference
            file.attrs["electrodes"] = list(self.electrodes)
            file.attrs["sink"], file.attrs["current"] = self.sink, self.current
            file.attrs["norm"] = self.norm
            file.attrs["units"] = "S/m, V, A, energy bounds W^0.5"
            file.attrs["attributes"] = json.dumps(dict(self.attributes))
            if self.stability is not None:
                group = file.create_group("stability")
                group.attrs["method"] = self.stability.method
                for name in ("sigma", "theta", "values", "residuals"):
                    group[name] = getattr(self.stability, name)
            pairs = file.create_group("pairs", track_order=True)
            for pair in self.pairs:
                group = pairs.create_group(pair.source.replace("/", "_"))
                group.attrs["source"], group.attrs["end"] = pair.source, pair.end
                for name in _PAIR_ARRAYS:
                    group[name] = getattr(pair, name)
                for name, values in pair.history.items():
                    group[f"history/{name}"] = values

    @classmethod
    def read(cls, path: str | Path) -> ReducedModel:
        """Read what `write` wrote; raise `InputError` for any other or a truncated file."""
        try:
            with h5py.File(path, "r", track_order=True) as file:
                if file.attrs.get("format") != _FORMAT:
                    raise InputError(f"{path}: not a reduced model of format {_FORMAT}.")
                attrs = dict(file.attrs)
                box = Box(tuple(attrs["parameters"]), attrs["lower"], attrs["upper"],
                          json.loads(attrs["fixed"]))  # fmt: skip
                stability = None
                if "stability" in file:
                    group = file["stability"]
                    arrays = [group[n][:] for n in ("sigma", "theta", "values", "residuals")]
                    stability = Stability(*arrays, group.attrs["method"])
                pairs = [_read_pair(group, attrs["sink"]) for group in file["pairs"].values()]
                return cls(
                    pairs, box, tuple(attrs["electrodes"]), float(attrs["current"]),
                    attrs["norm"], stability, json.loads(attrs["attributes"]),
                )  # fmt: skip
        except InputError:
            raise
        except (OSError, KeyError, ValueError, RuntimeError) as error:  # all that h5py raises
            raise InputError(f"{path}: cannot be read as a reduced model ({error}).") from error

    def _theta(self, sigma: ArrayLike, outside: str) -> tuple[np.ndarray, tuple[int, ...]]:
        check_option("outside", outside, ("refuse", "flag"))
        theta = self.box.theta(self.box.check(sigma) if outside == "refuse" else sigma)
        if outside == "flag":
            left = int(np.count_nonzero(~self.box.inside(sigma)))
            if left:
                _logger.warning("%d points lie outside the trained box", left)
        return theta.reshape(-1, theta.shape[-1]), theta.shape[:-1]

    def _first(self, snapshots: int | None) -> Iterable[PairModel]:
        return (pair.first(snapshots) for pair in self.pairs)

    def _stability_factor(self, theta: np.ndarray) -> np.ndarray | None:
        if self.norm == "energy":
            return None
        if self.stability is None:
            raise InputError("The Euclidean bound needs the stability factors; train with them.")
        return self.stability.evaluate(self.box, theta[:, : len(self.box.names)])


def merge(models: Sequence[ReducedModel]) -> ReducedModel:
    """One reduced model of several batches' pairs, in the order given.

    Raises
    ------
    InputError
        If the batches differ in box, electrodes, sink, current, norm or provenance: they do
        not belong to one operator.
    """
    if not models:
        raise InputError("Nothing to merge: no reduced model given.")
    first = models[0]
    for other in models[1:]:
        for what in ("electrodes", "sink", "current", "norm", "attributes"):
            if getattr(other, what) != getattr(first, what):
                raise InputError(f"Reduced models with different {what} cannot be merged.")
        same = other.box.names == first.box.names and dict(other.box.fixed) == dict(first.box.fixed)
        if not same or np.any(other.box.lower != first.box.lower) or np.any(
            other.box.upper != first.box.upper
        ):  # fmt: skip
            raise InputError("Reduced models with different boxes cannot be merged.")
    return dataclasses.replace(first, pairs=tuple(p for model in models for p in model.pairs))


def _height(factor: np.ndarray) -> int:
    # The factor is a staircase: rows below the last nonzero one belong to later snapshots.
    rows = np.flatnonzero(np.any(factor != 0, axis=1))
    return int(rows[-1]) + 1 if len(rows) else 0


def _read_pair(group: h5py.Group, sink: str) -> PairModel:
    history = {name: values[:] for name, values in group["history"].items()}
    arrays = [group[name][:] for name in _PAIR_ARRAYS]
    source = group.attrs["source"]
    pair = PairModel(source, sink, *arrays, history, group.attrs["end"])
    blocks, count, _ = pair.A_N.shape
    if pair.b_N.shape != (count,) or pair.electrode_basis.shape[1] != count or (
        pair.residual_factor.shape[1] != 1 + count * blocks
    ):  # fmt: skip
        raise InputError(f"{group.file.filename}: the arrays of pair {source} do not fit together.")
    return pair
