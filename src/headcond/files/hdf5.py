"""HDF5 files that may come from anywhere: bounded before they are read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import h5py

from headcond.checks import InputError
from headcond.files.results import check_whole
from headcond.files.untrusted import LARGEST, PACKED, patience, trouble


@contextlib.contextmanager
def open_hdf5(path: str | Path, what: str) -> Iterator[h5py.File]:
    """Open an HDF5 file that may come from anywhere, to be read whole.

    Before anything is read, the sizes that its headers claim are held against `LARGEST` and
    the file's own size, and links or data outside the file are refused. A file without a digest
    in its sidecar is read by a child process first: on a damaged one HDF5 may run for ever.

    Parameters
    ----------
    path : file.
    what : what it should be, for the message.

    Raises
    ------
    InputError
        If it is absent, truncated, changed since it was written, asks for too much, or lacks
        something or has it in another shape than the reader expects.
    """
    foreign = not check_whole(path) and Path(path).is_file()
    if foreign and (found := trouble(partial(_read_through, Path(path)), patience(path))):
        raise InputError(
            f"{path}: cannot be read as {what}: {found}. It is damaged: copy or make it again."
        )
    try:
        with h5py.File(path, "r", track_order=True) as file:
            _check_hdf5(Path(path), file)
            yield file
    except InputError as error:
        if str(path) in str(error):
            raise
        raise InputError(f"{path}: {error}") from error
    except (  # all that h5py and the shaping of what it gives raise on a foreign or broken file
        OSError, KeyError, ValueError, TypeError, AttributeError, IndexError, RuntimeError,
        OverflowError, MemoryError,
    ) as error:  # fmt: skip
        raise InputError(
            f"{path}: cannot be read as {what} ({error}). If a study made it, remove it, and the "
            "next run makes it again."
        ) from error


def _read_through(path: Path) -> None:
    """Touch all that a file holds; what cannot be read is passed over."""

    def touch(_: str, found: h5py.Group | h5py.Dataset) -> None:
        reads = [lambda: dict(found.attrs)]
        if isinstance(found, h5py.Dataset):
            reads.append(lambda: found[()])
        for read in reads:
            try:
                read()
            except Exception as error:
                # HDF5 tells a want of memory in words.
                if isinstance(error, MemoryError) or "alloc" in str(error):
                    raise MemoryError from error

    with h5py.File(path, "r", track_order=True) as file:
        _check_hdf5(path, file)
        touch("/", file)
        file.visititems(touch)


def _check_hdf5(path: Path, file: h5py.File) -> None:
    total, length, names = 0, path.stat().st_size, []
    file.visit_links(names.append)
    for name in names:
        if not isinstance(file.get(name, getlink=True), h5py.HardLink):
            raise InputError(
                f"{path}: {name} is a link, which may lead out of the file; it is not followed. "
                "Copy the file with its links resolved."
            )
        found = file[name]
        if not isinstance(found, h5py.Dataset):
            continue
        if found.external or found.is_virtual:
            raise InputError(
                f"{path}: {name} keeps its data in other files, which are not read. Copy them into "
                "one file."
            )
        total += (size := found.size * found.dtype.itemsize)
        # Chunks that were never written take no room and read as zeros: a bomb of a few bytes.
        if total > LARGEST or size > length * (1 if found.chunks is None else PACKED):
            raise InputError(
                f"{path}: {name} claims {size:.3g} bytes in a file of {length}; that is damaged, "
                f"or more than the {LARGEST:.3g} bytes that are read. Make the file again."
            )
