"""Write the pages and pictures of the docs that follow from the code.

    python docs/generate.py             # both of the below
    python docs/generate.py keys        # docs/reference/study-keys.md
    python docs/generate.py rules       # docs/figures/rulegraph.svg, needs graphviz

The keys of a study come from `src/headcond/study/config.schema.yaml`, their defaults from
`config.yaml`, further remarks from `docs/reference/study-keys.notes.yaml`. The graph of the rules
comes from `snakemake --rulegraph` of the default study.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = ROOT / "src" / "headcond" / "study" / "config.schema.yaml"
NOTES = ROOT / "docs" / "reference" / "study-keys.notes.yaml"
KEYS_PAGE = ROOT / "docs" / "reference" / "study-keys.md"
RULE_GRAPH = ROOT / "docs" / "figures" / "rulegraph.svg"

DRAWING = "draw_"  # rules that draw figures; all of them end in the report
STAGES = {  # title and colour of each stage, with the folders of its scripts
    "Heads and images": ("#fde8d7", ("cohort", "mri")),
    "CondNet": ("#dcecf7", ("condnet",)),
    "TMS": ("#e3f1dd", ("tms",)),
    "Head model": ("#f6e3ec", ("head", "forward", "fem")),
    "Reduced models": ("#eae4f5", ("rom",)),
    "Estimates": ("#fdf4cf", ("inverse", "experiments")),
}


def keys(schema: dict[str, Any], defaults: Any, path: str = "") -> Iterator[tuple]:
    """Yield (key, definition, default) of every leaf, in the order of the schema."""
    for name, entry in schema.get("properties", {}).items():
        entry = resolved(entry, schema.get("$defs") or {})
        key = f"{path}{name}"
        default = defaults.get(name) if isinstance(defaults, dict) else None
        if "properties" in entry:
            if entry.get("description"):
                yield key, {"description": entry["description"]}, None
            inner = {**entry, "$defs": schema.get("$defs")}
            yield from keys(inner, default or {}, f"{key}.")
        else:
            yield key, entry, default


def resolved(entry: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Return an entry of the schema with its `$ref` replaced, its own keys first."""
    if "$ref" not in entry:
        return {
            name: resolved(value, definitions) if name == "items" else value
            for name, value in entry.items()
        }
    target = resolved(definitions[entry["$ref"].rsplit("/", 1)[1]], definitions)
    return {**target, **{name: value for name, value in entry.items() if name != "$ref"}}


def kind(entry: dict[str, Any]) -> str:
    """Type of a key in words, with its limits."""
    if "enum" in entry:
        return ", ".join(f"`{value}`" for value in entry["enum"])
    for choice in ("oneOf", "anyOf"):
        if choice in entry:
            return " or ".join(kind(resolved(option, _definitions())) for option in entry[choice])
    if entry.get("type") == "array":
        inner = kind(entry.get("items", {}))
        least, most = entry.get("minItems"), entry.get("maxItems")
        count = f" of {least}" if least and least == most else ""
        return f"list{count}: {inner}"
    words = {"string": "text", "object": "mapping"}
    text = words.get(entry.get("type", ""), entry.get("type", ""))
    bounds = [
        f"{sign} {entry[name]:g}"
        for name, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"),
                           ("exclusiveMaximum", "<"))
        if name in entry and abs(entry[name]) < 1e6
    ]  # fmt: skip
    if "multipleOf" in entry:
        bounds.append(f"a multiple of {entry['multipleOf']}")
    return " ".join([text, ", ".join(bounds)]).strip()


def _definitions() -> dict[str, Any]:
    return yaml.safe_load(SCHEMA.read_text())["$defs"]


def keys_page() -> str:
    """Text of the page of study keys."""
    schema = yaml.safe_load(SCHEMA.read_text())
    defaults = yaml.safe_load((ROOT / "config.yaml").read_text())
    notes = yaml.safe_load(NOTES.read_text())
    rows = list(keys(schema, defaults))
    if unknown := set(notes["keys"]) - {key for key, _, _ in rows}:
        raise SystemExit(f"{NOTES.name} names keys that the schema does not have: {unknown}")
    lines = [
        "<!-- Written by `python docs/generate.py keys`; edit the schema or the notes instead. -->",
        "# Study keys",
        "",
        notes["intro"].strip(),
    ]
    section = None
    for key, entry, default in rows:
        head = key.split(".")[0] if "." in key else "study"
        if head != section:
            section = head
            lines += ["", f"## {notes['sections'].get(section, section)}", ""]
            lines += ["| key | type | default | meaning |", "|---|---|---|---|"]
        said = str(entry.get("description", "")).replace("<", "&lt;")
        text = " ".join([*said.split(), *notes["keys"].get(key, "").split()])
        shown = "" if default is None else f"`{_default(default)}`"
        lines.append(f"| `{key}` | {kind(entry)} | {shown} | {text} |".replace("  ", " "))
    return "\n".join(lines) + "\n"


def _default(value: Any) -> str:
    text = json.dumps(value).replace('"', "")
    return text if text else "''"


def rule_graph() -> tuple[dict[str, str], set[tuple[str, str]]]:
    """Rules of the default study with their scripts' folders, and the arrows between them.

    Drawing rules are left out; so are arrows that a longer way already implies.
    """
    found = subprocess.run(
        [sys.executable, "-m", "snakemake", "--rulegraph"], cwd=ROOT, capture_output=True, text=True
    )
    if found.returncode:
        raise SystemExit(f"snakemake --rulegraph failed:\n{found.stderr[-2000:]}")
    names = dict(re.findall(r'(\d+)\[label = "(\w+)"', found.stdout))
    arrows = {
        (names[start], names[end]) for start, end in re.findall(r"(\d+) -> (\d+)", found.stdout)
    }
    folders = {path.stem: path.parent.name for path in (ROOT / "scripts").glob("*/*.py")}
    rules = {
        name: folders.get(name, "")
        for name in names.values()
        if not name.startswith(DRAWING) and name != "all"
    }
    arrows = {(a, b) for a, b in arrows if a in rules and b in rules}
    return rules, _reduced(arrows)


def _reduced(arrows: set[tuple[str, str]]) -> set[tuple[str, str]]:
    after: dict[str, set[str]] = {}
    for start, end in arrows:
        after.setdefault(start, set()).add(end)

    def reach(start: str) -> set[str]:
        todo, seen = list(after.get(start, ())), set()
        while todo:
            rule = todo.pop()
            if rule not in seen:
                seen.add(rule)
                todo += after.get(rule, ())
        return seen

    return {(a, b) for a, b in arrows if not any(b in reach(c) for c in after[a] if c != b)}


def stage(folder: str) -> str | None:
    """Title of the stage that a folder of scripts belongs to."""
    return next((title for title, (_, folders) in STAGES.items() if folder in folders), None)


def dot_source(rules: dict[str, str], arrows: set[tuple[str, str]]) -> str:
    """Graph of the rules for graphviz, one box per stage."""
    lines = [
        "digraph {",
        "rankdir=TB; bgcolor=white; margin=0.1; nodesep=0.18; ranksep=0.32; newrank=true;",
        'node [shape=box style="rounded,filled" fillcolor=white color="#5b6770" '
        'fontname="Helvetica,Arial,sans-serif" fontsize=13 height=0.3 margin="0.09,0.04"];',
        'edge [color="#7a868e" arrowsize=0.6]; '
        'graph [fontname="Helvetica,Arial,sans-serif" fontsize=15 style="rounded,filled" '
        "penwidth=0 labeljust=l];",
    ]
    for number, (title, (colour, _)) in enumerate(STAGES.items()):
        members = [rule for rule, where in rules.items() if stage(where) == title]
        if members:
            lines.append(f'subgraph cluster_{number} {{ label="{title}"; fillcolor="{colour}";')
            lines += [f'"{rule}";' for rule in sorted(members)]
            lines.append("}")
    lines += [f'"{rule}";' for rule in sorted(rules) if stage(rules[rule]) is None]
    lines += [f'"{start}" -> "{end}";' for start, end in sorted(arrows)]
    return "\n".join([*lines, "}"])


def draw_rules() -> str:
    """The graph of the rules as SVG."""
    if not shutil.which("dot"):
        raise SystemExit(
            "The rule graph needs graphviz's `dot`, which is not on the PATH. "
            "Install it (Debian: apt install graphviz) or run `python docs/generate.py keys` alone."
        )
    drawn = subprocess.run(
        ["dot", "-Tsvg"],
        input=dot_source(*rule_graph()),
        capture_output=True,
        text=True,
        check=True,
    )
    return re.sub(r"<!-- Generated by.*?-->\n", "", drawn.stdout, flags=re.DOTALL)


def main() -> None:
    """Write what is named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=["keys", "rules", []], default=[])
    parts = parser.parse_args().parts or ["keys", "rules"]
    if "keys" in parts:
        KEYS_PAGE.write_text(keys_page())
    if "rules" in parts:
        RULE_GRAPH.write_text(draw_rules())


if __name__ == "__main__":
    main()
