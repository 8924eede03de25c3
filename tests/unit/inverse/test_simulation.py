"""Tables of simulated potentials: written, read, and refused where one is missing."""

import numpy as np
import pytest

from headcond.checks import InputError
from headcond.files import results
from headcond.inverse.simulation import potential_table, read_potentials

PAIRS = (("C3", "Cz"), ("C4", "Cz"))
ELECTRODES = ("C3", "C4", "Cz")


@pytest.fixture
def potentials():
    return np.random.default_rng(0).standard_normal((4, 2, 3))


def test_what_is_written_is_read_whatever_the_order_of_rows(potentials, tmp_path):
    table = potential_table({"noiseless": potentials}, PAIRS, ELECTRODES, range(4))
    assert list(table) == ["sample", "pair", "electrode", "noiseless"]
    results.write_table(tmp_path / "v.tsv", table.sample(frac=1, random_state=0))
    read = read_potentials(tmp_path / "v.tsv", "noiseless", PAIRS, ELECTRODES, [2, 0])
    np.testing.assert_allclose(read, potentials[[2, 0]], rtol=1e-8)


def test_a_missing_potential_is_refused(potentials, tmp_path):
    table = potential_table({"potential": potentials}, PAIRS, ELECTRODES, range(4))
    results.write_table(tmp_path / "v.tsv", table.drop(index=7))
    with pytest.raises(InputError, match=r"v\.tsv: no potential for .*1.*C3-Cz.*C4"):
        read_potentials(tmp_path / "v.tsv", "potential", PAIRS, ELECTRODES, range(4))
