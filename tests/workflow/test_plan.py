"""Plans, lint, graph and refusals of the workflow; no job runs here."""

import itertools
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

from headcond.study import source_digests

ROOT = Path(__file__).resolve().parents[2]
IMPORTS = {
    "adopt_model",
    "import_labels",
    "import_subject",
    "import_scan",
    "import_colin27",
    "import_mesh",
}
# Rules that a study asks for by a key; the default one does not.
ON_DEMAND = {
    "subvoxel_conductivity", "scan_positions", "solve_forward", "draw_forward", "form_cross",
    "sample_stability", "measure_convergence", "draw_convergence", "sweep_inversion",
    "baseline_inversion", "draw_inversion", "compare_references", "draw_references",
    "import_measured", "estimate_measured", "draw_tables", "disturb_voltages",
    "compare_disturbances", "draw_basis",
}  # fmt: skip
# Those that a study on real label maps asks for by a key.
ON_LABELS = {"refine_labels", "warp_template"}
# Modules, and commands for one's own data.
HELPERS = {
    "estimate", "import_ucl", "import_rompeit", "demodulate", "to_parquet", "train_network",
    "pack_weights",
}  # fmt: skip


@pytest.fixture(scope="module")
def checkout(make_checkout):
    return make_checkout("plan")


def planned(output):
    """Jobs per rule in Snakemake's table of a dry run."""
    table = output.split("Job stats:")[1].split("total")[0]
    return Counter({name: int(n) for name, n in re.findall(r"(?m)^(\w+) +(\d+)$", table)})


def rules(folder):
    """Directives of every rule, as text, by the rule's name and then the directive's."""
    found = {}
    for path in sorted((folder / "workflow" / "rules").glob("*.smk")):
        for indent, name, body in re.findall(
            r"(?m)^( *)rule (\w+):\n((?:\1    .*\n|\n)+)", path.read_text()
        ):
            assert name not in found, f"two rules are called {name}"
            pattern = rf"(?m)^{indent}    (\w+):(.*\n(?:{indent}     .*\n|\n)*)"
            found[name] = dict(re.findall(pattern, body))
    return found


def entries(text):
    """The entries of a directive: the lines of least indentation that open one."""
    lines = [line for line in text.splitlines()[1:] if line.strip() and line.strip()[0] != "#"]
    least = min(len(line) - len(line.lstrip()) for line in lines)
    opened = [line.strip() for line in lines if len(line) - len(line.lstrip()) == least]
    return [line for line in opened if not re.fullmatch(r"[\])},]+", line)]


def test_every_rule_has_the_directives_of_the_contract(checkout):
    known = rules(checkout.folder)
    assert len(known) > 35
    for name, directives in known.items():
        for needed in ("input", "output", "log", "conda", "params"):
            if (name, needed) != ("generate_head", "input"):  # it comes from nothing but its seed
                assert needed in directives, f"{name} has no {needed}"
        for kind in ("input", "output", "params"):
            for entry in entries(directives.get(kind, "\n    unpack(")):
                named = re.match(r"\w+=|\*\*\w+|unpack\(", entry)
                assert named, f"{name}: {kind} without a name: {entry}"
        assert re.search(rf'source=source\("\w+/{name}\.py"\)', directives["params"]), name
        assert re.search(r'"\.\./\.\./envs/\w+\.yaml"', directives["conda"]), name
        assert re.search(rf'logs\("{name}["/]', directives["log"]), f"{name} logs elsewhere"
        fixed = re.search(r"(mem_mb|runtime)=\d", directives.get("resources", ""))
        assert not fixed, f"{name}: {fixed} does not grow with the attempt: growing(...)"
        if "benchmark" in directives:
            assert f'benchmarks("{name}/' in directives["benchmark"], name
        if "script" in directives:
            assert re.search(rf'"../../scripts/\w+/{name}\.py"', directives["script"]), name
        else:
            assert re.search(rf"scripts/\w+/{name}\.py", directives["shell"]), name
    written = {path.stem for path in (checkout.folder / "scripts").glob("*/*.py")}
    assert written == set(known) | HELPERS


def test_mpi_rules_take_launcher_and_ranks_from_their_resources(checkout):
    known = rules(checkout.folder)
    parallel = [
        name for name, directives in known.items() if "mpi=" in directives.get("resources", "")
    ]
    assert parallel == ["train_basis"]
    shell, resources = known["train_basis"]["shell"], known["train_basis"]["resources"]
    assert "{resources.mpi} -n {resources.tasks} python -m mpi4py" in shell
    assert "--ranks {resources.tasks}" in shell and "&> {log:q}" in shell
    assert "tasks=lambda wildcards, threads: threads" in resources
    assert "OMP_NUM_THREADS=1" in shell and "OPENBLAS_NUM_THREADS=1" in shell


def test_profiles_name_rules_that_exist(checkout):
    known = set(rules(checkout.folder))
    for name in ("default", "slurm"):
        profile = yaml.safe_load((checkout.folder / "profiles" / name / "config.yaml").read_text())
        for kind in ("set-threads", "set-resources", "groups"):
            for entry in profile.get(kind, []):
                assert re.split("[=:]", entry)[0] in known, f"profiles/{name}: {entry}"
    assert profile["executor"] == "slurm"
    assert 'train_basis:mpi="srun --mpi=pmix"' in profile["set-resources"]


def digests(folder):
    """Digest of the code behind every rule."""
    for cached in (source_digests.reached, source_digests.source_digest):
        cached.cache_clear()
    scripts = sorted((folder / "scripts").glob("*/*.py"))
    return {
        path.stem: source_digests.source_digest(folder, f"{path.parent.name}/{path.name}")
        for path in scripts
        if path.stem not in HELPERS
    }


@pytest.mark.parametrize(
    ("edited", "reached", "spared"),
    [
        ("src/headcond/inverse/optimise.py", {"invert_voltages"}, {"train_basis", "solve_efield"}),
        ("src/headcond/rom/greedy.py", {"train_basis"}, {"solve_efield", "invert_voltages"}),
        ("src/headcond/tms/multigrid_kernels.py", {"solve_efield"}, {"train_axis", "train_basis"}),
        ("src/headcond/fem/backends.py", {"train_basis", "validate_rom", "simulate_voltages"},
         {"build_mesh", "train_axis"}),
        ("scripts/tms/solve_efield.py", {"solve_efield"}, {"train_axis", "place_coil"}),
        ("src/headcond/study/tms_inputs.py", {"place_coil", "draw_efield"}, {"train_axis"}),
        ("src/headcond/reporting/study.html", {"report_study"}, {"draw_rom"}),
        ("src/headcond/tms/regions.py", {"compare_efield", "draw_efield"}, {"train_axis"}),
    ],
)  # fmt: skip
def test_an_edit_changes_the_digests_of_what_reaches_it_only(checkout, edited, reached, spared):
    before = digests(checkout.folder)
    path = checkout.folder / edited
    original = path.read_bytes()
    try:
        path.write_bytes(original + b"# edited\n")
        after = digests(checkout.folder)
    finally:
        path.write_bytes(original)
    changed = {name for name in before if before[name] != after[name]}
    assert reached <= changed, f"{reached - changed} do not notice {edited}"
    assert not spared & changed
    assert digests(checkout.folder) == before


# A key of each section, the rules that use it, and others of its stage that do not.
CHANGED_KEYS = {
    "rom: {validation_points: 21}": (
        {"validate_rom", "draw_rom"},
        {"train_basis", "merge_basis", "simulate_voltages", "invert_voltages"},
    ),
    # All that a training writes is temporary, so that the records alone tell.
    "rom: {snapshots: 14}": (
        {"train_basis", "merge_basis", "validate_rom", "invert_voltages"},
        {"build_mesh", "assemble_operators"},
    ),
    "condnet: {epochs: 41}": (
        {"train_axis", "predict_axis", "solve_efield"},
        {"measure_domain", "uniform_conductivity", "normalise_intensity"},
    ),
    "tms: {hand_knob: {radius_mm: 6.0}}": (
        {"compare_efield", "draw_efield", "draw_sagittal"}, {"place_coil", "solve_efield"},
    ),
    "head: {electrodes: {contact_impedance: 6.0}}": (
        {"train_basis", "merge_basis", "invert_voltages"}, {"build_mesh", "assemble_operators"},
    ),
    "inverse: {modes: [joint]}": (
        {"invert_voltages", "draw_estimates"},
        {"simulate_voltages", "train_basis", "validate_rom", "build_mesh"},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def finished(make_checkout):
    """A checkout in which the default study looks finished: empty files, but Snakemake's records.

    Snakemake records params and inputs of a file that it touches, as of one that it makes.
    """
    checkout = make_checkout("finished")
    lines = checkout.run("--summary", "--quiet", "all").splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("output_file\t"))
    for line in lines[start + 1 :]:
        path = checkout.folder / line.split("\t")[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    checkout.run("--touch", "--cores", 1)
    return checkout


def test_a_changed_key_reruns_only_the_rules_that_use_it(finished):
    plans = {}
    for number, change in enumerate(CHANGED_KEYS):
        path = finished.folder / f"change-{number}.yaml"
        path.write_text(change + "\n")
        plans[change] = finished.start("-n", "--cores", 1, "--configfile", path)
    for change, process in plans.items():
        output = process.communicate()[0]
        assert process.returncode == 0, output
        jobs, (rerun, spared) = planned(output), CHANGED_KEYS[change]
        assert rerun <= set(jobs), f"{change}: {rerun - set(jobs)} do not run again"
        assert not spared & set(jobs), f"{change}: {spared & set(jobs)} run again"


def bids_study(checkout):
    """A study on a BIDS-like folder of empty files: a plan reads none."""
    root = checkout.folder / "bids"
    for number in (1, 2, 3, 4):
        for suffix in ("T1w", "T2w", "desc-simnibs_dseg"):
            path = root / f"sub-0{number}" / "anat" / f"sub-0{number}_{suffix}.nii.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return checkout.study("mine", f"cohort: {{source: bids, folder: {root}, scheme: simnibs}}\n")


def test_the_default_study_and_a_bids_folder_are_planned(checkout):
    known = set(rules(checkout.folder))
    default = checkout.start("-n", "--cores", 2)
    bids = checkout.start("-n", "--cores", 2, "--configfile", bids_study(checkout))
    outputs = [process.communicate()[0] for process in (default, bids)]
    for process, output in zip((default, bids), outputs, strict=True):
        assert process.returncode == 0, output
    assert "profiles/default" in outputs[0], "the default profile is used without being asked for"
    jobs = planned(outputs[0])
    assert set(jobs) == known - IMPORTS - ON_DEMAND - ON_LABELS | {"all"}
    assert jobs["generate_head"] == 4 and jobs["train_axis"] == 3 and jobs["train_basis"] == 2
    assert jobs["correct_bias"] == 8 and jobs["solve_efield"] == 4
    jobs = planned(outputs[1])
    assert jobs["import_subject"] == 4 and jobs["solve_efield"] == 3, "no truth is known"
    assert not set(jobs) & (IMPORTS - {"import_subject"} | {"generate_head", "conform_truth"})
    assert not (checkout.folder / "results").exists()


def test_what_a_study_asks_for_by_a_key_is_planned(checkout):
    measured = checkout.folder / "measured.tsv"
    measured.touch()
    study = checkout.study(
        "everything",
        "pipelines: [tms, eit, forward]\n"
        "condnet: {tables: [A, B]}\n"
        "tms: {subvoxel: true, further_positions: [{position: C4, handle: CP4}]}\n"
        "rom: {pairs: 31, box: merged_skull, corrected: true, "
        "experiment: {norms: [energy, euclidean]}}\n"
        f"inverse: {{measured: {measured}, experiment: {{"
        "kinds: [inversion, references, disturbances], baseline_pairs: 2}}\n",
    )
    # By the profile of clusters: groups of steps that could not be jobs would be refused.
    output = checkout.run("-n", "--workflow-profile", "profiles/slurm", "--configfile", study)
    assert set(planned(output)) >= ON_DEMAND
    groups = Counter(re.findall(r"Group job (\w+) ", output))
    assert groups == {"prepare": 4, "fields": 1, "head": 1, "invert": 1}


def test_a_trained_model_of_another_study_is_taken(checkout):
    other = checkout.folder / "other-model" / "sub-04"
    for name in ("head/sub-04_head.h5", "head/sub-04_mesh.vtu", "head/sub-04_desc-quality.json",
                 "head/sub-04_operators.h5", "rom/sub-04_rom.h5", "rom/sub-04_greedy.tsv",
                 "rom/sub-04_validation.tsv"):  # fmt: skip
        (other / name).parent.mkdir(parents=True, exist_ok=True)
        (other / name).touch()
    study = checkout.study("adopts", f"pipelines: [eit]\nrom: {{trained: {other.parent}}}\n")
    jobs = planned(checkout.run("-n", "--cores", 2, "--configfile", study))
    assert jobs["adopt_model"] == 1 and jobs["invert_voltages"] == 1
    made = {"build_mesh", "assemble_operators", "train_basis", "merge_basis", "validate_rom"}
    assert not made & set(jobs)


def test_fields_on_finer_voxels_with_networks_of_another_study_are_planned(checkout):
    maps, networks = checkout.folder / "maps", checkout.folder / "other" / "networks"
    maps.mkdir()
    networks.mkdir(parents=True)
    (maps / "seg_01.nii.gz").touch()
    for axis in ("sagittal", "coronal", "axial"):
        for name in ("network.ckpt", "history.tsv"):
            (networks / f"axis-{axis}_{name}").touch()
    (networks / "domain.json").touch()
    study = checkout.study(
        "finer",
        "pipelines: [tms]\n"
        f"cohort: {{source: labels, folder: {maps}, pattern: 'seg_{{id}}.nii.gz', "
        "scheme: synthseg, train: [], test: [sub-01]}\n"
        "condnet: {networks: other/networks}\n"
        "tms: {voxel_size_mm: 1.0, further_tables: [B], hand_knob: {registration: deformable}}\n",
    )
    output = checkout.run("-n", "--workflow-profile", "profiles/slurm", "--configfile", study)
    jobs = planned(output)
    assert Counter(re.findall(r"Group job (\w+) ", output)) == {"prepare": 1, "fields": 1}
    assert set(jobs) >= ON_LABELS and not {"train_axis", "measure_domain"} & set(jobs)
    # Of table A on both grids, of B on the fields' own only.
    assert jobs["uniform_conductivity"] == 3 and jobs["rescale_conductivity"] == 2
    assert jobs["solve_efield"] == 4


def test_real_heads_are_planned(checkout, data_dir):
    output = checkout.run(
        "-n", "--cores", 2, "--configfile", "studies/real-heads.yaml",
        environment={"HEADCOND_DATA": str(data_dir.resolve())},
    )  # fmt: skip
    jobs = planned(output)
    assert jobs["import_labels"] == 4 and jobs["import_scan"] == 1 and jobs["import_colin27"] == 1
    assert "generate_head" not in jobs and "label_head" not in jobs
    assert jobs["predict_axis"] == 6 and jobs["register_template"] == 1


def graph(output):
    """Rules that follow a rule directly, from the text of --dag."""
    lines = output[output.index("digraph") :]
    labels = dict(re.findall(r'(\d+)\[label = "(\w+)', lines))
    edges = {}
    for start, end in re.findall(r"(\d+) -> (\d+)", lines):
        edges.setdefault(labels[start], set()).add(labels[end])
    return edges


def test_lint_is_content_and_the_graph_leads_from_heads_to_the_report(checkout):
    lint = checkout.start("--lint")
    dag = checkout.start("--dag")
    lint_output, dag_output = lint.communicate()[0], dag.communicate()[0]
    assert lint.returncode == 0, lint_output
    assert "your workflow is in a good condition" in lint_output
    assert dag.returncode == 0, dag_output
    edges = graph(dag_output)
    for way in (
        ("generate_head", "align_t2", "correct_bias", "normalise_intensity", "train_axis",
         "predict_axis", "average_axes", "rescale_conductivity", "solve_efield", "compare_efield",
         "report_study", "all"),
        ("generate_head", "label_head", "build_mesh", "assemble_operators", "train_basis",
         "merge_basis", "simulate_voltages", "invert_voltages", "draw_estimates", "report_study"),
        ("uniform_conductivity", "blur_uniform", "solve_efield", "draw_efield", "report_study"),
        ("merge_basis", "validate_rom", "draw_rom", "report_study"),
    ):  # fmt: skip
        for start, end in itertools.pairwise(way):
            assert end in edges[start], f"{end} does not follow {start}"
    assert "all" not in edges, "nothing follows the end"


REFUSED = {
    "typo": ("rom:\n  snapshot: 3\n", "Unknown key 'rom.snapshot'. Did you mean 'snapshots'?"),
    "type": ("condnet:\n  epochs: many\n", 'condnet.epochs: "many" must be of type integer'),
    "lost": ("cohort: {source: labels, folder: /nowhere, pattern: '{id}.nii', scheme: simnibs}\n",
             "cohort.folder: the folder /nowhere does not exist."),
}  # fmt: skip


def test_a_refused_study_ends_before_any_job_with_one_message(checkout):
    """Also real-heads without the variable that names its data."""
    started = {}
    for name, (content, message) in REFUSED.items():
        path = checkout.study(name, content)
        started[message] = checkout.start("--cores", 1, "--configfile", path)
    message = "cohort.scans.sub-patient12.t1: the environment variable HEADCOND_DATA is not set"
    started[message] = checkout.start(
        "--cores", 1, "--configfile", "studies/real-heads.yaml", environment={"HEADCOND_DATA": None}
    )
    for message, process in started.items():
        output = process.communicate()[0]
        assert process.returncode == 1, output
        assert output.count("Study refused.") == 1 and message in output, output
        assert "Traceback" not in output and "rule " not in output
    assert not (checkout.folder / "results").exists()


def test_the_slurm_profile_is_what_make_uses(checkout):
    """A plan needs no cluster; account, launcher and ranks are the profile's, not the laptop's.

    Snakemake lays profiles/default over whatever --profile names, so make has to choose the
    profile in another way.
    """
    (option,) = set(re.findall(r"(\S+) profiles/\$\(PROFILE\)", (ROOT / "Makefile").read_text()))
    # A quiet profile hides the resources of jobs.
    output = checkout.run("-n", "--cores", 8, "--quiet", "host", option, "profiles/slurm")
    job = output[output.index("rule train_basis:") :].split("\nrule ")[0]
    assert re.search(r"resources: .*\bmpi=srun\b", job), job
    assert re.search(r"\btasks=8\b", job), job
    assert "slurm_partition=PARTITION" in job and "slurm_account=ACCOUNT" in job, job


@pytest.mark.slow
def test_a_study_of_200_subjects_is_no_more_than_a_few_thousand_jobs_for_slurm(checkout):
    """As the page on reliability says, by the same program."""
    program = [sys.executable, ROOT / "benchmarks" / "workflow_plan.py", "200", "--batch", "12"]
    done = subprocess.run(program, cwd=checkout.folder, env=checkout.environment(),
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    table = dict(line.split("\t") for line in done.stdout.splitlines())
    assert int(table["training jobs of pairs"]) == 200 * 11
    assert int(table["steps"]) > 10_000
    assert int(table["Slurm jobs"]) < 3500


def test_a_cluster_gets_no_crowd_of_jobs(make_checkout):
    """With a crowd of two: refused before anything is submitted, so without any cluster."""
    checkout = make_checkout("crowd")
    module = checkout.folder / "src" / "headcond" / "study" / "preflight.py"
    module.write_text(module.read_text().replace("MOST_JOBS = 3000", "MOST_JOBS = 1"))
    study = checkout.study("crowd", "pipelines: [eit]\nrom: {pairs: 4, batch: 2}\n")
    output = checkout.run("--workflow-profile", "profiles/slurm", "--configfile", study, fails=True)
    told = "Study refused. rom.batch: batches of 2 pairs are 2 jobs"
    assert told in output and "Set rom.batch to 4, which makes 1." in output, output
    assert not list((checkout.folder / "results").rglob("*.nii.gz"))
