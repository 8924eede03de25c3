"""docs/licences.md says what is installed, and knows the data that studies name."""

import re
import runpy

import pytest

from headcond.study import REPOSITORY

LICENCES = runpy.run_path(str(REPOSITORY / "envs" / "licences.py"))


def test_the_page_is_what_the_program_writes():
    written = (REPOSITORY / "docs" / "licences.md").read_text()
    assert written == LICENCES["page"](), "make licences"


def test_every_locked_package_has_a_licence_that_may_be_used():
    for name in LICENCES["locked"]():
        licence = LICENCES["licence"](name)
        assert licence != "not stated", f"{name}: read its own files, name it in STATED"
        assert not re.search(r"(?i)proprietary|all rights|AGPL", licence), f"{name}: {licence}"


@pytest.mark.parametrize("path", sorted((REPOSITORY / "studies").glob("*.yaml")))
def test_data_that_a_study_names_are_in_the_table(path):
    for folder in re.findall(r"\$HEADCOND_DATA/(\w+)", path.read_text()):
        assert folder in LICENCES["DATA"], f"{path.name}: {folder}"
