"""The multigrid of `multigrid` on a device of torch, with conjugate gradients there.

The same levels and Galerkin operators, made by the same code. Gauss-Seidel would leave a
graphics card waiting, so the smoother is a Chebyshev polynomial in D^-1 A: symmetric by itself,
and made of products alone. Transfers are three small matrix products, one for each axis.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from headcond.checks import MissingBackend
from headcond.tms.algebraic import Solve
from headcond.tms.multigrid import Hierarchy
from headcond.tms.stencil import Network

try:
    import torch
except ImportError as error:
    raise MissingBackend("The back end 'torch' needs the package torch.") from error

_POWER_STEPS = 12
_RESERVE = 1.1  # of the largest eigenvalue: power iteration comes from below
_SMOOTHED = 4.0  # the upper part of the spectrum, [largest/4, largest], is the smoother's


class _Level:
    """Operator, inverse diagonal, transfers to the next level and Chebyshev interval."""

    def __init__(self, level: object, coarse: object | None, device: torch.device) -> None:
        def put(values: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(np.ascontiguousarray(values)).to(device)

        self.inverse = put(level.inverse)
        self.shape = tuple(level.inverse.shape)
        self.edges = self.points = None
        if level.network is not None:
            self.edges = [put(part) for part in level.network.edges]
        else:
            inner = level.points[1:-1, 1:-1, :, 1:-1].transpose(2, 0, 1, 3)
            self.points = put(inner).reshape(3, 3, 3, *(n - 2 for n in self.shape))
        if coarse is not None:
            self.transfers = [
                put(_interpolation(fine, rough, ratio))
                for fine, rough, ratio in zip(
                    self.shape, coarse.inverse.shape, level.ratio, strict=True
                )
            ]
            self.largest = _RESERVE * self._largest()

    def apply(self, x: torch.Tensor) -> torch.Tensor:
        """A x, in the precision of x."""
        if self.edges is not None:
            return _network_product(self.edges, x)
        # All 27 shifted views of x as one tensor, without copying them.
        sizes = (3, 3, 3, *(n - 2 for n in self.shape))
        views = x.contiguous().as_strided(sizes, x.stride() * 2)
        out = torch.zeros_like(x)
        out[1:-1, 1:-1, 1:-1] = torch.einsum("abcijk,abcijk->ijk", self.points, views)
        return out

    def smooth(self, x: torch.Tensor | None, b: torch.Tensor) -> torch.Tensor:
        """Two Chebyshev steps on A x = b, from zero where x is None."""
        high, low = self.largest, self.largest / _SMOOTHED
        middle, radius = (high + low) / 2, (high - low) / 2
        residual = b if x is None else b - self.apply(x)
        step = self.inverse * residual / middle
        x = step if x is None else x + step
        rho = radius / middle
        following = 1 / (2 / rho - rho)
        residual = residual - self.apply(step)
        step = following * rho * step + (2 * following / radius) * self.inverse * residual
        return x + step

    def restrict(self, r: torch.Tensor) -> torch.Tensor:
        """Transpose of `prolong`."""
        return _along_axes([part.T for part in self.transfers], r)

    def prolong(self, x: torch.Tensor) -> torch.Tensor:
        """Trilinear interpolation of a coarse array, on the conducting nodes."""
        return _along_axes(self.transfers, x) * (self.inverse > 0)

    def _largest(self) -> float:
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(self.shape, generator=generator).to(self.inverse) * (self.inverse > 0)
        for _ in range(_POWER_STEPS):
            x = x / torch.linalg.vector_norm(x)
            x = self.inverse * self.apply(x)
        return float(torch.linalg.vector_norm(x))


def torch_solver(network: Network, hierarchy: Hierarchy, device: str) -> Solve:
    """Conjugate gradients in float64 with a float32 V(2,2) cycle; set up once, solve often.

    Parameters
    ----------
    network, hierarchy : see `multigrid.Hierarchy`.
    device : "cpu", "cuda" or "cuda:1", say.

    Raises
    ------
    MissingBackend
        If torch does not see the device.
    """
    place = torch.device(device)
    if place.type == "cuda" and not torch.cuda.is_available():
        raise MissingBackend(f"The device {device!r} is not there for torch: use 'cpu'.")
    sources = hierarchy.levels
    levels = [_Level(a, b, place) for a, b in pairwise(sources)] + [
        _Level(sources[-1], None, place)
    ]
    nodes = tuple(torch.from_numpy(part).to(place) for part in hierarchy.coarse_nodes)
    pseudo = torch.from_numpy(hierarchy.coarse_inverse).to(place)
    edges = levels[0].edges

    def cycle(b: torch.Tensor) -> torch.Tensor:
        loads, found = [b], []
        for level in levels[:-1]:
            found.append(level.smooth(None, loads[-1]))
            loads.append(level.restrict(loads[-1] - level.apply(found[-1])))
        x = torch.zeros_like(loads[-1])
        x[nodes] = pseudo @ loads[-1][nodes]
        for level, before, load in zip(levels[-2::-1], found[::-1], loads[-2::-1], strict=True):
            x = level.smooth(before + level.prolong(x), load)
        return x

    def solve(load: np.ndarray, tolerance: float, limit: int) -> tuple[np.ndarray, int]:
        r = torch.from_numpy(load.reshape(levels[0].shape)).to(place)
        wanted = torch.linalg.vector_norm(r)
        x, p, rz, iterations = torch.zeros_like(r), torch.zeros_like(r), None, 0
        norm = wanted
        while norm > tolerance * wanted and iterations < limit:
            z = cycle((r / norm).to(torch.float32)).to(torch.float64) * norm
            before, rz = rz, torch.sum(r * z)
            p = z if before is None else z + (rz / before) * p
            q = _network_product(edges, p)
            alpha = rz / torch.sum(p * q)
            x += alpha * p
            r = r - alpha * q
            norm = torch.linalg.vector_norm(r)
            iterations += 1
        return x.cpu().numpy().ravel(), iterations

    return solve


def _network_product(edges: list[torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """A x of the 7-point network: what flows along every edge, out at one end, in at the other."""
    out = torch.zeros_like(x)
    for axis, conductance in enumerate(edges):
        count = x.shape[axis] - 1
        flow = conductance.narrow(axis, 0, count) * (
            x.narrow(axis, 0, count) - x.narrow(axis, 1, count)
        )
        out.narrow(axis, 0, count).add_(flow)
        out.narrow(axis, 1, count).sub_(flow)
    return out


def _interpolation(fine: int, coarse: int, ratio: int) -> np.ndarray:
    """Linear interpolation along one axis, (fine, coarse) float32, ghosts left out."""
    matrix = np.zeros((fine, coarse), np.float32)
    for node in range(1, fine - 1):
        first, between = (node - 1) // ratio + 1, (node - 1) % ratio
        matrix[node, first] = 0.5 if between else 1.0
        if between:
            matrix[node, first + 1] = 0.5
    return matrix


def _along_axes(matrices: list[torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """Apply a matrix along each of the three axes."""
    first, second, third = matrices
    return torch.einsum("ai,ijk->ajk", first, second @ (x @ third.T))
