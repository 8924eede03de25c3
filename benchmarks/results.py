"""The errors of a study's maps, fields, reduced models and estimates as Markdown tables.

python -m benchmarks.results --study results/condnet-heads
python -m benchmarks.results --study results/condnet-heads --page docs/results/condnet.md

The first prints every table of a finished study; the second writes those that a page shows: each
table below a line <!-- table: STUDY NAME --> is replaced. It reads tables/condnet_errors.tsv (and
condnet_lens.tsv, where heads are generated), tms/globalerror.tsv (Table III of the CondNet paper
for both denominators; of the first table every head), and of the ROM-pEIT paper's experiments
SUBJECT/rom/SUBJECT_convergence.tsv (1), SUBJECT/eit/SUBJECT_inversion.tsv, _references.tsv and
_disturbances.tsv (2 to 4) and the summary of measured voltages (5).
"""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from headcond.experiments import published
from headcond.experiments.convergence import certificates
from headcond.experiments.measured import clearest_frequency
from headcond.experiments.published import TABLE_2_TRUTH
from headcond.experiments.wrong_heads import CHANGES
from headcond.files import results
from headcond.inverse.priors import PUBLISHED_MEANS
from headcond.metrics import AVERAGE
from headcond.reporting.conductivity import lens_table, score_table
from headcond.reporting.rom import convergence_table
from headcond.reporting.tms import error_parts

MODES = {"each": "per pair", "joint": "all pairs together"}
REFERENCES = {
    "uniform": "the uniform conductivity of the labels",
    "true": "the true, non-uniform conductivity of the generated heads",
}
_MARKER = re.compile(r"(<!-- table: (\S+) ([^>]+?) -->\n\n)((?:\|.*\n)*)")


def markdown(table: pd.DataFrame) -> str:
    """Return a table as Markdown; text columns left, all others right."""
    columns = [str(name) for name in table.columns]
    rows = [columns, ["---", *("---:" for _ in columns[1:])]]
    rows += [[str(cell) for cell in row] for row in table.itertuples(index=False)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def tables(study: Path) -> dict[str, tuple[str, pd.DataFrame]]:
    """Name, caption and table of everything that a finished study has results of."""
    parts = (map_tables, field_tables, rom_tables, estimate_tables, measured_tables)
    return {name: (text, table) for part in parts for name, text, table in part(study)}


def page(study: Path) -> str:
    """All tables of a finished study, each below its name and caption."""
    return "\n\n".join(
        f"{text} (`{name}`):\n\n{markdown(table)}" for name, (text, table) in tables(study).items()
    ) + "\n"  # fmt: skip


def renewed(text: str, study: Path) -> str:
    """Text of a page with the tables of this study replaced."""
    found = tables(study)

    def table(match: re.Match) -> str:
        if match[2] != study.name or match[3] not in found:
            return match[0]
        return match[1] + markdown(found[match[3]][1]) + "\n"

    return _MARKER.sub(table, text)


def map_tables(study: Path) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Errors of the conductivity maps, mean ± standard deviation over the test heads."""
    path = study / "tables" / "condnet_errors.tsv"
    if not path.exists():
        return
    scores = results.read_table(path)
    for table, reference in scores[["table", "reference"]].drop_duplicates().values:
        text = f"Errors of the maps of table {table} against {REFERENCES[reference]}"
        yield f"maps {table} {reference}", text, score_table(scores, table, reference)
    lens = study / "tables" / "condnet_lens.tsv"
    if lens.exists():
        text = "Conductivity in the eye's lens, S/m, median (5th to 95th percentile)"
        yield "lens", text, lens_table(results.read_table(lens))


def field_tables(study: Path) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Global errors of the fields: of the paper's own reading every head, else the average."""
    path = study / "tms" / "globalerror.tsv"
    if not path.exists():
        return
    errors = results.read_table(path)
    average = errors[errors["subject"] == AVERAGE]
    sizes = " and ".join(f"{size:g}" for size in sorted(errors["voxel_mm"].unique()))
    kinds = errors[["kind", "denominator"]].drop_duplicates().values
    every, means = error_parts(errors), error_parts(average)
    for number, (kind, denominator) in enumerate(kinds):
        text = f"Global error in % on voxels of {sizes} mm, {kind}, denominator: {denominator}"
        yield f"fields {kind} {denominator}", text, (means if number else every)[number].table


def rom_tables(study: Path) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Bounds and true errors of Experiment 1 in both norms, and the certificates over all of it."""
    for path in sorted(study.glob("*/rom/*_convergence.tsv")):
        subject = path.name.split("_")[0]
        table = convergence_table(results.read_table(path))
        shown = table[[name for name in table if not name.startswith("certif")]].astype(object)
        enough = results.read_json(results.sidecar_path(path))["snapshots_to_a_tenth_of_the_noise"]
        for name in shown.columns.drop("norm"):
            shown[name] = [
                f"{value:.0f}" if float(value).is_integer() else f"{value:.3g}"
                for value in table[name]
            ]
        for norm, part in shown.groupby("norm"):
            text = (
                f"{subject}, {norm} norm; passive potentials are better than a tenth of the noise "
                f"from so many snapshots on: {enough.get(norm, 'none')}"
            )
            yield f"bounds {subject} {norm}", text, part.drop(columns="norm")
        yield f"certificates {subject}", f"{subject}, bounds over all", bounds_table(path.parent)


def bounds_table(folder: Path) -> pd.DataFrame:
    """`certificates` of all batches in a head's folder, a row per quantity."""
    errors = [results.read_table(path) for path in sorted(folder.glob("*_batch-*_errors.tsv"))]
    found = certificates(pd.concat(errors, ignore_index=True)).set_index("norm").T
    return found.map(lambda value: "" if pd.isna(value) else format(value, ".6g")).reset_index(
        names="quantity"
    )


def estimate_tables(study: Path) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Experiments 2 to 4: errors of estimates, effect of a wrong head, choice of the reference."""
    makers = {
        "inversion": ("estimates", "relative errors in %", sweep_table),
        "disturbances": ("wrong head", "mean relative error in %, all (per pair)", wrong_table),
        "references": ("references", "mS/m, mean ± deviation over patterns", reference_table),
    }
    for kind, (name, text, make) in makers.items():
        for path in sorted(study.glob(f"*/eit/*_{kind}.tsv")):
            made = results.read_json(results.sidecar_path(path))["provenance"]["parameters"]
            table = make(results.read_table(path), made)
            yield name, f"{path.name.split('_')[0]}, {text}", table


def sweep_table(sweep: pd.DataFrame, made: dict) -> pd.DataFrame:
    """Errors of all tissues at the study's noise and the most snapshots, and their bounds."""
    rows = sweep.dropna(subset=["parameter"])
    rows = rows[(rows["noise"] == made["noise"]) & (rows["snapshots"] == rows["snapshots"].max())]
    rows = rows[rows["free"] == "all"]
    radial = rows["parameter"].str.contains("radial").any()
    table = []
    for name in dict.fromkeys(rows["parameter"]):
        row = {"tissue": name.replace("_", " ")}
        for mode, text in MODES.items():
            part = rows[(rows["parameter"] == name) & (rows["mode"] == mode)]
            for one in part.itertuples():
                row[f"{text}: mean"] = digits(one.mean)
                row[f"{text}: largest"] = digits(one.largest)
                row[f"{text}: bound"] = digits(one.bound)
                row[f"{text}: RMS error / bound"] = (
                    f"{digits(one.rms_over_bound)} ± {digits(one.sampling_error)}"
                )
                row[f"{text}: at a limit"] = f"{digits(100 * one.at_wall)} %"
        if not radial:
            row["the paper, per pair"] = published.EXPERIMENT_2.get(name, "")
        table.append(row)
    return pd.DataFrame(table).fillna("")


def wrong_table(disturbances: pd.DataFrame, made: dict) -> pd.DataFrame:
    """Mean relative errors by the head that voltages come from: all pairs (per pair)."""
    table = []
    rows = disturbances.dropna(subset=["parameter"])
    for change, part in rows.groupby("change", sort=False):
        row = {"voltages from": CHANGES.get(change, change)}
        wide = part.pivot(index="parameter", columns="mode", values="mean")
        for name in dict.fromkeys(part["parameter"]):
            each, joint = (wide.loc[name].get(mode) for mode in MODES)
            joint = "" if joint is None else digits(joint)
            row[name.replace("_", " ")] = joint if each is None else f"{joint} ({digits(each)})"
        last = part[part["mode"] == "joint"] if "joint" in set(part["mode"]) else part
        row["chi-square / dof"] = digits(last["misfit"].iloc[0])
        table.append(row)
    return pd.DataFrame(table).fillna("")


def reference_table(references: pd.DataFrame, made: dict) -> pd.DataFrame:
    """Conductivities against the reference with the largest scatter and against the average."""
    plain = references[(references["weighting"] == "plain") & references["asked"]]
    single = plain[plain["reference"] != AVERAGE]
    worst = single.loc[single["std"].idxmax(), "reference"]
    columns = {
        f"{worst} (largest scatter), plain": (worst, "plain"),
        "average, plain": (AVERAGE, "plain"),
        "average, covariance weights": (AVERAGE, "covariance"),
    }
    skull = " and ".join(
        f"{1e3 * TABLE_2_TRUTH[bone]:g}" for bone in ("compact_bone", "spongy_bone")
    )
    table = []
    for name in dict.fromkeys(references["parameter"]):
        truth = TABLE_2_TRUTH.get(name)
        row = {"tissue": name.replace("_", " ")}
        row["truth"] = skull if truth is None else f"{1e3 * truth:g}"
        for column, (where, weighting) in columns.items():
            part = references[
                (references["parameter"] == name)
                & (references["reference"] == where)
                & (references["weighting"] == weighting)
            ]
            row[column] = "; ".join(_spread(one.mean, one.std) for one in part.itertuples())
        paper = published.TABLE_2.get(name)
        row["the paper, its worst"] = _spread(*paper) if paper else ""
        table.append(row)
    return pd.DataFrame(table)


def measured_tables(study: Path) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Experiment 5: conductivities from measured voltages at the clearest frequency, by variant."""
    for path in sorted(study.glob("*/measured/*_summary.tsv")):
        record = path.with_name(path.name.replace("_summary.tsv", "_record.json"))
        shown = clearest_frequency(results.read_json(record)["fits"])
        summary = results.read_table(path)
        summary = summary[summary["frequency"] == shown]
        rows = {}
        for one in summary.itertuples():
            row = rows.setdefault(one.parameter, {"tissue": one.parameter.replace("_", " ")})
            limits = f", {one.at_wall} at a limit" if one.at_wall else ""
            held = pd.isna(one.std) or one.std == 0
            row[f"{one.variant}, per pattern"] = (
                f"{digits(1e3 * one.mean, 4)}, held"
                if held
                else _spread(one.mean, one.std) + limits
            )
            joint = _spread(one.joint, None if one.joint_at_wall else one.joint_scaled_std)
            joint += ", at a limit" if one.joint_at_wall else ""
            row[f"{one.variant}, together"] = "held" if held else joint
        for name, row in rows.items():
            mean = PUBLISHED_MEANS.get(name)
            row["published mean"] = digits(1e3 * mean) if mean else ""
        text = f"{path.name.split('_')[0]}, {shown:g} Hz, mS/m"
        yield "measured", text, pd.DataFrame(list(rows.values())).fillna("")


def digits(value: float, count: int = 2) -> str:
    """A number with two digits, or all before its point, without an exponent; – for none."""
    if pd.isna(value):
        return "–"
    if abs(value) >= 100:
        return f"{value:.0f}" if abs(value) < 1000 else f"{float(f'{value:.{count}g}'):.0f}"
    return f"{float(f'{value:.{count}g}'):g}"


def _spread(mean: float, std: float | None) -> str:
    # Conductivity ± deviation in mS/m; three digits of the mean.
    return f"{digits(1e3 * mean, 3)} ± {digits(1e3 * std)}" if pd.notna(std) else digits(1e3 * mean)


def main() -> None:
    """Print the tables, write them to a file, or renew those of a page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", type=Path, required=True, help="folder of a study's results")
    parser.add_argument("--table", type=Path, help="file to write instead of printing")
    parser.add_argument("--page", type=Path, help="page whose tables are replaced")
    arguments = parser.parse_args()
    if arguments.page:
        text = renewed(arguments.page.read_text(), arguments.study)
        arguments.page.write_text(text)
    elif arguments.table:
        arguments.table.write_text(page(arguments.study))
    else:
        print(page(arguments.study), end="")


if __name__ == "__main__":
    main()
