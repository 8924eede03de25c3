"""Study files: read, merge and check them; the first mistake is one message with its key."""

from __future__ import annotations

import difflib
import json
import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from headcond.checks import InputError
from headcond.study.consistency import check_choices
from headcond.study.paths import REPOSITORY, expanded, report_path

MOST_ENTRIES = 100_000  # of a study file; aliases of aliases in YAML make billions of a few
SCHEMA = Path(__file__).with_name("config.schema.yaml")


def read(*paths: str | Path) -> dict[str, Any]:
    """Read study files, later ones changing what earlier ones say, and check the result.

    Raises
    ------
    InputError
        If a file is no YAML mapping, or the study is refused by `check`.
    """
    study: dict[str, Any] = {}
    for path in paths:
        study = merge(study, _mapping(path))
    return check(study)


def merge(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with the entries of `change`; mappings merge, all else is replaced."""
    merged = dict(base)
    for key, value in change.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def schema() -> dict[str, Any]:
    """The JSON schema of study files."""
    return yaml.safe_load(SCHEMA.read_text())


def check(study: Mapping[str, Any]) -> dict[str, Any]:
    """Return a plain copy of `study` if it is complete, closed and possible.

    Every path key (`format: path` in the schema) comes back with `~` and $VARIABLES replaced.

    Raises
    ------
    InputError
        One message for the first mistake: unknown key with the nearest known one, wrong
        type, impossible value, or a missing input file.
    """
    for count, (key, value) in enumerate(_leaves(study)):
        if count > MOST_ENTRIES:
            raise InputError(f"{key}: the study has more than {MOST_ENTRIES} entries.")
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"{key}: {value} is not a finite number.")
        if not isinstance(value, str | int | float | None):
            raise InputError(f"{key}: {value!r} is a {type(value).__name__}; put text in quotes.")
        if isinstance(value, int) and abs(value) >= 2**63:
            raise InputError(f"{key}: a whole number beyond 64 bits; write a smaller one.")
        if isinstance(value, str) and "\0" in value:
            raise InputError(f"{key}: a text with a null character; remove it.")
    study = with_paths(json.loads(json.dumps(study)), schema())
    errors = list(jsonschema.Draft202012Validator(schema()).iter_errors(study))
    if errors:
        # An unknown key explains a missing one, so it comes first; then the innermost one.
        order = {"additionalProperties": 0, "required": 1}
        errors.sort(key=lambda error: (order.get(error.validator, 2), -len(error.absolute_path)))
        raise InputError(_explain(errors[0]))
    check_choices(study)
    return study


def with_paths(node: Any, part: Mapping[str, Any]) -> Any:
    """A part of a study with every path of its schema expanded."""
    for option in part.get("oneOf", ()):
        node = with_paths(node, option)
    if isinstance(node, str) and part.get("format") == "path":
        return expanded(node)
    if isinstance(node, dict):
        known, others = part.get("properties", {}), part.get("additionalProperties") or {}
        return {key: with_paths(value, known.get(key, others)) for key, value in node.items()}
    return node


def use_this_environment() -> None:
    """Let child processes find this environment's programs and this checkout's package.

    A plain `snakemake`, started by its path, has neither on its PATH; with Snakemake's conda
    deployment the package is not installed at all; and Open MPI refuses root by default.
    """
    programs, source = str(Path(sys.executable).parent), str(REPOSITORY / "src")
    for name, first in (("PATH", programs), ("PYTHONPATH", source)):
        known = [part for part in os.environ.get(name, "").split(os.pathsep) if part]
        if first not in known:
            os.environ[name] = os.pathsep.join([first, *known])
    for name in ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"):
        os.environ.setdefault(name, "1")


class _OnceLoader(yaml.SafeLoader):
    """YAML's safe loader, but two equal keys of a mapping are an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return the mapping of a node whose keys differ."""
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        twice = {key for key in keys if keys.count(key) > 1} - {"<<"}
        if twice:
            raise ValueError(f"the key {min(twice)} appears twice{node.start_mark}")
        return super().construct_mapping(node, deep)


def _mapping(path: str | Path) -> dict[str, Any]:
    try:
        content = _OnceLoader(Path(path).read_text()).get_single_data()
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise InputError(
            f"{path}: cannot be read as YAML ({error}). Compare it with config.yaml."
        ) from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: a study file must be a mapping of keys, like config.yaml.")
    return content


def _leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping | list):
        if path.count(".") > 20:
            raise InputError(f"{path[:60]}...: nested too deep for a study file.")
        items = node.items() if isinstance(node, Mapping) else enumerate(node)
        for key, child in items:
            if isinstance(node, Mapping) and not isinstance(key, str):
                raise InputError(f"{path or 'The study file'}: the key {key!r} is not text.")
            yield from _leaves(child, f"{path}.{key}" if path else str(key))
    else:
        yield path, node


def _explain(error: jsonschema.ValidationError) -> str:
    key = ".".join(str(part) for part in error.absolute_path)
    where = key or "The study file"
    about = error.schema.get("description", "") if isinstance(error.schema, dict) else ""
    about = f" ({' '.join(about.split())})" if about and error.path else ""
    if error.validator == "additionalProperties":
        known = list(error.schema.get("properties", {}))
        unknown = sorted(set(error.instance) - set(known))
        name = f"{key}.{unknown[0]}" if key else unknown[0]
        near = difflib.get_close_matches(unknown[0], known, n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]!r}?" if near else f" Known keys: {', '.join(known)}."
        return f"Unknown key {name!r}.{hint}"
    if error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        return f"{where}: the key {missing[0]!r} is missing."
    value = json.dumps(error.instance)
    if error.validator == "type":
        hint = ""
        if isinstance(error.instance, str) and error.validator_value in ("number", "integer"):
            hint = " YAML reads 1e-6 as text: write 1.0e-6."
        return f"{where}: {value} must be of type {error.validator_value}{about}.{hint}"
    if error.validator == "enum":
        allowed = error.validator_value
        near = difflib.get_close_matches(str(error.instance), map(str, allowed), n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        options = ", ".join(map(str, allowed))
        return f"{where}: {value} is not one of {options}{about}.{hint}"
    return f"{where}: {error.message}{about}."


def main(arguments: Sequence[str]) -> int:
    """Print the path of the report of the study given by its files."""
    try:
        print(report_path(read(*arguments)))
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
