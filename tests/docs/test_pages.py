"""The pages: generated parts are current, nothing is said twice, plain words, wrapped lines."""

import re
from collections import defaultdict

import pytest
import yaml

from tests.docs.pages import PAGES, ROOT, blocks, generate, prose

# Words that plain technical English does without here, and what a page says instead.
AVOIDED = {
    r"beside": "next to, compared with",
    r"st(?:ands?|ood|anding)": "is",
    r"l(?:ies|ie|ay|ain|ying)": "is, are",
    r"mend(?:s|ed|ing)?": "repair, fix",
    r"rooms?": "space, package",
    r"house": "",
    r"nobody": "unknown, untested",
    r"want of": "missing",
    r"the like": "such as",
    r"told|asked": "report, request",
    r"is none|is no number": "",
    r"(?:EIT|TMS|both|the two) wings?": "pipeline",
}
EXAMPLES = {
    f"studies/{name}.yaml" for name in ("x", "mine", "more-snapshots", "my-head", "experiment-N")
}
GENERATED = ("reference/licences.md", "reference/study-keys.md", "explanation/resources.md")


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_words_are_plain(page):
    if str(page).endswith(GENERATED):
        pytest.skip("written by a command")
    text = prose(page)
    for word, better in AVOIDED.items():
        found = re.search(rf"\b(?:{word})\b.*", text, re.IGNORECASE)
        assert not found, f"{page}: {found[0]!r}; write: {better}"


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_lines_are_wrapped(page):
    for line in prose(page).splitlines():
        words = re.sub(r"`[^`]*`|\]\([^)]*\)|\$[^$]*\$", "x", line)
        assert len(words) <= 100, f"{page}: {line}"


def test_no_page_repeats_lines_of_another():
    """Three lines in a row, in text or listings, are on one page only."""
    places = defaultdict(set)
    for page in PAGES:
        lines = [line.strip() for line in (ROOT / page).read_text().splitlines() if line.strip()]
        for number in range(len(lines) - 2):
            run = "\n".join(lines[number : number + 3])
            if len(run) > 90 and not re.search(r"^(\| ?:?-{3}|```|from |import |<!--)", run, re.M):
                places[run].add(str(page))
    twice = {run: pages for run, pages in places.items() if len(pages) > 1}
    assert not twice, "\n\n".join(f"{sorted(pages)}\n{run}" for run, pages in twice.items())


def test_the_bids_listing_is_on_one_page():
    holds = [str(page) for page in PAGES if "_dseg.nii.gz" in (ROOT / page).read_text()
             and "_T1w.nii.gz\n" in (ROOT / page).read_text()]  # fmt: skip
    assert holds == ["docs/tutorials/your-scans.md"]


def test_study_keys_are_those_of_the_schema():
    written = generate.KEYS_PAGE.read_text()
    assert written == generate.keys_page(), "python docs/generate.py keys"


def test_every_key_of_the_default_study_is_on_its_page():
    def leaves(entry, path=""):
        for name, value in entry.items():
            if isinstance(value, dict) and value:
                yield from leaves(value, f"{path}{name}.")
            else:
                yield f"{path}{name}"

    text = generate.KEYS_PAGE.read_text()
    for key in leaves(yaml.safe_load((ROOT / "config.yaml").read_text())):
        assert f"`{key}`" in text, key


def test_the_graph_has_the_rules_of_the_default_study(monkeypatch):
    monkeypatch.delenv("SNAKEMAKE_PROFILE", raising=False)
    drawn = re.findall(r"<title>(\w+)</title>", generate.RULE_GRAPH.read_text())
    drawn = {name for name in drawn if not name.startswith(("cluster_", "G"))}
    rules, arrows = generate.rule_graph()
    assert drawn == set(rules), "python docs/generate.py rules"
    assert {name for arrow in arrows for name in arrow} <= set(rules)


def test_arrows_that_a_longer_way_implies_are_left_out():
    assert generate._reduced({("a", "b"), ("b", "c"), ("a", "c")}) == {("a", "b"), ("b", "c")}


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=str)
def test_files_that_a_page_names_exist(page):
    folders = "scripts|studies|benchmarks|tests|workflow|envs|profiles|src"
    text = (ROOT / page).read_text()
    programs = {f"benchmarks/{name}.py" for name in re.findall(r"-m benchmarks\.(\w+)", text)}
    named = set(re.findall(rf"(?<![\w/])((?:{folders})/[\w./-]+\.\w+)", text)) - EXAMPLES
    for name in named | programs:
        assert (ROOT / name).exists() or "/train_axis" in name, f"{page}: {name}"


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_modules_that_a_page_names_exist(page):
    for name in re.findall(r"`headcond((?:\.\w+)+)", (ROOT / page).read_text()):
        path = ROOT / "src" / "headcond"
        *parts, last = name.strip(".").split(".")
        for part in parts:
            path = path / part if (path / part).is_dir() else path.with_suffix(".py")
            if (path.with_suffix("") / f"{part}.py").exists():
                path = path.with_suffix("") / f"{part}.py"
        if path.is_dir():
            assert (path / last).is_dir() or (path / f"{last}.py").exists(), f"{page}: {name}"
        else:
            assert re.search(rf"\b{last}\b", path.read_text()), f"{page}: {name}"


def test_pages_without_a_table_of_the_study_are_left_alone(tmp_path):
    from benchmarks import results

    text = "<!-- table: other maps A uniform -->\n\n| a |\n| --- |\n| 1 |\n"
    assert results.renewed(text, tmp_path) == text


def test_every_table_of_a_page_has_a_name_that_a_command_writes():
    kinds = r"maps \S+ (uniform|true)|lens|fields (magnitude|vector) (region|head)"
    kinds += r"|bounds sub-\w+ \w+|estimates|wrong head|references|measured"
    for page in PAGES:
        for study, name in re.findall(r"<!-- table: (\S+) ([^>]+?) -->", (ROOT / page).read_text()):
            if study != "STUDY":
                assert re.fullmatch(kinds, name), f"{page}: {name}"
                assert study == "default" or (ROOT / "studies" / f"{study}.yaml").exists(), study


def test_python_blocks_are_found():
    assert sum(len(blocks(page)) for page in PAGES) >= 6
