"""State that a long step leaves for its next run: taken up if it is sound, else begun again."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

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
