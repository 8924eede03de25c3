"""Really small studies, run to their end: report, sidecars, reruns, edits, ranks and a kill."""

import contextlib
import html.parser
import json
import re
import shutil
import time

import numpy as np
import pandas as pd
import psutil
import pytest

from headcond import __version__
from headcond.files import results

EIT = """
pipelines: [eit]
cohort: {voxel_size_mm: 2.5, train: [], test: [sub-01]}
head: {subjects: [sub-01], mesh: {size: 0.012}}
rom: {pairs: 3, batch: 3, snapshots: 6, training_points: 200, validation_points: 2, mode: each}
inverse: {samples: 2}
"""
# Networks of so few epochs estimate badly, but they are networks.
TMS = """
pipelines: [tms]
cohort: {voxel_size_mm: 2.5, train: [sub-01], test: [sub-02]}
condnet: {epochs: 12, validation: slice}
head: {subjects: [sub-02]}
"""


@pytest.fixture(scope="module")
def small(make_checkout):
    """A copy in which the small study has run on two ranks; and Snakemake's arguments for it."""
    pytest.importorskip("petsc4py", reason="petsc4py is not installed")
    checkout = make_checkout("small")
    arguments = ("--cores", 2, "--configfile", checkout.study("small", EIT))
    checkout.run(*arguments)
    return checkout, arguments, checkout.folder / "results" / "small"


class Page(html.parser.HTMLParser):
    """What a page loads, its pictures and its text."""

    def __init__(self, path):
        super().__init__()
        self.loads, self.pictures, self.text = [], 0, ""
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.loads += [given[name] for name in ("src", "href") if name in given]
        self.pictures += tag == "img"

    def handle_data(self, data):
        self.text += data


def check_page(path, pictures, titles):
    page = Page(path)
    for address in page.loads:
        assert address.startswith(("#", "data:image/png;base64,")), address[:80]
    assert page.pictures == pictures
    assert "Research use only" in page.text and "not a medical device" in page.text
    for title in titles:
        assert title in page.text, title
    return page


def check_sidecars(folder, least=9):
    """Every result has its provenance; the names of the rules that made them."""
    made_files = [path for path in folder.glob("*/*/*") if path.parts[-3].startswith("sub-")]
    made_files += list(folder.glob("networks/*"))
    made = [path for path in made_files if not path.name.endswith(".json")]
    assert len(made) >= least
    rules = set()
    for path in made:
        side = results.sidecar_path(path)
        assert side.exists(), f"{path.relative_to(folder)} has no sidecar"
        record = json.loads(side.read_text())["provenance"]
        assert re.fullmatch("[0-9a-f]{16}", record["source"]), path
        assert {"numpy", "scipy", "snakemake", "python"} <= set(record["versions"]), path
        assert record["versions"]["headcond"] == __version__
        rules.add(record["rule"])
    for path in made_files:
        if path.name.endswith(".json"):
            record = json.loads(path.read_text())["provenance"]
            assert record["rule"] and re.fullmatch("[0-9a-f]{16}", record["source"]), path
            rules.add(record["rule"])
    assert not list(folder.rglob(".*-????????.*")), "no temporary file is left"
    return rules


def test_the_report_stands_alone_and_holds_the_results(small):
    _, _, folder = small
    page = check_page(
        folder / "report.html", 5, ["Head model", "Reduced model", "Conductivity from voltages"]
    )
    table = results.read_table(folder / "sub-01" / "eit" / "sub-01_relativeerror.tsv")
    joint = table[(table["mode"] == "joint") & (table["parameter"] == "scalp")]
    assert f"{joint['relative_error_percent'].mean():.4g}" in page.text
    for rule in ("generate_head", "train_basis", "validate_rom"):
        assert rule in page.text, "run times are told"


def test_every_result_has_a_sidecar_that_says_what_made_it(small):
    rules = check_sidecars(small[2])
    assert rules == {
        "generate_head", "register_template", "label_head", "build_mesh", "assemble_operators",
        "train_basis", "merge_basis", "validate_rom", "simulate_voltages", "invert_voltages",
    }  # fmt: skip


def test_the_results_are_those_of_a_head(small):
    """Bounds hold, and joint estimates lie in their box, nearer than its width."""
    folder = small[2] / "sub-01"
    validation = results.read_table(folder / "rom" / "sub-01_validation.tsv")
    assert len(validation) == 3 * 2 and not validation["violated"].any()
    assert (validation["bound"] >= validation["error"]).all()
    truth = results.read_table(folder / "eit" / "sub-01_truth.tsv")
    estimates = results.read_table(folder / "eit" / "sub-01_estimates.tsv")
    assert len(estimates) == 2 * (3 + 1)
    joint = estimates[estimates["mode"] == "joint"].sort_values("sample")
    assert np.allclose(joint["scalp"], truth["scalp"], rtol=0.1), "the best seen tissue"
    quality = results.read_json(folder / "head" / "sub-01_desc-quality.json")
    assert quality["inverted"] == 0 and quality["components"] == 1


def test_a_second_run_does_nothing(small):
    checkout, arguments, folder = small
    before = (folder / "report.html").stat().st_mtime_ns
    assert "Nothing to be done" in checkout.run(*arguments)
    assert (folder / "report.html").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("edited", "expected"),
    [
        ("src/headcond/inverse/optimise.py", {"invert_voltages", "draw_estimates", "report_study"}),
        ("src/headcond/reporting/page.py", {"report_study"}),
    ],
)
def test_an_edit_reruns_its_stage_and_what_follows_only(small, edited, expected):
    checkout, arguments, _ = small
    path = checkout.folder / edited
    original = path.read_bytes()
    try:
        path.write_bytes(original + b"# one more line\n")
        output = checkout.run("-n", *arguments)
    finally:
        path.write_bytes(original)
    table = output.split("Job stats:")[1].split("total")[0]
    assert set(re.findall(r"(?m)^(\w+) +\d+$", table)) == expected | {"all"}


def kill_all(process):
    """SIGKILL to Snakemake, its launcher and all ranks at once, as a power cut would."""
    if process.poll() is None:
        parent = psutil.Process(process.pid)
        for member in [parent, *parent.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        process.communicate()


def wait_for(pattern, folder, process, seconds=120):
    """First file that fits `pattern`, as soon as it is there."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = sorted(folder.glob(pattern))
        if found:
            return found[0]
        assert process.poll() is None, process.communicate()[0][-3000:]
        time.sleep(0.005)
    pytest.fail(f"{pattern} did not appear within {seconds} s")


def test_a_killed_run_goes_on_and_another_number_of_ranks_changes_nothing(small):
    """Killed during train_basis on one rank, it takes up the finished pair and ends the same.

    The tolerance is that of the linear solves (1e-10) times what the inversion makes of it.
    """
    checkout, arguments, folder = small
    one_rank = (*arguments, "--set-threads", "train_basis=1")
    eit, rom = folder / "sub-01" / "eit", folder / "sub-01" / "rom"
    before = {name: results.read_table(eit / f"sub-01_{name}.tsv")
              for name in ("voltages", "estimates", "relativeerror")}  # fmt: skip
    log = folder / "logs" / "train_basis" / "sub-01_000.log"
    assert "rank 1 pair" in log.read_text(), "the first run had two ranks"
    shutil.rmtree(rom)
    shutil.rmtree(eit)
    (folder / "report.html").unlink()  # else nothing asks for what is missing

    process = checkout.start(*one_rank)
    try:
        finished = wait_for(".state/train_basis-*/**/*.h5", folder, process)
    finally:
        kill_all(process)
    assert not (rom / "sub-01_rom.h5").exists() and not list(rom.glob("*.h5"))
    state = finished.relative_to(folder / ".state").parts[0]

    checkout.run("--unlock", *one_rank)
    checkout.run(*one_rank)
    assert not (folder / ".state" / state).exists(), "the state goes when the step has ended well"
    told = log.read_text()
    assert "rank 1 pair" not in told, "one rank"
    trained = told.count("snapshot 1 of 6")
    assert 0 < trained < 3, f"{trained} of 3 pairs were trained after the kill"

    for name, old in before.items():
        new = results.read_table(eit / f"sub-01_{name}.tsv")
        assert new.columns.tolist() == old.columns.tolist() and len(new) == len(old)
        for column in old:
            if pd.api.types.is_float_dtype(old[column]):
                np.testing.assert_allclose(new[column], old[column], rtol=1e-5, err_msg=column)
            elif column != "iterations":
                assert new[column].tolist() == old[column].tolist(), column
    assert "Nothing to be done" in checkout.run(*one_rank)


@pytest.mark.slow
def test_the_tms_wing_ends_in_a_report(make_checkout):
    checkout = make_checkout("tms")
    arguments = ("--cores", 2, "--configfile", checkout.study("tiny", TMS))
    checkout.run(*arguments)
    folder = checkout.folder / "results" / "tiny"
    drawn = len(list((folder / "figures").glob("*.png")))
    assert drawn > 6
    page = check_page(
        folder / "report.html", drawn, ["Cohort", "Conductivity from MRI", "TMS field", "generated"]
    )
    rules = check_sidecars(folder)
    assert {"train_axis", "solve_efield", "compare_efield", "correct_bias"} <= rules
    table = results.read_table(folder / "sub-02" / "tms" / "sub-02_pos-coil_globalerror.tsv")
    assert table["mean_percent"].between(0, 100).all() and (table["mean_percent"] > 0).any()
    for axis in ("axial", "coronal", "sagittal"):
        history = results.read_table(folder / "networks" / f"axis-{axis}_history.tsv")
        losses = history["train_loss"].to_numpy()
        assert len(losses) == 12 and losses[-1] < losses[0], "it learns"
        assert (history["train_loss"] >= history["train_floor"]).all()
    for model in ("uniform", "blurred", "condnet", "true"):
        name = f"sub-02_pos-coil_cond-{model}_efield.json"
        assert results.read_json(folder / "sub-02" / "tms" / name)["residual"] <= 1e-6
        assert name.replace(".json", ".nii.gz") in page.text
    assert "Nothing to be done" in checkout.run(*arguments)
