"""The supply chain: licences of packages and data, hashes of the lock, the container recipe."""

import re
import subprocess

import pytest
from packaging.utils import canonicalize_name

from envs import licences
from headcond.study.paths import REPOSITORY


def test_the_page_is_what_the_program_writes():
    written = (REPOSITORY / "docs" / "reference" / "licences.md").read_text()
    assert written == licences.page(), "make licences"


def test_every_locked_package_has_a_licence_that_may_be_used():
    for name in licences.locked():
        licence = licences.licence(name)
        assert licence != "not stated", f"{name}: read its own files, name it in STATED"
        assert not re.search(r"(?i)proprietary|all rights|AGPL", licence), f"{name}: {licence}"


@pytest.mark.parametrize("path", sorted((REPOSITORY / "studies").glob("*.yaml")))
def test_data_that_a_study_names_are_in_the_table(path):
    text = path.read_text()
    for folder in re.findall(r"\$HEADCOND_DATA/(\w+)", text):
        assert folder in licences.DATA, f"{path.name}: {folder}"
    for variable in set(re.findall(r"\$([A-Z_]+)", text)) - {"HEADCOND_DATA"}:
        assert variable in licences.DATA, f"{path.name}: ${variable}"


def test_the_hashes_are_those_of_the_lock():
    """Every locked package but torch, whose builds (CPU, CUDA) have files of their own."""
    hashed, name = {}, None
    for line in (REPOSITORY / "requirements.hashes").read_text().splitlines():
        if found := re.match(r"([A-Za-z0-9._-]+)==(\S+) \\$", line):
            name = canonicalize_name(found[1])
            hashed[name] = [found[2]]
        elif found := re.fullmatch(r"    --hash=sha256:([0-9a-f]{64})( \\)?", line):
            hashed[name].append(found[1])
        else:
            assert line.startswith("#"), line
    assert all(len(entry) > 1 for entry in hashed.values())
    locked = licences.locked()
    locked.pop("torch")
    assert {name: entry[0] for name, entry in hashed.items()} == locked, "make lock"
    script = (REPOSITORY / "envs" / "install.sh").read_text()
    assert "--no-deps --require-hashes" in script and "requirements.hashes" in script


def test_the_container_is_made_by_the_same_set_up():
    recipe = (REPOSITORY / "envs" / "Dockerfile").read_text()
    assert "envs/install.sh /opt/venv" in recipe
    copied = re.findall(r"(?m)^COPY (.+) \S+$", recipe)
    for name in " ".join(copied).split():
        assert (REPOSITORY / name).exists(), f"the recipe copies {name}"
    assert {"requirements.lock", "requirements.hashes", "envs", "src"} <= set(
        " ".join(copied).split()
    )
    # No builder is needed to see that its steps are programs of a shell and follow one another.
    for step in re.findall(r"(?m)^RUN ((?:.*\\\n)*.*)$", recipe):
        subprocess.run(["bash", "-n", "-c", step], check=True)
    known = {"FROM", "RUN", "WORKDIR", "COPY", "ARG", "ENV", "CMD"}
    lines = re.sub(r"\\\n", " ", re.sub(r"(?m)^#.*\n", "", recipe)).splitlines()
    assert {line.split()[0] for line in lines} == known and lines[0].startswith("FROM debian:")
    ignored = (REPOSITORY / ".dockerignore").read_text().splitlines()
    assert {"results", ".venv", ".snakemake"} <= set(ignored) and not set(ignored) & set(copied)
