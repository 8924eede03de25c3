"""Small head-like operators and a plain Galerkin reduction of them, for the inverse tests."""

from __future__ import annotations

import itertools

import numpy as np
import scipy.sparse as sparse

from headcond.fem.operator import AffineOperator
from headcond.fem.solvers import make_solver
from headcond.inverse.full_order import FullModel
from headcond.inverse.matching import check_survey, match
from headcond.inverse.protocol import AVERAGE, check_noise
from headcond.inverse.screening import BadChannels
from headcond.rom.model import PairModel, ReducedModel
from headcond.rom.parameters import Box

CURRENT = 20e-6
CONTACT = 5.0
BOX = {"scalp": (0.303, 0.444), "skull": (0.004, 0.016), "brain": (0.25, 0.5)}


def layered_operator(side=9, electrodes=18, tissues=tuple(BOX), spacing=0.015):
    """A cube of nodes, one shell of nodes per tissue from outside, with two-node contacts."""
    index = np.arange(side**3).reshape((side,) * 3)
    depth = np.minimum(np.indices(index.shape), side - 1 - np.indices(index.shape)).min(axis=0)
    tissue = np.minimum(depth, len(tissues) - 1)
    edges = {kind: [] for kind in range(len(tissues))}
    for axis in range(3):
        low = np.moveaxis(index, axis, 0)[:-1].ravel()
        high = np.moveaxis(index, axis, 0)[1:].ravel()
        # An edge belongs to the deeper of its two nodes.
        kinds = np.maximum(tissue.ravel()[low], tissue.ravel()[high])
        for kind in edges:
            chosen = kinds == kind
            edges[kind] += list(zip(low[chosen], high[chosen], itertools.repeat(spacing)))
    surface = index[depth == 0]
    places = surface[np.linspace(0, len(surface) - 2, electrodes).astype(int)]
    nodes = side**3
    contact = []
    for number, node in enumerate(places):
        near = next(b for a, b, _ in edges[0] if a == node or b == node)
        other = near if near != node else next(a for a, b, _ in edges[0] if b == node)
        for corner, share in ((node, 1.0), (other, 0.6)):
            contact.append((corner, nodes + number, share * 3e-4))
    size = nodes + electrodes
    blocks = []
    for links in (*edges.values(), contact):
        a, b, weight = (np.array(column) for column in zip(*links, strict=True))
        rows = np.concatenate([a, b, a, b]).astype(int)
        columns = np.concatenate([a, b, b, a]).astype(int)
        values = np.concatenate([weight, weight, -weight, -weight])
        blocks.append(sparse.csr_matrix((values, (rows, columns)), (size, size)))
    pattern = sum(abs(block) for block in blocks).tocsr()
    pattern.sort_indices()
    position = pattern.copy()
    position.data = np.arange(1, pattern.nnz + 1, dtype=float)
    data = np.zeros((len(blocks), pattern.nnz))
    for row, block in zip(data, blocks, strict=True):
        block = block.tocoo()
        where = np.asarray(position[block.row, block.col]).ravel().astype(int) - 1
        np.add.at(row, where, block.data)
    labels = tuple(f"E{number + 1}" for number in range(electrodes))
    return AffineOperator(
        (*tissues, "contact"), pattern.indptr, pattern.indices, data, labels, nodes, {}
    )


def direct(matrix):
    return make_solver(matrix, backend="direct", tolerance=1e-10)


def full_model(operator=None, pairs=(("E1", "E18"), ("E4", "E18"), ("E9", "E18")), names=tuple(BOX),
               current=CURRENT):  # fmt: skip
    """Full model of the cube; tissues that are not among `names` stay at their lower end."""
    operator = operator or layered_operator()
    fixed = {name: BOX[name][0] for name in BOX if name not in names}
    box = Box(names, [BOX[n][0] for n in names], [BOX[n][1] for n in names],
              {**fixed, "contact": 1 / CONTACT})  # fmt: skip
    return FullModel(operator, box, pairs=pairs, current=current, solver_factory=direct)


def galerkin(model, points):
    """ReducedModel by plain Galerkin projection on snapshots of a full model at `points`.

    It has no residual factors: the inverse package needs voltages and Jacobians only.
    """
    operator = model.operator
    blocks = model.box.blocks(operator)
    fields = np.array([model._fields(point, range(len(model.pairs))) for point in points])
    pairs = []
    for m, (source, sink) in enumerate(model.pairs):
        basis, _ = np.linalg.qr(fields[:, :, m].T)
        stack = np.array([basis.T @ (block @ basis) for block in blocks])
        pairs.append(PairModel(
            source, sink, stack, basis.T @ operator.load(source, sink, model.current),
            basis[operator.nodes:], np.zeros((1, 1 + len(points) * len(blocks))),
            np.zeros(1 + len(points) * len(blocks)), {"maximum": np.zeros(len(points))},
            "snapshots",
        ))  # fmt: skip
    return ReducedModel(tuple(pairs), model.box, operator.electrodes, model.current)


class TwoCalls:
    """A model that offers nothing but `voltages` and `jacobian`."""

    def __init__(self, model):
        for name in ("names", "lower", "upper", "pairs", "electrodes", "current"):
            setattr(self, name, getattr(model, name))
        self.voltages, self.jacobian = model.voltages, model.jacobian


def box_points(model, count, generator):
    low, high = np.log(model.lower), np.log(model.upper)
    return np.exp(low + (high - low) * generator.random((count, len(low))))


def matched(measurement, model, noise=None, electrodes=(), patterns=()):
    """The data of a measurement for a model, checked, without these electrodes and patterns."""
    bad = BadChannels(dict.fromkeys(electrodes, "bad"), dict.fromkeys(patterns, "bad"))
    return match(measurement, model, bad, check_survey(measurement, model, bad, noise))


def covariance(protocol, std):
    """Covariance (pairs, L, L) of the readings in V^2, zero outside the protocol's mask.

    With electrode noise of standard deviation s it is s^2 (I + 1 1^T) against one
    electrode and s^2 (I - 1 1^T / R) against the average of R passive ones (singular: those
    readings sum to zero).
    """
    variance = check_noise(std, protocol)[:, None, None] ** 2
    mask = protocol.mask.astype(float)
    outer = mask[:, :, None] * mask[:, None, :]
    if protocol.reference == AVERAGE:
        outer /= -mask.sum(axis=1)[:, None, None]
    return variance * (mask[:, :, None] * np.eye(mask.shape[1]) + outer)
