"""Measurement protocol: which electrodes are read under each injection pair, and against what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from headcond.checks import InputError, check_finite, check_shape

AVERAGE = "average"


@dataclass(frozen=True)
class Protocol:
    """Which electrodes are read while each pair injects, and against which reference.

    Readings have the shape of the potentials: the reading of electrode l under pair m is at
    `[..., m, l]`, and zero where `mask[m, l]` is false. `make_protocol` builds a protocol.

    Attributes
    ----------
    pairs : (source, sink) electrode labels, one per injection pair.
    electrodes : labels, in the order of the potentials' last axis.
    reference : the electrode that readings are taken against, or "average" for the mean of
        the passive electrodes.
    mask : (pairs, electrodes) bool, true where there is a reading.
    weights : (pairs, electrodes); a pair's reference potential is `weights @ potentials`.
    """

    pairs: tuple[tuple[str, str], ...]
    electrodes: tuple[str, ...]
    reference: str
    mask: np.ndarray
    weights: np.ndarray

    @property
    def names(self) -> tuple[str, ...]:
        """Pairs as source-sink."""
        return tuple(f"{source}-{sink}" for source, sink in self.pairs)

    @property
    def dof(self) -> np.ndarray:
        """Independent readings (pairs,); one less against the average, as those sum to zero."""
        return self.mask.sum(axis=1) - (self.reference == AVERAGE)

    def select(self, pairs: Sequence[int]) -> Protocol:
        """The same protocol for the pairs of these indices, which may repeat."""
        index = np.asarray(pairs, int)
        return Protocol(tuple(self.pairs[i] for i in index), self.electrodes, self.reference,
                        self.mask[index], self.weights[index])  # fmt: skip


def make_protocol(
    pairs: Sequence[tuple[str, str]],
    electrodes: Sequence[str],
    reference: str = AVERAGE,
    missing: Mapping[tuple[str, str] | None, Sequence[str]] | None = None,
) -> Protocol:
    """Build the protocol of a survey.

    The injecting and the extracting electrode carry the voltage drop of their contacts, which
    hides the signal: they are not read and not part of an average.

    Parameters
    ----------
    pairs : (source, sink) labels of the injection pairs.
    electrodes : labels of all electrodes of the model.
    reference : one electrode's label, or "average".
    missing : electrodes whose readings are absent, by pair; the key None means every pair. An
        average is then taken over the electrodes that are left.

    Raises
    ------
    InputError
        If a label is unknown or repeated, a pair injects or extracts at the reference, the
        reference is missing, or a pair has no independent reading left.
    """
    electrodes = tuple(str(label) for label in electrodes)
    if len(set(electrodes)) != len(electrodes):
        raise InputError("Electrode labels are not unique.")
    if not len(pairs):
        raise InputError("The protocol has no injection pair.")
    column = {label: i for i, label in enumerate(electrodes)}
    pairs = tuple((str(source), str(sink)) for source, sink in pairs)
    absent = dict(missing or {})
    if unknown := [pair for pair in absent if pair is not None and tuple(pair) not in pairs]:
        raise InputError(
            f"Missing readings are listed for pair {unknown[0]}, which is not injected."
        )

    def find(label: str, role: str) -> int:
        if label not in column:
            raise InputError(
                f"The {role} electrode {label!r} is not among the model's {len(electrodes)} "
                f"electrodes ({', '.join(electrodes[:6])}, ...)."
            )
        return column[label]

    single = None if reference == AVERAGE else find(str(reference), "reference")
    mask = np.ones((len(pairs), len(electrodes)), bool)
    for m, (source, sink) in enumerate(pairs):
        if source == sink:
            raise InputError(f"Pair {m} injects and extracts at the same electrode {source!r}.")
        used = [find(source, "injecting"), find(sink, "extracting")]
        if single in used:
            raise InputError(
                f"Pair {source}-{sink} uses the reference electrode {reference!r}: leave the pair "
                "out, or choose another reference."
            )
        gone = [
            find(str(label), "missing") for key in (None, pairs[m]) for label in absent.get(key, ())
        ]
        if single in gone:
            raise InputError(f"The reference {reference!r} is missing under pair {source}-{sink}.")
        mask[m, used + gone] = False
    weights = np.zeros(mask.shape)
    if single is None:
        weights[:] = mask / np.maximum(mask.sum(axis=1, keepdims=True), 1)
    else:
        mask[:, single] = False
        weights[:, single] = 1.0
    protocol = Protocol(pairs, electrodes, str(reference), mask, weights)
    if np.any(empty := protocol.dof < 1):
        source, sink = pairs[int(np.argmax(empty))]
        raise InputError(f"Pair {source}-{sink} has no independent reading left: leave it out.")
    return protocol


def readings(potentials: np.ndarray, protocol: Protocol) -> np.ndarray:
    """Voltages (..., pairs, L) in V that the protocol reads from electrode potentials.

    Parameters
    ----------
    potentials : (..., pairs, L) V; a constant per pair cancels.
    protocol : which of them are read; elsewhere the result is zero.
    """
    potentials = np.asarray(potentials, float)
    _check_layout("potentials", potentials, protocol)
    return rank_one(potentials, protocol.mask, protocol.mask, protocol.weights)


def reading_jacobian(jacobian: np.ndarray, protocol: Protocol) -> np.ndarray:
    """Derivatives (..., pairs, L, P) of the readings from those of the potentials."""
    jacobian = np.asarray(jacobian, float)
    _check_layout("jacobian", jacobian[..., 0], protocol)
    return rank_one(jacobian, protocol.mask, protocol.mask, protocol.weights, trailing=True)


def readings_adjoint(values: np.ndarray, protocol: Protocol) -> np.ndarray:
    """Transpose of `readings`: weights of readings (..., pairs, L) to those of potentials."""
    values = np.where(protocol.mask, values, 0.0)
    return rank_one(values, np.ones(protocol.mask.shape), protocol.weights, protocol.mask)


def check_data(data: np.ndarray, protocol: Protocol) -> np.ndarray:
    """Return measured readings (..., pairs, L) in V, zero outside the protocol's mask.

    Values outside the mask (such as NaN) are ignored.

    Raises
    ------
    InputError
        If the shape does not fit the protocol or a reading is not finite.
    """
    data = np.asarray(data, float)
    _check_layout("data", data, protocol)
    bad = protocol.mask & ~np.isfinite(data)
    if np.any(bad):
        *_, m, l_ = np.argwhere(bad)[0]
        source, sink = protocol.pairs[m]
        raise InputError(
            f"data have {np.count_nonzero(bad)} readings that are not finite, first electrode "
            f"{protocol.electrodes[l_]} under pair {source}-{sink}: list them as missing."
        )
    return np.where(protocol.mask, data, 0.0)


def rank_one(
    values: np.ndarray,
    scale: np.ndarray,
    shift: np.ndarray,
    weights: np.ndarray,
    *,
    trailing: bool = False,
) -> np.ndarray:
    """Apply diag(scale) - diag(scale) shift weights^T to each pair's electrode values.

    Parameters
    ----------
    values : (..., pairs, L), or (..., pairs, L, P) if `trailing`.
    scale, shift, weights : (pairs, L).
    """
    if trailing:
        sums = np.matmul(weights[:, None, :], values)
        return scale[..., None] * (values - shift[..., None] * sums)
    sums = np.einsum("ml,...ml->...m", weights, values)
    return scale * (values - shift * sums[..., None])


def _check_layout(name: str, values: np.ndarray, protocol: Protocol) -> None:
    if values.ndim < 2 or values.shape[-2:] != protocol.mask.shape:
        raise InputError(
            f"{name} must have shape (..., {protocol.mask.shape[0]} pairs, "
            f"{protocol.mask.shape[1]} electrodes), got {values.shape}."
        )


def check_noise(noise: float | np.ndarray, protocol: Protocol) -> np.ndarray:
    """Return the noise standard deviation (pairs,) in V, from one for all pairs or one each."""
    std = np.asarray(noise, float)
    std = np.full(len(protocol.pairs), float(std)) if std.ndim == 0 else std
    check_finite("noise", check_shape("noise", std, (len(protocol.pairs),)))
    if np.any(std <= 0):
        raise InputError(f"noise must be above 0 V, its least value is {std.min():g}.")
    return std
