"""What an image's first bytes say, before a library opens it; what a file may ask for."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

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
