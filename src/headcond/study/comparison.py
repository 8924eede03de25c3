"""Comparison of two results by their contents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from headcond.checks import InputError
from headcond.files import results
from headcond.files.hdf5 import open_hdf5

# Not compared: times, and what a sidecar says of the run that made the result.
OF_THE_RUN = ("seconds", "provenance", "versions")


def differences(one: str | Path, two: str | Path, tolerance: float = 0.0) -> list[str]:
    """Differences between two results of one kind, in words; empty if there is none.

    Parameters
    ----------
    one, two : .tsv, .json, .nii, .nii.gz, .h5, .ckpt; any other kind by its bytes.
    tolerance : relative to the largest absolute value of an array or column.

    Raises
    ------
    InputError
        If a file cannot be read as what its name says.
    """
    one, two = Path(one), Path(two)
    if one.suffix != two.suffix:
        raise InputError(f"{one} and {two} are of different kinds.")
    if one.read_bytes() == two.read_bytes():
        return []
    readers = {".tsv": _table, ".json": _record, ".h5": _hdf5, ".ckpt": _network, ".gz": _volume,
               ".nii": _volume}  # fmt: skip
    if one.suffix not in readers:
        return ["the bytes differ"]
    first, second = (dict(readers[one.suffix](path)) for path in (one, two))
    found = [f"{name} is in one of them only" for name in sorted({*first} ^ {*second})]
    for name in sorted({*first} & {*second}):
        if text := _difference(first[name], second[name], tolerance):
            found.append(f"{name} {text}")
    return found


def _difference(one: Any, two: Any, tolerance: float) -> str | None:
    one, two = np.asarray(one), np.asarray(two)
    if one.shape != two.shape:
        return f"has the shapes {one.shape} and {two.shape}"
    if not (np.issubdtype(one.dtype, np.number) and np.issubdtype(two.dtype, np.number)):
        return None if np.array_equal(one, two) else "differs"
    one, two = one.astype(float), two.astype(float)
    if not np.array_equal(np.isnan(one), np.isnan(two)):
        return "has NaN in other places"
    with np.errstate(invalid="ignore"):  # infinity less infinity
        gap = np.abs(np.where(one == two, 0.0, one - two))
    largest = float(np.nanmax(gap, initial=0.0))
    scale = float(np.nanmax(np.abs(one), initial=0.0))
    if largest > tolerance * scale:
        return f"differs by up to {largest:.3g} (values up to {scale:.3g})"
    return None


def _table(path: Path) -> Iterator[tuple[str, Any]]:
    table = results.read_table(path)
    yield "columns", [name for name in table if not _of_the_run(name)]
    yield from ((name, table[name].to_numpy()) for name in table if not _of_the_run(name))


def _record(path: Path) -> Iterator[tuple[str, Any]]:
    def walk(node: Any, name: str) -> Iterator[tuple[str, Any]]:
        if isinstance(node, Mapping):
            for key, child in node.items():
                if not _of_the_run(key):
                    yield from walk(child, f"{name}.{key}" if name else key)
        elif isinstance(node, list) and not all(isinstance(n, int | float) for n in node):
            for number, child in enumerate(node):
                yield from walk(child, f"{name}.{number}")
        else:
            yield name, "null" if node is None else node

    yield from walk(results.read_json(path), "")


def _volume(path: Path) -> Iterator[tuple[str, Any]]:
    data, affine = results.read_image(path)
    yield "the values", data
    yield "the affine", affine


def _hdf5(path: Path) -> Iterator[tuple[str, Any]]:
    with open_hdf5(path, "a result") as file:
        names: list[str] = []
        file.visit(names.append)
        for name in ["/", *names]:
            if _of_the_run(name):
                continue
            for key, value in file[name].attrs.items():
                if key == "facts":  # of a head file: its provenance
                    continue
                yield f"{name}, {key}", value
            if isinstance(file[name], h5py.Dataset):
                yield name, file[name][()]


def _network(path: Path) -> Iterator[tuple[str, Any]]:
    from headcond.condnet.checkpoint import load_checkpoint  # imports torch

    for name, value in load_checkpoint(path).network.state_dict().items():
        yield name, value.numpy()


def _of_the_run(name: str) -> bool:
    return any(part in name for part in OF_THE_RUN)
