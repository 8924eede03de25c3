"""The page holds what it is given: figures inside, text escaped, numbers formatted."""

import base64
import html.parser

import jinja2
import numpy as np
import pandas as pd
import pytest
import yaml

from headcond import __version__
from headcond.condnet.scores import summarise_heads
from headcond.reporting import cohort, conductivity, estimates, forward, head, rom
from headcond.reporting.page import TEMPLATE, Part, Section, render, run_times
from headcond.study.paths import REPOSITORY

ROOT = REPOSITORY
TIMES = pd.DataFrame({"rule": ["generate_head"], "jobs": [4], "total (s)": [12.3456]})


class Page(html.parser.HTMLParser):
    """Elements of a page: tags with attributes, table cells, text."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.cells, self.text, self._cell, self._open = [], [], "", None, []
        self.feed(path.read_text())
        assert self._open == [], "every element is closed"

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "img", "br"):
            self._open.append(tag)
        if tag in ("td", "th"):
            self._cell = ""

    def handle_endtag(self, tag):
        assert self._open.pop() == tag
        if tag in ("td", "th"):
            self.cells.append(self._cell)
            self._cell = None

    def handle_data(self, data):
        self.text += data
        if self._cell is not None:
            self._cell += data

    def attributes(self, tag):
        return [found for name, found in self.tags if name == tag]


@pytest.fixture
def default():
    return yaml.safe_load((ROOT / "config.yaml").read_text())


@pytest.fixture
def shown(tmp_path, default):
    """Render sections with the page's own template and read the page."""

    def make(*sections, notes=(), times=TIMES, settings=None):
        path = tmp_path / "report.html"
        render(path, TEMPLATE, settings or default, sections, notes, times)
        return Page(path)

    return make


def figure_files(folder, names):
    """Files with distinct content in the place of figures."""
    paths = {}
    for name in names:
        paths[name] = folder / f"{name}.png"
        paths[name].write_bytes(b"\x89PNG\r\n" + name.encode())
    return paths


def embedded(page):
    """Content of the page's pictures."""
    found = []
    for attributes in page.attributes("img"):
        kind, content = attributes["src"].split(",", 1)
        assert kind == "data:image/png;base64"
        found.append(base64.b64decode(content))
    return found


def test_page_is_self_contained_and_says_what_it_is(shown, tmp_path, default):
    paths = figure_files(tmp_path, ["one", "two"])
    page = shown(
        Section("first", "First", (Part("A", ("text",), None, paths["one"], "caption one"),)),
        Section("second", "Second", (Part(figure=str(paths["two"]), caption="caption two"),)),
        notes=["The heads of this study are generated."],
    )
    assert embedded(page) == [path.read_bytes() for path in paths.values()]
    assert [img["alt"] for img in page.attributes("img")] == ["caption one", "caption two"]
    for tag, attributes in page.tags:
        assert tag not in ("script", "link", "iframe", "object")
        for name in ("src", "href", "action", "srcset"):
            assert attributes.get(name, "#").startswith(("#", "data:")), (tag, attributes)
    assert "@import" not in page.text and "url(" not in page.text
    assert "Research use only" in page.text and "not a medical device" in page.text
    assert "The heads of this study are generated." in page.text
    assert f"headcond {__version__}, seed {default['seed']}" in page.text
    targets = [link["href"].removeprefix("#") for link in page.attributes("a")]
    assert targets == ["first", "second", "about"]
    assert [section["id"] for section in page.attributes("section")] == targets
    settings = page.text[page.text.index("study: default") :].split("\n\n")[0]
    assert yaml.safe_load(settings.strip()) == default


def test_what_is_given_is_escaped(shown):
    evil = "<script>alert('x')</script> & \"more\""
    table = pd.DataFrame({evil: [evil]})
    page = shown(Section("s", evil, (Part(evil, (evil,), table, None, evil),)), notes=[evil])
    assert not page.attributes("script")
    assert page.cells.count(evil) == 2 and page.text.count(evil) >= 6


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.123456, "0.1235"), (1.0, "1"), (-3.0, "-3"), (1234567.0, "1.235e+06"), (0.0, "0"),
        (1.23456e-9, "1.235e-09"), (123456.7, "1.235e+05"), (np.float64(2.5), "2.5"),
        (np.nan, "–"), (None, "–"), (np.inf, "∞"), (-np.inf, "-∞"), (True, "yes"), (False, "no"),
        (7, "7"), (np.int64(12345678), "12345678"),
        ("text", "text"),
    ],
)  # fmt: skip
def test_cells(shown, value, text):
    table = pd.DataFrame({"quantity": ["q"], "value": pd.Series([value], dtype=object)})
    page = shown(Section("s", "S", (Part(table=table),)))
    assert page.cells[:4] == ["quantity", "value", "q", text]


def test_typed_columns_are_formatted_as_well(shown):
    table = pd.DataFrame(
        {"a": [0.33333333, np.nan, np.inf], "b": [1, 2, 3], "c": [True, False, True]}
    )
    cells = shown(Section("s", "S", (Part(table=table),))).cells
    assert cells[:12] == ["a", "b", "c", "0.3333", "1", "yes", "–", "2", "no", "∞", "3", "yes"]


def test_a_template_that_asks_for_what_is_not_there_is_an_error(tmp_path, default):
    template, path = tmp_path / "page.html", tmp_path / "report.html"
    template.write_text("{{ study.study }} {{ sections_of_another_version }}")
    path.write_text("the last good report")
    with pytest.raises(jinja2.UndefinedError, match="sections_of_another_version"):
        render(path, template, default, [], [], TIMES)
    assert path.read_text() == "the last good report"
    incomplete = {key: value for key, value in default.items() if key != "seed"}
    with pytest.raises(jinja2.UndefinedError, match="seed"):
        render(path, TEMPLATE, incomplete, [], [], TIMES)


def test_a_missing_figure_is_an_error(shown):
    with pytest.raises(FileNotFoundError, match=r"lost\.png"):
        shown(Section("s", "S", (Part(figure="/nowhere/lost.png"),)))


def benchmark(folder, rule, name, seconds, memory):
    path = folder / rule / f"{name}.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"s\th:m:s\tmax_rss\tmean_load\n{seconds}\t0:00:01\t{memory}\t50\n")


def test_run_times_are_gathered_per_rule(tmp_path):
    benchmark(tmp_path, "solve_efield", "sub-04_true", 10.0, 100)
    benchmark(tmp_path, "solve_efield", "sub-04_uniform", 30.0, 250.5)
    benchmark(tmp_path, "train_axis", "axial", 50.0, "-")
    found = run_times(tmp_path)
    assert found.columns.tolist() == [
        "rule",
        "jobs",
        "total (s)",
        "longest (s)",
        "peak memory (MiB)",
    ]
    assert found["rule"].tolist() == ["train_axis", "solve_efield"], "longest first"
    assert found.iloc[1].tolist() == ["solve_efield", 2, 40.0, 30.0, 250.5]
    assert found.iloc[0].tolist()[1:4] == [1, 50.0, 50.0] and np.isnan(found.iloc[0, 4])
    assert run_times(tmp_path / "nothing").empty


def test_run_times_stand_on_the_page(shown, tmp_path):
    benchmark(tmp_path, "train_axis", "axial", 50.123456, "-")
    cells = shown(times=run_times(tmp_path)).cells
    assert cells[5:10] == ["train_axis", "1", "50.12", "50.12", "–"]


def errors_of(subject):
    rows = [
        {"mode": mode, "sample": sample, "parameter": name, "true": 1.0, "estimate": 1.1,
         "relative_error_percent": error, "cramer_rao_percent": bound, "at_wall": error > 3}
        for mode, bound in (("each", np.inf), ("joint", 4.0))
        for name in ("compact_bone", "wm")
        for sample, error in enumerate((1.0, 2.0, 6.0))
    ]  # fmt: skip
    return {subject: pd.DataFrame(rows)}


def test_estimates_are_summed_up_per_mode_and_tissue(default, tmp_path, shown):
    figures = figure_files(tmp_path, ["estimates_sub-04"])
    section = estimates.estimate_section(default, figures, errors_of("sub-04"))
    table = section.parts[0].table
    assert table["tissue"].tolist() == ["compact bone", "WM"] * 2
    assert table["estimated"].tolist() == ["per pair"] * 2 + ["all pairs together"] * 2
    row = table.iloc[2]
    assert row["mean RE (%)"] == 3.0 and row["median RE (%)"] == 2.0
    assert row["largest RE (%)"] == 6.0
    assert row["RMS RE (%)"] == pytest.approx(np.sqrt(41 / 3))
    assert row["median Cramér-Rao bound (%)"] == 4.0
    assert row["at a limit of the box (%)"] == pytest.approx(100 / 3)
    assert "3 random conductivities" in section.parts[0].texts[0]
    assert "0.82 µV" in section.parts[0].texts[0]
    page = shown(section)  # the bound of a tissue that one pair does not see is infinite
    assert "∞" in page.cells and "33.33" in page.cells
    assert embedded(page) == [figures["estimates_sub-04"].read_bytes()]


def validation(violated=False):
    return pd.DataFrame(
        {"source": ["F10", "F10", "P9"], "point": [0, 1, 0], "snapshots": [3, 3, 3],
         "error": 1.0, "bound": 2.0, "effectivity": [1.5, 1.1, 9.0],
         "relative_error": [1e-3, 2e-3, 1e-9], "relative_bound": [2e-3, 3e-3, 9.0],
         "passive_error": [2e-6, 1e-6, 0.0], "judged": [True, True, False],
         "violated": [violated, False, False]}
    )  # fmt: skip


def test_validation_counts_what_was_judged(default, tmp_path):
    figures = figure_files(tmp_path, ["greedy_sub-04", "bound_sub-04"])
    section = rom.rom_section(default, figures, {"sub-04": validation(violated=True)}, {})
    found = dict(section.parts[0].table.to_numpy().tolist())
    assert found["injection pairs"] == 2 and found["test points"] == 2
    assert found["snapshots per pair, at most"] == 3
    assert found["bounds compared with errors"] == 2 and found["bounds below the error"] == 1
    assert found["mean effectivity"] == pytest.approx(1.3)
    assert found["largest effectivity"] == 1.5
    assert found["mean relative bound"] == pytest.approx(2.5e-3)
    assert found["mean relative error"] == pytest.approx(1.5e-3)
    assert found["largest relative error"] == 2e-3
    assert found["largest error at a passive electrode (µV)"] == pytest.approx(2.0)
    assert [part.figure for part in section.parts] == list(figures.values())


def quality(cut):
    return {
        "nodes": 5682, "tetrahedra": 27959, "inverted": 0, "components": 1,
        "dihedral_deg": {"min": 12.04, "p50": 42.3, "max": 167.29},
        "leaks": {"faces": 0, "nodes": 2, "diploe_faces": 3},
        "electrode_area_mm2": {"least": 110.26, "largest": 113.14},
        "cut_voxels": cut, "volume_m3": {"compact_bone": 7.2e-4},
        "voxel_volume_ratio": {"compact_bone": 1.02},
    }  # fmt: skip


def test_head_section_names_leaks_and_cut_faces(tmp_path):
    names = ["mesh_sub-04", "electrodes_sub-04", "mesh_sub-05", "electrodes_sub-05"]
    figures = figure_files(tmp_path, names)
    records = {"sub-04": quality({}), "sub-05": quality({"inferior": 812})}
    section = head.head_section(figures, records)
    whole, cut = (dict(p.table.to_numpy().tolist()) for p in section.parts if p.title)
    assert (
        whole["nodes"] == 5682
        and whole["nodes shared by the inside and the outside of the skull"] == 2
    )
    assert whole["dihedral angles (degrees)"] == "12.0 to 167.3"
    assert whole["electrode areas (mm²)"] == "110.3 to 113.1"
    assert whole["cut by the image (insulated there)"] == "no"
    assert cut["cut by the image (insulated there)"] == "inferior (812 voxels)"
    volumes = section.parts[1].table.iloc[0]
    assert volumes["tissue"] == "compact bone" and volumes["volume (ml)"] == pytest.approx(720)
    assert [part.figure for part in section.parts if part.figure] == list(figures.values())


def test_forward_section_has_units_and_figures(default, tmp_path):
    figures = figure_files(tmp_path, ["potential_sub-04", "thickness_sub-04"])
    table = pd.DataFrame({"pair": ["F10-Cz"], "iterations": [35], "residual": [1e-11],
                          "reciprocity": [2e-13], "drive_voltage": [0.02]})  # fmt: skip
    section = forward.forward_section(default, figures, {"sub-04": table})
    assert section.parts[0].table.columns.tolist() == [
        "injection pair", "iterations", "true relative residual", "reciprocity error (V)",
        "drive voltage (V)",
    ]  # fmt: skip
    assert [part.figure for part in section.parts[1:]] == list(figures.values())


def facts(cut=None):
    return {
        "origin": "generated",
        "cut_voxels": cut or {},
        "tissue_ml": {"gm": 600.4, "wm": 500.0, "cerebellum": 100.0, "skin": 300.0},
    }


ALIGNED = {
    "quality": {"mutual_information_before": 0.4, "mutual_information_after": 0.9,
                "translation_mm": 3.2, "rotation_degrees": 1.5},
    "outside_grid_percent": 2.5,
}  # fmt: skip


def test_cohort_names_origin_roles_and_cut_faces(default, tmp_path):
    default["cohort"]["scans"] = {"sub-patient": {"t1": "a", "t2": "b"}}
    subjects = ["sub-01", "sub-02", "sub-03", "sub-04"]
    names = [f"{kind}_sub-{who}" for kind in ("alignment", "anatomy") for who in ("04", "patient")]
    figures = figure_files(tmp_path, names)
    records = {name: facts() for name in subjects} | {"sub-04": facts({"inferior": 99})}
    section = cohort.cohort_section(
        default, figures, records, {"sub-04": ALIGNED, "sub-patient": ALIGNED}
    )
    table = section.parts[0].table.set_index("subject")
    assert table["role"].tolist() == ["train"] * 3 + ["test", "prediction only"]
    assert (
        table.loc["sub-01", "brain (ml)"] == "1200" and table.loc["sub-01", "head (ml)"] == "1500"
    )
    assert table.loc["sub-04", "cut by the image (voxels)"] == "inferior (99)"
    assert pd.isna(table.loc["sub-patient", "head (ml)"])
    texts = " ".join(section.parts[0].texts)
    assert "generated, not people" in texts and "no current leaves through the cut face" in texts
    aligned = section.parts[1].table
    assert aligned["subject"].tolist() == ["sub-04", "sub-patient"]
    assert aligned["mutual information after (nats)"].tolist() == [0.9, 0.9]
    assert [part.figure for part in section.parts[2:]] == list(figures.values())


def test_an_alignment_that_did_not_converge_is_in_the_report(default, tmp_path):
    figures = figure_files(tmp_path, ["alignment_sub-04", "anatomy_sub-04"])
    subjects = ["sub-01", "sub-02", "sub-03", "sub-04"]
    stopped = {**ALIGNED, "quality": {**ALIGNED["quality"], "warnings": ["stopped at its limit"]}}
    section = cohort.cohort_section(
        default, figures, {name: facts() for name in subjects}, {"sub-04": stopped}
    )
    (text,) = section.parts[1].texts
    assert text.startswith("WARNING: sub-04: stopped at its limit.")
    assert section.parts[1].table["converged"].tolist() == [False]


def scores_of(subject, percent, table="A"):
    """Scores of one head with two tissues and a map; `percent` is the median error of one."""
    rows = [
        {"subject": subject, "table": table, "map": name, "reference": "true", "tissue": tissue,
         "voxels": 10, "median_percent": factor * value, "log10_mae": 0.1, "air_percent": 0.0,
         "dice": 0.5, "dice_tissues": tissue}
        for name, factor in (("uniform", 1.0), ("condnet", 2.0))
        for tissue, value in (("bone_cortical", percent), ("csf", 40.0))
    ]  # fmt: skip
    return pd.DataFrame(rows)


def conductivity_figures(folder, subjects):
    kinds = ("conductivity", "profile", "patches", "spread")
    names = [f"{kind}_{subject}" for subject in subjects for kind in kinds]
    return figure_files(folder, ["losses", "volumes", *names])


LOSSES = {
    "axial": pd.DataFrame({"epoch": [1, 2], "train_loss": [0.5, 0.25], "seconds": [3.0, 2.0]})
}


def test_conductivity_section_shows_scores_summarise_heads_and_all_figures(
    default, tmp_path, shown
):
    figures = conductivity_figures(tmp_path, ["sub-04"])
    scores = summarise_heads(pd.concat([scores_of("sub-04", 10.0), scores_of("sub-05", 20.0)]))
    section = conductivity.conductivity_section(default, figures, LOSSES, scores)
    training, table = section.parts[0].table, section.parts[1].table
    assert training.iloc[0][["axis", "training loss"]].tolist() == ["axial", 0.25]
    assert table["tissue"].tolist() == ["cortical bone", "CSF", "all tissues"]
    assert table["median error (%), uniform"].tolist() == ["15 ± 7.1", "40 ± 0", "27.5 ± 3.5"]
    assert table["median error (%), estimated"].tolist() == ["30 ± 14", "80 ± 0", "55 ± 7.1"]
    assert "Dice, estimated" in table and "2 test heads" in section.parts[1].texts[0]
    assert section.parts[1].title == (
        "Error of the maps of table A against the true, non-uniform conductivity of the "
        "generated heads"
    )
    captions = [part.caption for part in section.parts if part.figure and part.title != "Training"]
    assert all(caption.startswith("Generated heads, simulated") for caption in captions)
    page = shown(section)
    assert sorted(embedded(page)) == sorted(path.read_bytes() for path in figures.values())
    assert not [part for part in section.parts if "lens" in part.title], "no truth, no lens"


def test_one_head_has_no_spread_and_two_tables_have_a_figure(default, tmp_path):
    default["condnet"]["tables"] = ["A", "B"]
    figures = conductivity_figures(tmp_path, ["sub-04"])
    figures |= figure_files(tmp_path, ["tables_sub-04"])
    section = conductivity.conductivity_section(
        default, figures, LOSSES,
        summarise_heads(pd.concat([scores_of("sub-04", 10.0), scores_of("sub-04", 20.0, "B")])),
    )  # fmt: skip
    assert section.parts[1].table["median error (%), uniform"].tolist() == ["10", "40", "25"]
    assert section.parts[2].table["median error (%), uniform"].tolist() == ["20", "40", "30"]
    assert "table B" in section.parts[2].title and "table A" in section.parts[1].title
    (part,) = (part for part in section.parts if part.figure == figures["tables_sub-04"])
    assert "A, B" in part.caption and "the same network" in part.caption


def test_large_spreads_are_plain_numbers():
    scores = summarise_heads(pd.concat([scores_of("sub-04", 2000.0), scores_of("sub-05", 20.0)]))
    table = conductivity.score_table(scores, "A", "true")
    assert table["median error (%), uniform"][0] == "1010 ± 1400"


def test_the_lens_is_shown_with_the_papers_range(default, tmp_path):
    lens = pd.DataFrame(
        {"subject": "sub-04", "map": ["uniform", "condnet", "true"], "voxels": 80,
         "median": [1.5, 0.62, 0.351], "p5": [1.5, 0.4, 0.33], "p95": [1.5, 1.234, 0.37]}
    )  # fmt: skip
    section = conductivity.conductivity_section(
        default, conductivity_figures(tmp_path, ["sub-04"]), LOSSES,
        summarise_heads(scores_of("sub-04", 10.0)), lens,
    )  # fmt: skip
    (part,) = (part for part in section.parts if "lens" in part.title)
    assert part.table.to_numpy().tolist() == [
        ["sub-04", 80, "1.50 (1.50 to 1.50)", "0.62 (0.40 to 1.23)", "0.35 (0.33 to 0.37)"]
    ]
    assert part.table.columns[-3:].tolist() == ["uniform", "estimated", "true"]
    assert "0.31 to 0.55" in part.texts[0] and "generated" in part.texts[0]


def test_template_and_readme_say_research_use_only():
    for path in (TEMPLATE, ROOT / "README.md"):
        text = path.read_text()
        assert "Research use only" in text and "not a medical device" in text, path
