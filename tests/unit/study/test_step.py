"""What all scripts share: arguments, log, provenance, refusals and resumable folders."""

import json
import subprocess
import sys
import textwrap
from types import SimpleNamespace

import numpy as np
import pytest

from headcond import __version__
from headcond.checks import InputError
from headcond.files import results
from headcond.files.results import versions
from headcond.study import step


def record(source="abc", rule="train_basis", **params):
    return step.provenance(rule, source, params, {"subject": "sub-01"}, {"labels": "a.nii.gz"})


def state_of(folder, inputs, made):
    """Name of the folder that `resumable` yields for `made`."""
    with step.resumable(folder, made, inputs) as state:
        return state.name


@pytest.fixture
def inputs(tmp_path):
    paths = [tmp_path / "one.bin", tmp_path / "two.bin"]
    for number, path in enumerate(paths):
        path.write_bytes(bytes([number]) * 10)
    return paths


def test_provenance_says_what_made_a_result():
    made = step.provenance(
        "solve_efield",
        "0123456789abcdef",
        {"source": "0123456789abcdef", "tolerance": 1e-6, "coil": {"turns": 9}},
        {"subject": "sub-01"},
        {"conductivity": "a/b.nii.gz", "maps": ["x", "y"]},
    )
    assert made == {
        "rule": "solve_efield",
        "source": "0123456789abcdef",
        "parameters": {"tolerance": 1e-6, "coil": {"turns": 9}},
        "wildcards": {"subject": "sub-01"},
        "versions": versions(),
        "inputs": {"conductivity": "a/b.nii.gz", "maps": ["x", "y"]},
        "input_digests": {"conductivity": None, "maps": [None, None]},
    }
    json.dumps(made)


def test_provenance_holds_the_digests_of_inputs(tmp_path):
    result, scan = tmp_path / "a.nii.gz", tmp_path / "b.tsv"
    results.write_volume(result, np.ones((2, 2, 2), np.float32), np.eye(4))
    scan.write_text("a\n1\n")
    made = step.provenance("x", "", {}, {}, {"result": str(result), "files": [str(scan)]})
    digests = {"result": results.digest(result), "files": [results.digest(scan)]}
    assert made["input_digests"] == digests
    result.write_bytes(b"changed")
    made = step.provenance("x", "", {}, {}, {"result": str(result)})
    assert made["input_digests"] == {"result": digests["result"]}, "as its sidecar states it"


def test_a_state_folder_survives_a_failure_and_is_found_again(tmp_path, inputs):
    made = record(points=5)
    with pytest.raises(KeyboardInterrupt), step.resumable(tmp_path / "s", made, inputs) as state:
        (state / "half.h5").write_text("half")
        raise KeyboardInterrupt
    assert (state / "half.h5").read_text() == "half"
    with step.resumable(tmp_path / "s", made, inputs) as again:
        assert again == state
        assert (again / "half.h5").read_text() == "half"
    assert not state.exists()
    assert (tmp_path / "s").is_dir()


def test_only_the_same_work_is_resumed(tmp_path, inputs):
    names = [state_of(tmp_path, inputs, record(points=5, seed=1))]
    assert state_of(tmp_path, inputs, record(seed=1, points=5)) == names[0], "order of params"
    names.append(state_of(tmp_path, inputs, record(points=6, seed=1)))
    names.append(state_of(tmp_path, inputs, record("def", points=5, seed=1)))
    names.append(state_of(tmp_path, inputs, record(rule="train_axis", points=5, seed=1)))
    inputs[1].write_bytes(b"other content")
    names.append(state_of(tmp_path, inputs, record(points=5, seed=1)))
    assert len(set(names)) == len(names)


def test_content_of_inputs_counts_and_not_their_place(tmp_path, inputs):
    made = record(points=5)
    before = state_of(tmp_path, inputs, made)
    moved = [path.rename(path.with_name(f"moved_{path.name}")) for path in inputs]
    assert state_of(tmp_path, moved, made) == before
    assert state_of(tmp_path, moved[::-1], made) != before


def test_ranks_wait_for_each_other_and_only_the_lead_clears_up(tmp_path, inputs):
    waits = []
    ranks = SimpleNamespace(barrier=lambda: waits.append(state.exists()))
    with step.resumable(tmp_path / "s", record(), inputs, False, ranks) as state:
        assert waits == []
    assert waits == [True] and state.exists()
    with step.resumable(tmp_path / "s", record(), inputs, True, ranks) as state:
        pass
    assert waits == [True, True] and not state.exists()


def test_refusals_end_with_a_message_and_other_errors_do_not_hide(caplog):
    def refused():
        raise InputError("labels: no head in it.")

    with pytest.raises(SystemExit) as ended:
        step.refuse_politely(refused)
    assert ended.value.code == 1
    assert [entry.getMessage() for entry in caplog.records] == ["labels: no head in it."]
    with pytest.raises(ZeroDivisionError):
        step.refuse_politely(lambda: 1 / 0)


PROGRAM = """
import sys
from types import SimpleNamespace
from headcond.files import results
from headcond.study import step
from headcond.checks import InputError

def main(head, table, size, threads, provenance):
    print("printed")
    if size < 0:
        raise InputError("size: must be positive.")
    assert 12 / size
    results.write_json(table, {"size": size, "threads": threads, "provenance": provenance})

snakemake = SimpleNamespace(
    input={"head": sys.argv[1]}, output={"table": sys.argv[2]}, log=[sys.argv[3]], rule="measure",
    params={"source": "cafe", "size": int(sys.argv[4])}, wildcards={"subject": "sub-01"}, threads=3,
)
step.run(main, snakemake)
"""


def run_program(tmp_path, size):
    """Run a script in its own process, for `step.run` redirects the streams of the process."""
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(PROGRAM))
    table, log = tmp_path / "out" / "table.json", tmp_path / "measure.log"
    done = subprocess.run(
        [sys.executable, program, "head.h5", table, log, str(size)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == "", "everything belongs into the log"
    return done, table, log.read_text()


def test_a_script_gets_its_names_and_logs_to_its_file(tmp_path):
    done, table, log = run_program(tmp_path, 4)
    assert done.returncode == 0 and done.stderr == ""
    made = results.read_json(table)
    assert made["size"] == 4 and made["threads"] == 3
    assert made["provenance"] == {
        "rule": "measure",
        "source": "cafe",
        "parameters": {"size": 4},
        "wildcards": {"subject": "sub-01"},
        "versions": versions(),
        "inputs": {"head": "head.h5"},
        "input_digests": {"head": None},
    }
    assert "printed" in log


def test_a_refused_script_ends_with_status_one_and_no_traceback(tmp_path):
    done, table, log = run_program(tmp_path, -1)
    assert done.returncode == 1 and not table.exists()
    assert "size: must be positive." in log and "Traceback" not in log
    where = tmp_path / "measure.log"
    assert done.stderr == f"measure: size: must be positive. (log: {where})\n"


def test_of_an_error_the_terminal_gets_one_line_and_the_log_the_traceback(tmp_path):
    done, table, log = run_program(tmp_path, 0)
    assert done.returncode == 1 and not table.exists()
    where = tmp_path / "measure.log"
    assert done.stderr == f"measure: ZeroDivisionError: division by zero (log: {where})\n"
    assert "Traceback" in log


def test_sidecars_carry_provenance_and_versions(tmp_path):
    results.write_sidecar(tmp_path / "map.nii.gz", units="S/m", provenance=record(points=5))
    made = results.read_json(tmp_path / "map.json")["provenance"]
    assert made["source"] == "abc" and made["parameters"] == {"points": 5}
    assert made["versions"]["headcond"] == __version__
    assert {"numpy", "scipy", "torch", "snakemake"} <= set(made["versions"])
