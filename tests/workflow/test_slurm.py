"""A real Slurm of one node runs a small study: `make test-slurm` (installs Slurm as root)."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slurm

ROOT = Path(__file__).resolve().parents[2]
WAIT = 3000  # seconds; two idle cores need a few hundred

# The default study, both pipelines, at its smallest size.
STUDY = """
pipelines: [tms, eit]
cohort: {voxel_size_mm: 2.5, train: [sub-02], test: [sub-01]}
condnet: {epochs: 12, validation: slice}
head: {subjects: [sub-01], mesh: {size: 0.012}}
rom: {pairs: 4, batch: 4, mode: each, snapshots: 8, training_points: 200, validation_points: 2}
inverse: {samples: 2}
"""
# What a study says in numbers: equal to the last digit on one machine at one number of ranks.
TABLES = (
    "sub-01/rom/sub-01_greedy.tsv", "sub-01/rom/sub-01_validation.tsv",
    "sub-01/eit/sub-01_voltages.tsv", "sub-01/eit/sub-01_truth.tsv",
    "sub-01/eit/sub-01_estimates.tsv", "sub-01/eit/sub-01_relativeerror.tsv",
    "tables/condnet_errors.tsv", "tms/globalerror.tsv", "sub-01/tms/sub-01_pos-coil_peaks.tsv",
)  # fmt: skip
# The profile is for large clusters: here jobs are short and there is no accounting to ask.
SHORT = (
    "--workflow-profile", "profiles/slurm", "--jobs", 4, "--latency-wait", 10,
    "--slurm-no-account", "--slurm-status-command", "squeue",
    "--slurm-init-seconds-before-status-checks", 2, "--seconds-between-status-checks", 1,
    "--set-threads", "train_basis=2", "train_axis=1",
)  # fmt: skip


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Folder of a running Slurm's commands; a skip with its reason where there can be none."""
    folder = tmp_path_factory.mktemp("slurm")
    script = ROOT / "tests" / "slurm" / "cluster.sh"
    # Its daemons keep the streams that they are given, so those are files.
    with open(folder / "start.log", "w+") as told:
        code = subprocess.call([script, "start", folder], stdout=told, stderr=told, timeout=300)
        told.seek(0)
        output = told.read()
    try:
        if code == 77:
            pytest.skip(output.strip().splitlines()[-1])
        assert code == 0, output
        yield folder / "bin"
    finally:
        subprocess.run([script, "stop", folder], check=True, timeout=600)


def ask(cluster, *command):
    """Output of one of Slurm's commands."""
    command = [str(cluster / command[0]), *map(str, command[1:])]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.fixture(scope="module")
def studies(make_checkout, cluster):
    """The small study, run through Slurm with a job cancelled in the middle, and run here.

    Returns what Snakemake printed, the cancelled job, the results and those of this machine.
    """
    pytest.importorskip("petsc4py", reason="petsc4py is not installed")
    local, remote = make_checkout("local"), make_checkout("remote")
    profile = remote.folder / "profiles" / "slurm" / "config.yaml"
    text, account = profile.read_text(), "  - slurm_account=ACCOUNT\n"
    assert account in text and "=PARTITION" in text
    profile.write_text(text.replace(account, "").replace("=PARTITION", "=test"))
    path = {"PATH": f"{cluster}:{remote.environment()['PATH']}"}
    folder = remote.folder / "results" / "small"
    process = remote.start(*SHORT, "--configfile", remote.study("small", STUDY), environment=path)
    try:
        end = time.monotonic() + WAIT
        while not list(folder.glob(".state/train_basis-*/**/*.h5")):  # a finished pair
            assert process.poll() is None and time.monotonic() < end, process.communicate()[0]
            time.sleep(0.2)
        running = ask(cluster, "squeue", "--noheader", "--states=RUNNING", "--format=%i %k")
        (job,) = [line.split()[0] for line in running.splitlines() if "train_basis" in line]
        ask(cluster, "scancel", job)
        local.run("--cores", 2, "--configfile", local.study("small", STUDY))
        output, _ = process.communicate(timeout=WAIT)
    finally:
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=60)
    assert process.returncode == 0, output
    return output, job, folder, local.folder / "results" / "small"


def test_every_step_went_through_slurm_and_gave_what_the_machine_alone_gives(studies):
    """In few jobs: the steps of a subject before its training, its head model, and after it."""
    output, _, folder, local = studies
    submitted = set(re.findall(r"SLURM jobid (\d+)", output))
    # prepare, for either subject; three axes; fields, head, train_basis twice, invert; and the
    # steps over all subjects.
    assert len(submitted) == 17, sorted(submitted)
    for group in ("prepare", "fields", "head", "invert"):
        assert f"Group job {group} " in output, output
    (done,) = re.findall(r"(\d+) of \1 steps \(100%\) done", output)
    assert int(done) >= 60, output
    assert (folder / "report.html").exists()
    for name in TABLES:
        here, there = ((place / name).read_bytes() for place in (local, folder))
        assert here == there, name


def test_the_mpi_step_had_two_ranks_of_one_communicator(studies):
    """`parallel.world` refuses any size but that asked for; and both ranks did some work."""
    log = (studies[2] / "logs" / "train_basis" / "sub-01_000.log").read_text()
    for rank in (0, 1):
        assert f"rank {rank} pair" in log, log


def test_the_cancelled_job_was_tried_again_and_took_up_what_was_finished(cluster, studies):
    output, job, folder, _ = studies
    assert re.search(rf"SLURM-job '{job}' failed, SLURM status is: '?CANCELLED", output), output
    assert "Trying to restart job" in output, output
    log = (folder / "logs" / "train_basis" / "sub-01_000.log").read_text()
    assert 0 < log.count("snapshot 1 of 8") < 4, "the finished pair was not trained again"
    assert not ask(cluster, "squeue", "--noheader").strip(), "no job is left behind"


def test_a_launcher_that_does_not_fit_is_refused(cluster):
    """Without PMIx srun starts two programs of size 1, and neither says that it is alone."""
    program = "from headcond.parallel import world; world(2)"
    done = subprocess.run(
        [cluster / "srun", "--mpi=none", "-n", "2", sys.executable, "-c", program],
        capture_output=True, text=True, timeout=WAIT, check=False,
    )  # fmt: skip
    assert done.returncode != 0 and "2 MPI ranks were started" in done.stderr, done.stderr
