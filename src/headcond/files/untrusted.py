"""Files that may come from anywhere: checked by their first bytes, by size, by a trial reading.

A damaged or hostile file must be refused with a message, not end the program.
"""

from __future__ import annotations

import faulthandler
import gzip
import multiprocessing
import os
import resource
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from headcond.checks import InputError

LARGEST = 16 << 30
"""Bytes: what one file may ask for. A head of 0.25 mm has 3 GB in float32, a large one's
operator 5 GB; a header that asks for more is damaged, or not meant well."""
PACKED = 1032
"""No stream of deflate grows by more when it is unpacked."""
_EXTENSIONS = 1 << 26  # bytes that may lie between a NIfTI header and its voxels
_REFUSED = {"MINC": (b"\x89HDF", b"CDF"), "a file packed by bzip2": (b"BZh",)}


def check_start(path: str | Path) -> None:
    """Refuse by the first bytes what nibabel should not open at all.

    MINC 2 is HDF5, whose links and data in other files nibabel follows. The extensions of a
    NIfTI header are read at once, up to where the header says that its voxels begin; and a
    beginning inside the header makes voxels of header bytes.
    """
    with gzip.open(path) if packed(path) else open(path, "rb") as stream:
        start = stream.read(540)
    for kind, signatures in _REFUSED.items():
        if start.startswith(signatures):
            raise InputError(f"{path}: {kind} is not read; convert it to NIfTI.")
    single = {b"n+1": (344, 108, "f", 352), b"n+2": (4, 168, "q", 544)}  # after nifti1.h, nifti2.h
    for magic, (place, offset, form, least) in single.items():
        if len(start) >= offset + 8 and start[place : place + 3] == magic:
            order = "<" if start[:4] in (b"\x5c\1\0\0", b"\x1c\2\0\0") else ">"
            begin = struct.unpack_from(f"{order}{form}", start, offset)[0]
            if not least <= begin <= least + _EXTENSIONS:
                raise InputError(
                    f"{path}: its header lets the voxels begin at byte {begin:.6g}, inside the "
                    f"header or more than {_EXTENSIONS} bytes after it. Export it as NIfTI again."
                )


def packed(path: str | Path) -> bool:
    """Whether a file is a gzip stream."""
    with open(path, "rb") as handle:
        return handle.read(2) == b"\x1f\x8b"


def unpacked_length(path: str | Path) -> int:
    """Bytes that a file can hold at most once it is unpacked."""
    return Path(path).stat().st_size * (PACKED if packed(path) else 1)


def check_stream(path: str | Path) -> None:
    """Unpack to the end, where the stream's checksum stands; nibabel stops before it."""
    total = 0
    with gzip.open(path) as stream:
        while part := stream.read(1 << 20):
            if (total := total + len(part)) > LARGEST:
                raise InputError(f"{path}: unpacks to more than {LARGEST:.3g} bytes.")


_LEAST = 20.0  # s, for a disk that sleeps
_SLOWEST = 1e6  # bytes per second
_TOO_MUCH = 99


def patience(path: str | Path) -> float:
    """Seconds that the reading of a file may take, by its size."""
    return _LEAST + Path(path).stat().st_size / _SLOWEST


def trouble(read: Callable[[], Any], seconds: float, memory: float = LARGEST) -> str:
    """Why a file cannot be read, or '': `read` is called in a forked child.

    Parameters
    ----------
    read : without arguments.
    seconds : after which the child is stopped.
    memory : bytes that the child may take beyond what this process has.

    Returns
    -------
    A reason, or ''. Libraries in C may end the whole program on a wrong byte, never come back, or
    take what memory a header asks for. The child has the same memory, so it meets what this
    process would. Python's errors are none of its business: they come again where they can be
    told.
    """
    child = multiprocessing.get_context("fork").Process(target=_quietly, args=(read, memory))
    child.start()
    child.join(seconds)
    if child.exitcode is None:
        child.kill()
        child.join()
        return f"reading it came to no end within {seconds:.0f} s"
    if child.exitcode == _TOO_MUCH:
        return f"reading it takes more than {memory:.3g} bytes of memory"
    return f"reading it ends a program, exit code {child.exitcode}" if child.exitcode else ""


def _quietly(read: Callable[[], Any], memory: float) -> None:
    faulthandler.disable()  # a crash is expected here
    code = 0
    try:
        _limit(memory)
        read()
    except MemoryError:
        code = _TOO_MUCH
    except Exception:
        pass  # the parent reads next and meets it
    os._exit(code)  # nothing of the parent's is to be closed twice


def _limit(memory: float) -> None:
    statm = Path("/proc/self/statm")
    if statm.exists():  # Linux: elsewhere nobody says what the process has
        has = int(statm.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (has + int(memory),) * 2)


# What Python's reader of archives raises on one that is cut short or damaged.
_DAMAGED = (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error)


def archive_damage(path: str | Path) -> str | None:
    """What is wrong with an archive (`.npz`, a network's `.ckpt`), by its own checksums.

    Returns
    -------
    None if every byte of its content is what was written, or if there is no such file.
    """
    if not Path(path).exists():
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except _DAMAGED as error:
        return str(error) or type(error).__name__
    return f"{damaged} is not what was written" if damaged else None


def file_checksum(path: str | Path) -> int:
    """CRC-32 of a file's content, 0 for a file that cannot be read: no `.npy` has that."""
    try:
        return zlib.crc32(Path(path).read_bytes())
    except OSError:
        return 0
