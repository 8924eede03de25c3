"""The errors of a study's maps, fields and reduced models as a page of Markdown tables.

python benchmarks/results.py --study results/condnet-heads

It reads tables/condnet_errors.tsv (and condnet_lens.tsv, where heads are generated) and
tms/globalerror.tsv of a study, which hold more digits, and prints what docs/results.md shows: the
maps' errors, and the global errors of the fields over the test heads (Table III of the
CondNet paper), for both denominators; of the first table every head. Of Experiment 1 of the
ROM-pEIT paper it prints SUBJECT/rom/SUBJECT_convergence.tsv (docs/accuracy-rom.md), of
Experiments 2 to 4 what the report shows of SUBJECT/eit/SUBJECT_inversion.tsv, _references.tsv and
_disturbances.tsv.
"""

import argparse
import math
from collections import defaultdict
from pathlib import Path

import pandas as pd

from headcond.experiments.convergence import certificates
from headcond.files import results
from headcond.metrics import AVERAGE
from headcond.reporting import experiments
from headcond.reporting.conductivity import error_titles, lens_table, score_table
from headcond.reporting.rom import convergence_table
from headcond.reporting.tms import error_parts


def markdown(table: pd.DataFrame) -> str:
    """Return a table as Markdown; text columns left, all others right."""
    columns = [str(name) for name in table.columns]
    rows = [columns, ["---", *("---:" for _ in columns[1:])]]
    rows += [[str(cell) for cell in row] for row in table.itertuples(index=False)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def page(study: Path) -> str:
    """Tables of one finished study, with what made them."""
    return (
        "\n\n".join(
            [*map_lines(study), *field_lines(study), *rom_lines(study), *voltage_lines(study)]
        )
        + "\n"
    )


def map_lines(study: Path) -> list[str]:
    """Paragraphs on the conductivity maps."""
    path = study / "tables" / "condnet_errors.tsv"
    if not path.exists():
        return []
    scores, side = results.read_table(path), results.read_json(results.sidecar_path(path))
    made = side["provenance"]
    heads = int(scores["heads"].max())
    lines = [
        f"{heads} test head{'s' * (heads > 1)}, headcond {made['versions']['headcond']}.",
    ]
    for table, reference, text in error_titles(scores):
        lines += [f"Error of {text}:", markdown(score_table(scores, table, reference))]
    lens = study / "tables" / "condnet_lens.tsv"
    if lens.exists():
        lines += [
            "Conductivity in the eye's lens of the generated heads, S/m, median (5th to 95th "
            "percentile):",
            markdown(lens_table(results.read_table(lens))),
        ]
    return lines


def field_lines(study: Path) -> list[str]:
    """Paragraphs on the fields, where there are any."""
    path = study / "tms" / "globalerror.tsv"
    if not path.exists():
        return []
    errors = results.read_table(path)
    sizes = " and ".join(f"{size:g}" for size in sorted(errors["voxel_mm"].unique()))
    lines = [f"Global errors of the field on voxels of {sizes} mm."]
    average = errors[errors["subject"] == AVERAGE]
    # Of the paper's own reading every head; of the others the average.
    for number, part in enumerate(error_parts(errors)):
        table = part.table if number == 0 else error_parts(average)[number].table
        lines += [f"{part.title}, in %:", markdown(table)]
    return lines


def rom_lines(study: Path) -> list[str]:
    """Paragraphs on Experiment 1 of the ROM-pEIT paper, for every head of it."""
    lines = []
    for path in sorted(study.glob("*/rom/*_convergence.tsv")):
        beside = results.read_json(results.sidecar_path(path))
        table = convergence_table(results.read_table(path)).drop(columns=["certified"])
        enough = beside["snapshots_to_a_tenth_of_the_noise"]
        rule = ", ".join(f"{norm} {count}" for norm, count in enough.items())
        digits = dict.fromkeys(table, ".3g") | {"snapshots": ".0f", "bounds compared": ".0f"}
        shown = table.astype(object)
        for name in table.columns[1:]:
            shown[name] = [format(value, digits[name]) for value in table[name]]
        lines += [
            f"{path.name.split('_')[0]}: the largest error of a passive potential stays below a "
            f"tenth of the noise from so many snapshots on: {rule}.",
            *(markdown(part.drop(columns="norm")) for _, part in shown.groupby("norm")),
            "The bounds over all of it (`headcond.experiments.convergence.certificates`):",
            markdown(bounds_table(path.parent)),
        ]
    return lines


def voltage_lines(study: Path) -> list[str]:
    """Paragraphs on Experiments 2 to 4, for every head of them."""
    found = {
        kind: {path.name.split("_")[0]: path for path in sorted(study.glob(f"*/eit/*_{kind}.tsv"))}
        for kind in ("inversion", "baseline", "references", "places", "disturbances")
    }
    figures: dict[str, str] = defaultdict(str)  # the page shows none
    sections = []
    for subject, path in found["inversion"].items():
        made = results.read_json(results.sidecar_path(path))["provenance"]["parameters"]
        table = results.read_table(path)
        settings = {
            "inverse": made,
            "head": {"anisotropic": bool(table["parameter"].str.contains("radial").any())},
        }
        base = found["baseline"].get(subject)
        runs = {subject: results.read_table(base)} if base else {}
        sections.append(experiments.inversion_section(settings, figures, {subject: table}, runs))
    for kinds, section in (
        (("references", "places"), experiments.references_section),
        (("disturbances",), experiments.disturbances_section),
    ):
        tables = [
            {subject: results.read_table(path) for subject, path in found[kind].items()}
            for kind in kinds
        ]
        if all(tables):
            sections.append(section(figures, *tables))
    lines = []
    for section in sections:
        for part in section.parts:
            lines += [f"{section.title}, {part.title}." if part.title else "", *part.texts]
            if part.table is not None:
                lines.append(markdown(part.table.map(_short)))
    return [line for line in lines if line]


def _short(value: object) -> object:
    if isinstance(value, float):
        return "–" if math.isnan(value) else format(value, ".3g")
    return value


def bounds_table(folder: Path) -> pd.DataFrame:
    """`certificates` of all batches in a head's folder, a row per quantity."""
    errors = [results.read_table(path) for path in sorted(folder.glob("*_batch-*_errors.tsv"))]
    found = certificates(pd.concat(errors, ignore_index=True)).set_index("norm").T
    return found.map(lambda value: "" if pd.isna(value) else format(value, ".6g")).reset_index(
        names="quantity"
    )


def main() -> None:
    """Print the page, or write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", type=Path, required=True, help="folder of a study's results")
    parser.add_argument("--table", type=Path, help="file to write instead of printing")
    arguments = parser.parse_args()
    text = page(arguments.study)
    if arguments.table:
        arguments.table.write_text(text)
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
