"""HDF5 files from any source, with their size checked before they are read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import h5py

from headcond.checks import InputError
from headcond.files.results import check_whole
from headcond.files.untrusted import MAX_BYTES, MAX_EXPANSION, failure_of, time_limit


@contextlib.contextmanager
def open_hdf5(path: str | Path, what: str) -> Iterator[h5py.File]:
    """Open an HDF5 file from any source, to be read completely.

    Before anything is read, the sizes in its headers are compared with `MAX_BYTES` and the size
    of the file, and links or data outside the file are refused. A file without a digest in its
    sidecar is read by a child process first: on a damaged one HDF5 may never return.

    Parameters
    ----------
    path : file.
    what : its expected content, for messages.

    Raises
    ------
    InputError
        If it is absent, truncated, changed since it was written or too large, or if the reader
        inside the block misses something or finds it in another shape.
    """
    unchecked = not check_whole(path) and Path(path).is_file()
    if unchecked and (failure := failure_of(partial(_read_all, Path(path)), time_limit(path))):
        raise InputError(
            f"{path}: cannot be read as {what}: {failure}. It is damaged: copy or create it again."
        )
    try:
        with h5py.File(path, "r", track_order=True) as file:
            _check_hdf5(Path(path), file)
            yield file
    except InputError as error:
        if str(path) in str(error):
            raise
        raise InputError(f"{path}: {error}") from error
    except (  # all that h5py and reshaping its arrays raise on a foreign or broken file
        OSError, KeyError, ValueError, TypeError, AttributeError, IndexError, RuntimeError,
        OverflowError, MemoryError,
    ) as error:  # fmt: skip
        raise InputError(
            f"{path}: cannot be read as {what} ({error}). If a study wrote it, remove it, and the "
            "next run writes it again."
        ) from error


def _read_all(path: Path) -> None:
    """Read everything in a file; errors other than of memory are left to the real reader."""

    def visit(_: str, item: h5py.Group | h5py.Dataset) -> None:
        reads = [lambda: dict(item.attrs)]
        if isinstance(item, h5py.Dataset):
            reads.append(lambda: item[()])
        for read in reads:
            try:
                read()
            except Exception as error:
                # HDF5 reports a lack of memory in words only.
                if isinstance(error, MemoryError) or "alloc" in str(error):
                    raise MemoryError from error

    with h5py.File(path, "r", track_order=True) as file:
        _check_hdf5(path, file)
        visit("/", file)
        file.visititems(visit)


def _check_hdf5(path: Path, file: h5py.File) -> None:
    total, length, names = 0, path.stat().st_size, []
    file.visit_links(names.append)
    for name in names:
        if not isinstance(file.get(name, getlink=True), h5py.HardLink):
            raise InputError(
                f"{path}: {name} is a link, which is not followed. Copy the file with its links "
                "resolved."
            )
        item = file[name]
        if not isinstance(item, h5py.Dataset):
            continue
        if item.external or item.is_virtual:
            raise InputError(
                f"{path}: {name} has its data in other files, which are not read. Copy them into "
                "one file."
            )
        total += (size := item.size * item.dtype.itemsize)
        # Chunks that were never written take no space and read as zeros: a bomb of a few bytes.
        if total > MAX_BYTES or size > length * (1 if item.chunks is None else MAX_EXPANSION):
            raise InputError(
                f"{path}: {name} claims {size:.3g} bytes in a file of {length}: it is damaged, or "
                f"exceeds the limit of {MAX_BYTES:.3g} bytes. Create the file again."
            )
