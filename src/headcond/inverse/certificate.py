"""Whether a reduced model's own error matters at the noise of a measurement."""

from __future__ import annotations

import numpy as np

from headcond.inverse.measurement import Protocol
from headcond.rom.model import ReducedModel

# An error below this part of the noise is lost in it (the paper's stopping rule).
HARMLESS = 0.1


def certified_error(model: ReducedModel, protocol: Protocol, sigma: np.ndarray) -> np.ndarray:
    """Largest certified error of a pattern's readings at one point, V.

    A corrected potential of the trained pair i at electrode m is off by at most
    Delta_i Delta_m / I; a pattern is the difference of two pairs, a reading that of its
    electrode and its reference.

    Parameters
    ----------
    model : reduced model.
    protocol : its readings.
    sigma : (P,) S/m, or (pairs, P) with a point for each pattern.

    Returns
    -------
    (pairs,) V at the model's current; infinite where nothing certifies single readings,
    which takes cross blocks and every electrode but the sink as a pair.
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
        reading = np.where(protocol.mask[m], each + protocol.weights[m] @ each, 0.0)
        out[m] = reading.max()
    return out
