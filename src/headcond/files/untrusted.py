"""Checks of files from any source: first bytes, sizes, checksums, a trial in a child process.

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

MAX_BYTES = 16 << 30
"""Largest content of one file. A head of 0.25 mm has 3 GB in float32, the operator of a large
head 5 GB; a header that claims more is damaged or hostile."""
MAX_EXPANSION = 1032
"""Largest factor by which deflate can expand a stream."""
_EXTENSIONS = 1 << 26  # largest number of bytes between a NIfTI header and its voxels
_REFUSED = {"MINC": (b"\x89HDF", b"CDF"), "a file packed by bzip2": (b"BZh",)}


def check_start(path: str | Path) -> None:
    """Refuse, by the first bytes, files that nibabel should not open at all.

    MINC 2 is HDF5, whose links and external data nibabel follows. The extensions of a NIfTI header
    are read at once up to the stated offset of its voxels, and with an offset inside the header
    its own bytes would become voxels.
    """
    with gzip.open(path) if is_gzip(path) else open(path, "rb") as stream:
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
                    f"{path}: by its header the voxels begin at byte {begin:.6g}, inside the "
                    f"header or more than {_EXTENSIONS} bytes after it. Export it as NIfTI again."
                )


def is_gzip(path: str | Path) -> bool:
    """Whether a file is a gzip stream."""
    with open(path, "rb") as handle:
        return handle.read(2) == b"\x1f\x8b"


def max_unpacked_bytes(path: str | Path) -> int:
    """Largest size of a file's content after decompression, in bytes."""
    return Path(path).stat().st_size * (MAX_EXPANSION if is_gzip(path) else 1)


def check_stream(path: str | Path) -> None:
    """Decompress a gzip stream to its end, which verifies its checksum; nibabel stops before."""
    total = 0
    with gzip.open(path) as stream:
        while part := stream.read(1 << 20):
            if (total := total + len(part)) > MAX_BYTES:
                raise InputError(f"{path}: unpacks to more than {MAX_BYTES:.3g} bytes.")


_MIN_SECONDS = 20.0  # for a sleeping disk
_MIN_RATE = 1e6  # bytes per second
_OUT_OF_MEMORY = 99


def time_limit(path: str | Path) -> float:
    """Time limit for reading a file of its size, s."""
    return _MIN_SECONDS + Path(path).stat().st_size / _MIN_RATE


def failure_of(read: Callable[[], Any], seconds: float, memory: float = MAX_BYTES) -> str:
    """Call `read` in a forked child process and return why it failed, or ''.

    C libraries may end the whole program on a wrong byte, never return, or allocate what a header
    claims. Python's exceptions are ignored: they occur again in the parent, which handles them.

    Parameters
    ----------
    read : function without arguments.
    seconds : time limit.
    memory : bytes that the child may allocate beyond those of this process.
    """
    child = multiprocessing.get_context("fork").Process(target=_run_in_child, args=(read, memory))
    child.start()
    child.join(seconds)
    if child.exitcode is None:
        child.kill()
        child.join()
        return f"reading it did not end within {seconds:.0f} s"
    if child.exitcode == _OUT_OF_MEMORY:
        return f"reading it takes more than {memory:.3g} bytes of memory"
    return f"reading it crashes, exit code {child.exitcode}" if child.exitcode else ""


def _run_in_child(read: Callable[[], Any], memory: float) -> None:
    faulthandler.disable()  # a crash is expected here
    code = 0
    try:
        statm = Path("/proc/self/statm")
        if statm.exists():  # Linux only: elsewhere the size of the process is unknown
            has = int(statm.read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (has + int(memory),) * 2)
        read()
    except MemoryError:
        code = _OUT_OF_MEMORY
    except Exception:
        pass  # occurs again in the parent
    os._exit(code)  # without closing what the parent has open


# All that zipfile raises on a truncated or damaged archive.
_DAMAGED = (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error)


def archive_damage(path: str | Path) -> str | None:
    """Verify the checksums of an archive (`.npz`, a network's `.ckpt`).

    Returns
    -------
    A description of the damage; None if there is none, or no such file.
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
    """CRC-32 of a file's content; 0, which no `.npy` has, if it cannot be read."""
    try:
        return zlib.crc32(Path(path).read_bytes())
    except OSError:
        return 0
