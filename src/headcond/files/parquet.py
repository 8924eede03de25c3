"""Tables as Parquet: smaller, typed, with units and provenance."""

from __future__ import annotations

import json
import secrets
import shutil
from pathlib import Path

import pyarrow
import pyarrow.parquet

from headcond.checks import InputError
from headcond.files import results


def export_table(source: str | Path, target: str | Path) -> None:
    """Write a TSV table with its sidecar as one Parquet file.

    The unit of a column, if the sidecar has one, is written to the metadata of its field as
    `unit`, the whole sidecar to the metadata of the file as `headcond`, in JSON.

    Parameters
    ----------
    source : the .tsv; it is checked against its sidecar.
    target : the .parquet.

    Raises
    ------
    InputError
        If table or sidecar cannot be read, Parquet cannot hold a column, or `target` exists.
    """
    target = Path(target)
    if target.exists():
        raise InputError(f"{target}: exists, and nothing is overwritten: name another file.")
    frame = results.read_table(source)
    sidecar = results.read_json(results.sidecar_path(source))
    units = sidecar.get("units", {})
    if not isinstance(units, dict):  # one unit for all columns
        units = dict.fromkeys(frame, units)
    units = {name: unit for name, unit in units.items() if isinstance(unit, str)}
    try:
        table = pyarrow.Table.from_pandas(frame, preserve_index=False)
    except (pyarrow.ArrowException, OverflowError) as error:
        raise InputError(
            f"{source}: cannot be written as Parquet ({error}). A column must have either text or "
            "numbers within the range of 64 bits."
        ) from error
    fields = [
        field.with_metadata({"unit": units[field.name]}) if field.name in units else field
        for field in table.schema
    ]
    table = table.cast(pyarrow.schema(fields, metadata={"headcond": json.dumps(sidecar)}))
    with results.atomic(target) as temporary:
        pyarrow.parquet.write_table(table, temporary, compression="zstd")


def export_tables(source: str | Path, folder: str | Path) -> list[Path]:
    """Write every table of a study (or one table) as Parquet into a new or empty folder.

    If one of them cannot be written, none is.

    Parameters
    ----------
    source : a study's folder of results, or one .tsv.
    folder : of the .parquet files, with the same subfolders as `source`.

    Returns
    -------
    Absolute paths of the written files.

    Raises
    ------
    InputError
        If there is no table with a sidecar, the folder is not empty, or as `export_table`.
    """
    source, folder = Path(source), Path(folder).resolve()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: is not an empty folder, and nothing is overwritten.")
    root, paths = source, sorted(source.rglob("*.tsv"))
    if source.is_file():
        root, paths = source.parent, [source]
    paths = [
        path for path in paths if path.suffix == ".tsv" and results.sidecar_path(path).exists()
    ]
    if not paths:
        raise InputError(f"{source}: no table (.tsv with its .json) here.")
    names = [path.relative_to(root).with_suffix(".parquet") for path in paths]
    temporary = folder.with_name(f".{folder.name}-{secrets.token_hex(4)}")
    try:
        for path, name in zip(paths, names, strict=True):
            export_table(path, temporary / name)
        temporary.replace(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return [folder / name for name in names]
