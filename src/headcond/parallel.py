"""MPI communicators: the world of mpi4py, or a serial replacement where that is missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class SerialCommunicator:
    """A communicator of one rank with the calls that headcond makes, by mpi4py's names."""

    rank = 0
    size = 1

    def Get_rank(self) -> int:
        """Rank of this process: 0."""
        return 0

    def Get_size(self) -> int:
        """Number of ranks: 1."""
        return 1

    def allgather(self, value: Any) -> list:
        """Values of all ranks."""
        return [value]

    def gather(self, value: Any, root: int = 0) -> list:
        """Values of all ranks, at `root`."""
        return [value]

    def bcast(self, value: Any, root: int = 0) -> Any:
        """The value that `root` holds."""
        return value

    def barrier(self) -> None:
        """Wait for all ranks."""
        return None


def world(expected_size: int | None = None) -> Any:
    """Return MPI.COMM_WORLD, or a `SerialCommunicator` where mpi4py is not installed.

    Parameters
    ----------
    expected_size : number of ranks that the caller started, if it knows.

    Raises
    ------
    RuntimeError
        If the communicator has another size: a launcher that does not match the MPI
        library starts N programs of size 1 without any error.
    """
    try:
        from mpi4py import MPI
    except ImportError:
        communicator: Any = SerialCommunicator()
    else:
        communicator = MPI.COMM_WORLD
    size = communicator.Get_size()
    if expected_size is not None and size != expected_size:
        raise RuntimeError(
            f"{expected_size} MPI ranks were started, but this program runs with {size}: the "
            "launcher (resources: mpi) does not belong to the MPI library that mpi4py uses."
        )
    return communicator


def my_share(items: Sequence, rank: int, size: int) -> list:
    """Items that `rank` of `size` works on: every `size`-th one, starting at `rank`."""
    return list(items[rank::size])
