"""Power cuts, full and read-only disks, broken files, wrong clocks: `make test-faults`.

HEADCOND_KILLS (30) says how often a process is killed, HEADCOND_FAULT_SEED (8) which and when.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import psutil
import pytest

from headcond.files import results

pytestmark = pytest.mark.faults

KILLS = int(os.environ.get("HEADCOND_KILLS", "30"))
WAIT = 3000  # seconds for one run, which ends in a minute on two idle cores
SEED = int(os.environ.get("HEADCOND_FAULT_SEED", "8"))
# All stages of a pipeline, each of some seconds.
EIT = """
pipelines: [eit]
cohort: {voxel_size_mm: 2.5, train: [], test: [sub-02]}
head: {subjects: [sub-02], mesh: {size: 0.014}}
rom: {pairs: 3, batch: 3, snapshots: 5, training_points: 100, validation_points: 2}
inverse: {samples: 2}
"""
TMS = """
pipelines: [tms]
cohort: {voxel_size_mm: 2.5, train: [sub-01], test: [sub-02]}
condnet: {epochs: 12, validation: slice}
head: {subjects: [sub-02]}
"""


def tables(folder):
    """Every table of the subjects and networks, without the columns that hold seconds."""
    found = {}
    for path in sorted([*folder.glob("sub-*/*/*.tsv"), *folder.glob("networks/*.tsv")]):
        rows = [line.split("\t") for line in path.read_text().splitlines()]
        kept = [n for n, name in enumerate(rows[0]) if "seconds" not in name]
        found[str(path.relative_to(folder))] = [[row[n] for n in kept] for row in rows]
    return found


def run_study(make_checkout, name, content):
    pytest.importorskip("petsc4py", reason="petsc4py is not installed")
    checkout = make_checkout(name)
    arguments = ("--cores", 2, "--configfile", checkout.study("small", content))
    checkout.run(*arguments)
    return checkout, arguments, checkout.folder / "results" / "small"


@pytest.fixture(scope="module")
def small(make_checkout):
    """A finished EIT study to be broken: (copy, arguments, results, tables)."""
    checkout, arguments, folder = run_study(make_checkout, "small", EIT)
    return checkout, arguments, folder, tables(folder)


@pytest.fixture(scope="module")
def fields(make_checkout):
    """The same of a TMS study."""
    checkout, arguments, folder = run_study(make_checkout, "fields", TMS)
    return checkout, arguments, folder, tables(folder)


# --- kills -----------------------------------------------------------------------------


def family(process):
    """Processes of a run by their part: the controller, workers, launchers and ranks."""
    parts = {"controller": [psutil.Process(process.pid)], "worker": [], "rank": []}
    with contextlib.suppress(psutil.NoSuchProcess):
        children = parts["controller"][0].children(recursive=True)
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            line = " ".join(child.cmdline())
            if "scripts/rom/train_basis.py" in line and "mpi4py" in line:
                parts["rank"].append(child)
            elif ".snakemake/scripts/" in line:
                parts["worker"].append(child)
    return {part: found for part, found in parts.items() if found}


def disturb(process, draw, stage):
    """Kill -9 one process of a run while a stage has its job; its part, and the rules that ran.

    The job has had a drawn part of three seconds of processor time by then, or has just ended.
    None if the run ended without that stage.
    """
    wait, spent, everybody = draw.uniform(0, 3), -1.0, {}
    while spent < wait or len(everybody) < 2:
        time.sleep(0.05)
        if process.poll() is not None:
            return None, set()
        everybody = family(process)
        jobs = [
            job
            for job in (*everybody.get("worker", []), *everybody.get("rank", []))
            if stage in rules_of([job])
        ]
        with contextlib.suppress(psutil.NoSuchProcess):
            spent = sum(sum(job.cpu_times()[:2]) for job in jobs) if jobs else spent
        if spent >= 0 and not jobs:
            wait = 0  # the stage is over: whatever runs next
    part = str(draw.choice(sorted(everybody)))
    victim = everybody[part][draw.integers(len(everybody[part]))]
    left = psutil.Process(process.pid).children(recursive=True)
    running = rules_of([*everybody.get("worker", []), *everybody.get("rank", [])])
    try:
        victim.kill()
    except psutil.NoSuchProcess:
        part = None
    process.communicate(timeout=WAIT)
    # Jobs go on without their controller, as they would; they end by themselves.
    psutil.wait_procs(left, timeout=WAIT)
    return part, running


def rules_of(found):
    """Names of the rules that processes work on."""
    lines = []
    for process in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            lines.append(" ".join(process.cmdline()))
    return set(re.findall(r"scripts/(?:\w+\.)?(\w+)\.py", " ".join(lines)))


# Stages that kills meet, in the order in which they run; long ones more than once.
EIT_STAGES = (
    "generate_head", "register_template", "label_head", "build_mesh", "build_mesh",
    "assemble_operators", "draw_head", "train_basis", "train_basis", "train_basis", "merge_basis",
    "simulate_voltages", "validate_rom", "validate_rom", "invert_voltages", "draw_rom",
    "draw_estimates", "report_study",
)  # fmt: skip
TMS_STAGES = (
    "align_t2", "correct_bias", "normalise_intensity", "train_axis", "train_axis", "train_axis",
    "predict_axis", "rescale_conductivity", "blur_uniform", "solve_efield", "compare_efield",
    "report_study",
)  # fmt: skip


@pytest.mark.parametrize(
    ("finished", "pipeline", "share", "stages"),
    [("small", EIT, 0.6, EIT_STAGES), ("fields", TMS, 0.4, TMS_STAGES)],
    ids=["eit", "tms"],
)
def test_a_study_killed_in_all_stages_ends_the_same(
    make_checkout, request, finished, pipeline, share, stages, capsys
):
    """Kill -9 of controllers, workers and ranks by a fixed seed; run again after each."""
    undisturbed, _, _, expected = request.getfixturevalue(finished)
    # Its functions are compiled: on a fresh clone kills would meet little but the compiler.
    checkout = make_checkout("killed", undisturbed.folder)
    arguments = ("--cores", 2, "--configfile", checkout.study("small", pipeline))
    folder = checkout.folder / "results" / "small"
    draw = np.random.default_rng(SEED)
    killed, where, ends = Counter(), set(), 0
    for stage in itertools.islice(itertools.cycle(stages), round(share * KILLS)):
        part = None
        while part is None:
            if (folder / "report.html").exists():
                ends += 1
                assert tables(folder) == expected
                shutil.rmtree(folder)  # it came to its end between two kills: once more
            process = checkout.start(*arguments)
            part, running = disturb(process, draw, stage)
            if part == "controller":
                checkout.run("--unlock", *arguments)
        killed[part] += 1
        where |= running
        print(f"kill {killed.total()}: a {part} while {sorted(running)} ran", flush=True)
    checkout.run(*arguments)
    with capsys.disabled():
        print(f"\n{killed.total()} kills, {dict(killed)}, while these ran: {sorted(where)}")
        print(f"{ends} runs came to their end between two kills")
    if killed.total() >= len(stages):
        assert len(where & set(stages)) >= 0.8 * len(set(stages)), "kills must meet all stages"
    assert tables(folder) == expected
    assert "Nothing to be done" in checkout.run(*arguments)
    assert not list(folder.glob("sub-*/*/.*")), "no temporary file is left to be taken for one"


# --- disks -----------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    """A file system of a few megabytes; a skip where none may be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root")

    def remount(options):
        subprocess.run(["mount", "-o", f"remount,{options}", str(place)], check=True)

    try:
        yield place, remount
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_is_told_and_the_study_goes_on_when_there_is_room(
    make_checkout, small, small_disk
):
    place, remount = small_disk
    checkout = make_checkout("full")
    study = checkout.study("small", f"{EIT}results: {place}\n")
    arguments = ("--cores", 2, "--configfile", study)
    output = checkout.run(*arguments, fails=True)
    assert "The disk is full. Free some space and run again" in output, output
    assert not list(place.glob("small/sub-*/*/*T1w.nii.gz")), "no half-written file"
    remount("size=400m")
    checkout.run(*arguments)
    assert tables(place / "small") == small[3]


def test_a_read_only_disk_is_told_before_any_job(make_checkout, small_disk):
    place, remount = small_disk
    checkout = make_checkout("readonly")
    (place / "small").mkdir()
    (place / "small" / "earlier.tsv").write_text("kept")
    remount("ro")
    study = checkout.study("small", f"{EIT}results: {place}\n")
    output = checkout.run("--cores", 2, "--configfile", study, fails=True)
    assert "Study refused. results: nothing can be written into" in output, output
    assert "name another folder" in output and "rule generate_head:" not in output
    assert (place / "small" / "earlier.tsv").read_text() == "kept"


# --- broken files and clocks -----------------------------------------------------------

# A finished study, a file of its, and the step that is made to read it.
BROKEN = [
    ("small", "sub-02/rom/sub-02_rom.h5", "invert_voltages"),
    ("small", "sub-02/eit/sub-02_voltages.tsv", "invert_voltages"),
    ("small", "sub-02/head/sub-02_operators.h5", "simulate_voltages"),
    ("small", "sub-02/head/sub-02_desc-eit6_dseg.nii.gz", "build_mesh"),
    ("fields", "networks/axis-axial_network.ckpt", "predict_axis"),
    ("fields", "sub-02/cond/sub-02_table-A_desc-condnet_condmap.nii.gz", "blur_uniform"),
    ("fields", "sub-02/tms/sub-02_pos-coil_cond-condnet_efield.nii.gz", "compare_efield"),
]


@pytest.mark.parametrize(("finished", "name", "reader"), BROKEN)
def test_a_truncated_file_is_refused_and_made_again(request, finished, name, reader):
    """Its time is unchanged, so only what stands in it can tell."""
    checkout, arguments, folder, expected = request.getfixturevalue(finished)
    path = folder / name
    whole, stat = path.read_bytes(), path.stat()
    rows = whole.rstrip(b"\n").rfind(b"\n", 0, len(whole) // 2) + 1  # a table: at a row's end
    path.write_bytes(whole[: rows if path.suffix == ".tsv" else len(whole) // 2])
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    output = checkout.run(*arguments, "--forcerun", reader, fails=True)
    path.unlink()
    assert re.search(f"{path.name}: .*remove it, and the next run", output, re.IGNORECASE), output
    checkout.run(*arguments)
    assert tables(folder) == expected


def test_a_clock_in_the_past_changes_no_result(small):
    """Half of the files seem older than what they were made from; the rest, of tomorrow."""
    checkout, arguments, folder, expected = small
    draw = np.random.default_rng(SEED)
    for path in sorted(folder.glob("sub-*/*/*")):
        moved = time.time() + float(draw.choice([-20 * 365 * 86400, 86400]))
        os.utime(path, (moved, moved))
    checkout.run(*arguments)
    assert tables(folder) == expected


# --- the same again --------------------------------------------------------------------


def verify(checkout, study, *options):
    """Exit status and output of `make verify`."""
    program = [sys.executable, "workflow/verify.py", "--cores", "2", *options]
    environment = checkout.environment(PYTHONPATH=None) | {
        "PYTHONPATH": str(checkout.folder / "src")
    }
    done = subprocess.run(
        [*program, "config.yaml", study], cwd=checkout.folder, env=environment,
        capture_output=True, text=True, timeout=WAIT, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_a_sample_of_a_finished_study_is_repeated(small):
    """Three steps, bit by bit; and a number that no step gives is found."""
    checkout, arguments, folder, expected = small
    study = arguments[-1]
    code, told = verify(checkout, study, "--steps", "3", "--seed", str(SEED))
    assert code == 0 and "3 of" in told and " 0 differences" in told, told
    path = folder / "sub-02" / "rom" / "sub-02_greedy.tsv"
    whole, side = path.read_bytes(), results.sidecar_path(path)
    record = side.read_bytes()
    table = results.read_table(path)
    table.loc[0, "relative_bound"] *= 1.001
    made = json.loads(record)["provenance"]
    results.write_table(path, table, provenance=made)
    code, told = verify(checkout, study, "--steps", "100")
    assert code == 1 and "sub-02_greedy.tsv: relative_bound differs by up to" in told, told
    path.write_bytes(whole)
    side.write_bytes(record)
    assert tables(folder) == expected
    assert not list(folder.parent.glob(".verify-*"))
