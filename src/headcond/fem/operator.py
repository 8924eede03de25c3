"""An affinely parametrised symmetric operator: what the reduced models see of the physics."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.sparse as sparse

from headcond.checks import InputError, check_shape
from headcond.files.hdf5 import open_hdf5
from headcond.files.results import atomic

_FORMAT = "headcond-operator-2"
_CHUNK = 1 << 17


@dataclass(frozen=True)
class AffineOperator:
    """A(theta) = sum_q theta_q A_q on the unknowns [phi at the nodes; U at the electrodes] (eq. 5).

    All blocks are symmetric, positive semidefinite, and share one sparsity pattern; the
    kernel of every A(theta) with theta > 0 is the vector of ones.

    Attributes
    ----------
    names : one name per block: the tissues (coefficient sigma in S/m; an anisotropic one
        has two blocks, `<tissue>_radial` and `<tissue>_tangential`), then `contact`
        (coefficient 1/z, z in Ohm m^2).
    indptr, indices : CSR pattern that the blocks share.
    data : (Q, nnz) values of the blocks.
    electrodes : labels; electrode l is unknown number `nodes + l`.
    nodes : number of mesh nodes.
    attributes : JSON-like facts for provenance (mesh digest, contact impedance, ...).
    """

    names: tuple[str, ...]
    indptr: np.ndarray
    indices: np.ndarray
    data: np.ndarray
    electrodes: tuple[str, ...]
    nodes: int
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_shape("operator indptr", self.indptr, (self.size + 1,))
        check_shape("operator data", self.data, (len(self.names), len(self.indices)))
        for kind, labels in (("blocks", self.names), ("electrodes", self.electrodes)):
            if len(set(labels)) != len(labels):
                raise InputError(f"The operator's {kind} are not unique: {', '.join(labels)}.")

    @property
    def size(self) -> int:
        """Number of unknowns, nodes + electrodes."""
        return self.nodes + len(self.electrodes)

    def block(self, name: str) -> sparse.csr_matrix:
        """The block called `name`, (size, size)."""
        if name not in self.names:
            raise InputError(f"The operator has no block {name!r}; it has {', '.join(self.names)}.")
        return self._matrix(self.data[self.names.index(name)])

    def combine(self, theta: Sequence[float]) -> sparse.csr_matrix:
        """A(theta) for coefficients `theta` (Q,) in the order of `names`.

        Raises
        ------
        InputError
            If a coefficient is negative or not finite. Zero leaves a block out: a part of
            the operator, with a larger kernel.
        """
        theta = check_shape("theta", np.asarray(theta, float), (len(self.names),))
        for name, value in zip(self.names, theta, strict=True):
            if not (np.isfinite(value) and value >= 0):
                raise InputError(f"The coefficient of {name} is {value}: it must be above 0.")
        return self._matrix(theta @ self.data)

    def load(self, source: str, sink: str, current: float = 1.0) -> np.ndarray:
        """Right-hand side (size,) of `current` (A) entering at `source`, leaving at `sink`.

        Raises
        ------
        InputError
            If an electrode is unknown, or source and sink are the same one.
        """
        if source == sink:
            raise InputError(f"Electrode {source!r} cannot be its own sink: no current flows.")
        load = np.zeros(self.size)
        load[self.unknown(source)] += current
        load[self.unknown(sink)] -= current
        return load

    def unknown(self, electrode: str) -> int:
        """Index of an electrode's potential among the unknowns."""
        if electrode not in self.electrodes:
            raise InputError(f"No electrode {electrode!r}; there are {', '.join(self.electrodes)}.")
        return self.nodes + self.electrodes.index(electrode)

    def write(self, path: str | Path) -> None:
        """Write as HDF5, atomically; the blocks, mostly zeros, are packed losslessly."""
        with atomic(path) as temporary, h5py.File(temporary, "w") as file:
            file.attrs["format"] = _FORMAT
            file.attrs["names"] = list(self.names)
            file.attrs["electrodes"] = list(self.electrodes)
            file.attrs["nodes"] = self.nodes
            file.create_dataset("attributes", data=json.dumps(dict(self.attributes)))
            for name in ("indptr", "indices"):
                file.create_dataset(name, data=getattr(self, name))
            chunk = (1, max(1, min(_CHUNK, len(self.indices))))
            file.create_dataset("data", data=self.data, chunks=chunk, compression="lzf")

    @classmethod
    def read(cls, path: str | Path) -> AffineOperator:
        """Read what `write` wrote; raise `InputError` for any other or a truncated file."""
        with open_hdf5(path, "an operator file") as file:
            if file.attrs.get("format") != _FORMAT:
                raise InputError(
                    f"{path}: not an operator file of format {_FORMAT}; assemble it with this "
                    "version."
                )
            arrays = [file[name][:] for name in ("indptr", "indices", "data")]
            return cls(
                tuple(file.attrs["names"]), *arrays, tuple(file.attrs["electrodes"]),
                int(file.attrs["nodes"]), json.loads(file["attributes"][()]),
            )  # fmt: skip

    def _matrix(self, values: np.ndarray) -> sparse.csr_matrix:
        matrix = sparse.csr_matrix((self.size, self.size))
        matrix.indptr, matrix.indices, matrix.data = self.indptr, self.indices, values
        matrix.has_sorted_indices = True
        return matrix
