"""The list of torch's wheels and its use by the set-up."""

import hashlib
import json
from pathlib import Path

import pytest

from envs import torch_hashes

ROOT = Path(__file__).resolve().parents[3]
LISTED = dict(
    reversed(line.split()) for line in (ROOT / "envs" / "torch.sha256").read_text().splitlines()
)


def report(folder, name, value, old=False):
    """As `pip install --report` writes it; `old` is pip before 23.1."""
    archive = {"hash": f"sha256={value}"} if old else {"hashes": {"sha256": value}}
    path = folder / "report.json"
    content = {
        "install": [
            {
                "metadata": {"name": "torch"},
                "download_info": {
                    "url": f"https://x.org/{name.replace('+', '%2B')}",
                    "archive_info": archive,
                },
            }
        ]
    }
    path.write_text(json.dumps(content))
    return str(path)


def test_the_list_is_of_the_locked_version_and_has_builds_for_linux():
    version = torch_hashes.locked()
    assert all(torch_hashes.belongs(name, f"torch-{version}") for name in LISTED)
    assert len(set(LISTED.values())) == len(LISTED)
    assert any("+cpu" in name for name in LISTED)
    assert any("+" not in name and "manylinux" in name and "x86_64" in name for name in LISTED)


@pytest.mark.parametrize("old", [False, True], ids=["pip", "pip of Debian 12"])
def test_a_listed_wheel_passes_another_one_of_its_name_is_refused(tmp_path, capsys, old):
    name = next(name for name in LISTED if "+cpu" in name)
    assert torch_hashes.main("check", report(tmp_path, name, LISTED[name], old)) == 0
    assert capsys.readouterr().out == ""
    assert torch_hashes.main("check", report(tmp_path, name, "0" * 64, old)) == 1
    told = capsys.readouterr().err
    assert name in told and "torch.sha256 says" in told and LISTED[name] in told


def test_a_wheel_that_is_not_listed_is_reported(tmp_path, capsys):
    assert torch_hashes.main("check", report(tmp_path, "torch-9.0+rocm-x.whl", "1" * 64)) == 0
    assert "torch-9.0+rocm-x.whl is not listed" in capsys.readouterr().out


def test_wheels_are_listed_from_a_page_and_a_folder(tmp_path, capsys):
    version = torch_hashes.locked()
    wheel = f"torch-{version}+cpu-cp311-cp311-linux_x86_64.whl"
    (tmp_path / wheel).write_bytes(b"wheel")
    (tmp_path / "torch-0.1-py3-none-any.whl").write_bytes(b"old")
    page = tmp_path / "page.html"
    page.write_text(
        f'<a href="https://x.org/torch-{version}-cp312-a.whl#sha256={"a" * 64}">x</a>'
        f'<a href="https://x.org/torch-{version}0-cp312-a.whl#sha256={"b" * 64}">x</a>'
    )
    absent = (tmp_path / "absent.html").as_uri()
    assert torch_hashes.main("list", page.as_uri(), str(tmp_path), absent) == 0
    out = capsys.readouterr()
    assert out.out.splitlines() == [
        f"{hashlib.sha256(b'wheel').hexdigest()}  {wheel}",
        f"{'a' * 64}  torch-{version}-cp312-a.whl",
    ]
    assert "absent.html" in out.err and "not listed" in out.err
    assert torch_hashes.main("list", absent) == 1


@pytest.mark.parametrize("name", ["install.sh", "lock.sh"])
def test_the_set_up_and_the_lock_use_it(name):
    assert "torch_hashes.py" in (ROOT / "envs" / name).read_text()
