"""Reduced models: voltages, Jacobians and error bounds at any parameters, and their file."""

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

from headcond.checks import InputError, check_finite, check_option, check_shape
from headcond.files.hdf5 import open_hdf5
from headcond.files.results import atomic
from headcond.rom.bounds import NORMS, energy_bounds
from headcond.rom.corrected import CrossBlocks, corrected_potentials
from headcond.rom.pair_model import PairModel
from headcond.rom.parameters import Box
from headcond.rom.stability import Stability

_FORMAT = "headcond-rom-2"
_KNOWN = ("headcond-rom-1", _FORMAT)  # 1 has neither cross blocks nor a Riesz spread
_PAIR_ARRAYS = ("A_N", "b_N", "electrode_basis", "residual_factor", "residual_defect")
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReducedModel:
    """Reduced models of the pairs with one sink; one file.

    Attributes
    ----------
    pairs : the pairs' models.
    box : varying parameters, their ranges, fixed coefficients.
    electrodes : L labels.
    current : injected current, A; the voltages are for this current.
    norm : "energy" or "euclidean", of basis and bound.
    stability : stability factors, for the Euclidean bound.
    attributes : JSON-like facts for provenance.
    cross : blocks between the pairs' bases, for corrected voltages, where they were formed.
    """

    pairs: tuple[PairModel, ...]
    box: Box
    electrodes: tuple[str, ...]
    current: float
    norm: str = "energy"
    stability: Stability | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    cross: CrossBlocks | None = None

    def __post_init__(self) -> None:
        check_option("norm", self.norm, NORMS)
        object.__setattr__(self, "pairs", tuple(self.pairs))
        if not self.pairs:
            raise InputError("A reduced model needs at least one pair.")
        if len({pair.sink for pair in self.pairs}) > 1:
            raise InputError("The pairs of one reduced model must share their sink electrode.")
        sources = self.sources
        if len(set(sources)) < len(sources):
            raise InputError("A pair is twice in the reduced model.")
        if self.cross is not None and (
            self.cross.sources != self.sources
            or self.cross.counts != tuple(pair.snapshots for pair in self.pairs)
        ):
            raise InputError("The cross blocks belong to other pairs or numbers of snapshots.")

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
        cross = None if self.cross is None else self.cross.select(sources)
        return dataclasses.replace(self, pairs=pairs, cross=cross)

    def lighter(
        self, snapshots: int | None = None, *, cross: bool = True, bounds: bool = True
    ) -> ReducedModel:
        """A smaller model to hand on: fewer snapshots, no cross blocks or no bounds.

        Parameters
        ----------
        snapshots : keep the first so many basis vectors; all by default.
        cross : keep the blocks between pairs, for corrected readings and product bounds.
        bounds : keep the residuals' factors; without them `bound` is refused.
        """
        pairs = tuple(self._first(snapshots))
        if not bounds:
            pairs = tuple(
                dataclasses.replace(pair, residual_factor=pair.residual_factor[:0])
                for pair in pairs
            )
        kept = self.cross.first(snapshots) if cross and self.cross is not None else None
        return dataclasses.replace(self, pairs=pairs, cross=kept)

    def voltages(
        self, sigma: ArrayLike, snapshots: int | None = None, outside: str = "refuse",
        corrected: bool = False,
    ) -> np.ndarray:  # fmt: skip
        """Electrode potentials (..., pairs, L), V, up to one constant per pair and point.

        Any pair (i, j) is model_i - model_j; the reference is chosen at measurement time.

        Parameters
        ----------
        sigma : (..., P) parameters, S/m.
        snapshots : use the first so many basis vectors; all by default.
        outside : "refuse" points outside the box, or "flag" them (a warning is logged;
            see `box.inside`; nothing was trained there).
        corrected : corrected by the dual solutions, V against the sink: nearer to the truth by
            orders, and with `reading_bound`. Every electrode must be a trained pair's.
        """
        theta, shape = self._theta(sigma, outside)
        if corrected:
            out = self._corrected(theta, snapshots, slope=False)
        else:
            pairs = self._first(snapshots)
            out = np.stack([pair.solve(theta) @ pair.electrode_basis.T for pair in pairs], axis=1)
        return out.reshape(*shape, *out.shape[1:])

    def jacobian(
        self, sigma: ArrayLike, snapshots: int | None = None, outside: str = "refuse",
        corrected: bool = False,
    ) -> np.ndarray:  # fmt: skip
        """Exact derivative of `voltages` by sigma, (..., pairs, L, P), V/(S/m).

        dz/dsigma_k = -A_N^-1 A_N^k z; arguments as those of `voltages`.
        """
        theta, shape = self._theta(sigma, outside)
        if corrected:
            out = self._corrected(theta, snapshots, slope=True)
        else:
            count, pairs = len(self.box.names), self._first(snapshots)
            out = [pair.electrode_basis @ pair.derivative(theta, count)[1] for pair in pairs]
            out = np.stack(out, axis=1)
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

    def reading_bound(
        self, sigma: ArrayLike, snapshots: int | None = None, outside: str = "refuse"
    ) -> np.ndarray:
        """Certified error (..., pairs, L), V, of every corrected potential against the sink.

        Delta_i Delta_m / I for pair i and electrode m, 0 at the sink. A reading between two
        electrodes m and m' is off by at most the sum of theirs, Delta_i (Delta_m + Delta_m') / I.
        """
        sources = self.source_indices()
        if self.norm != "energy":
            raise InputError("Only the energy bound certifies readings: train with norm 'energy'.")
        bound = self.bound(sigma, snapshots, outside)
        out = np.zeros((*bound.shape, len(self.electrodes)))
        out[..., sources] = bound[..., :, None] * bound[..., None, :] / self.current
        return out

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
            if self.cross is not None:
                self.cross.write(file.create_group("cross"))
            pairs = file.create_group("pairs", track_order=True)
            for pair in self.pairs:
                group = pairs.create_group(pair.source.replace("/", "_"))
                group.attrs["source"], group.attrs["end"] = pair.source, pair.end
                group.attrs["spread"] = pair.spread
                for name in _PAIR_ARRAYS:
                    group[name] = getattr(pair, name)
                for name, values in pair.history.items():
                    group[f"history/{name}"] = values

    @classmethod
    def read(cls, path: str | Path) -> ReducedModel:
        """Read what `write` wrote; raise `InputError` for any other or a truncated file."""
        with open_hdf5(path, "a reduced model") as file:
            if file.attrs.get("format") not in _KNOWN:
                raise InputError(
                    f"{path}: not a reduced model of format {_FORMAT}; train it with this version."
                )
            attrs = dict(file.attrs)
            box = Box(tuple(attrs["parameters"]), attrs["lower"], attrs["upper"],
                      json.loads(attrs["fixed"]))  # fmt: skip
            stability = None
            if "stability" in file:
                group = file["stability"]
                arrays = [group[n][:] for n in ("sigma", "theta", "values", "residuals")]
                stability = Stability(*arrays, group.attrs["method"])
            electrodes = tuple(attrs["electrodes"])
            pairs = [
                _read_pair(group, attrs["sink"], len(box.reference), len(electrodes))
                for group in file["pairs"].values()
            ]
            cross = None
            if "cross" in file:
                sources, counts = zip(*((p.source, p.snapshots) for p in pairs), strict=True)
                cross = CrossBlocks.read(file["cross"], sources, counts)
            return cls(
                pairs, box, electrodes, float(attrs["current"]), attrs["norm"], stability,
                json.loads(attrs["attributes"]), cross,
            )  # fmt: skip

    def _theta(self, sigma: ArrayLike, outside: str) -> tuple[np.ndarray, tuple[int, ...]]:
        check_option("outside", outside, ("refuse", "flag"))
        theta = self.box.theta(self.box.check(sigma) if outside == "refuse" else sigma)
        if outside == "flag":
            left = int(np.count_nonzero(~self.box.inside(sigma)))
            if left:
                logger.warning("%d points are outside the trained box", left)
        return theta.reshape(-1, theta.shape[-1]), theta.shape[:-1]

    def source_indices(self) -> list[int]:
        """Number of each pair's source among the electrodes.

        Raises
        ------
        InputError
            If there are no cross blocks, or an electrode other than the sink is not a source.
        """
        if self.cross is None:
            raise InputError(
                "Corrected readings need the cross blocks: train with keep_bases and form them "
                "(`corrected.form_cross`; in a study rom.corrected: true)."
            )
        missing = [e for e in self.electrodes if e != self.sink and e not in self.sources]
        if missing:
            raise InputError(
                "Corrected readings need every electrode as the source of a trained pair; not "
                f"trained: {', '.join(missing)}."
            )
        return [self.electrodes.index(source) for source in self.sources]

    def _corrected(self, theta: np.ndarray, snapshots: int | None, slope: bool) -> np.ndarray:
        place, pairs = self.source_indices(), list(self._first(snapshots))
        return corrected_potentials(
            pairs, self.cross.first(snapshots), place, self.electrodes.index(self.sink),
            self.current, theta, len(self.box.names) if slope else 0,
        )  # fmt: skip

    def _first(self, snapshots: int | None) -> Iterable[PairModel]:
        return (pair.first(snapshots) for pair in self.pairs)

    def _stability_factor(self, theta: np.ndarray) -> np.ndarray | None:
        if self.norm == "energy":
            return None
        if self.stability is None:
            raise InputError("The Euclidean bound needs the stability factors; train with them.")
        return self.stability.evaluate(self.box, theta[:, : len(self.box.names)])


def merge(models: Sequence[ReducedModel]) -> ReducedModel:
    """Merge the reduced models of several batches of pairs, in their order.

    Raises
    ------
    InputError
        If the batches differ in box, electrodes, sink, current, norm or provenance: they do
        not belong to one operator.
    """
    if not models:
        raise InputError("Nothing to merge: no reduced model given.")
    first = models[0]
    if any(model.cross is not None for model in models):
        raise InputError("Merge the batches first, then form the cross blocks between all pairs.")
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


def _read_pair(group: h5py.Group, sink: str, blocks: int, electrodes: int) -> PairModel:
    history = {name: values[:] for name, values in group["history"].items()}
    arrays = [group[name][:] for name in _PAIR_ARRAYS]
    source = group.attrs["source"]
    spread = float(group.attrs.get("spread", 1.0))  # absent in the first format
    pair = PairModel(source, sink, *arrays, history, group.attrs["end"], spread)
    where, count = f"{group.file.filename}: pair {source}", len(pair.b_N)
    for name, shape in (
        ("A_N", (blocks, count, count)),
        ("b_N", (count,)),
        ("electrode_basis", (electrodes, count)),
        ("residual_factor", (None, 1 + count * blocks)),
    ):
        try:
            check_finite(f"{where}, {name}", check_shape(f"{where}, {name}", group[name], shape))
        except InputError as error:
            raise InputError(f"{error} Train the model again.") from None
    return pair
