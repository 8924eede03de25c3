"""AffineOperator: sums, loads, files."""

import h5py
import numpy as np
import pytest
import scipy.sparse as sparse

from headcond.checks import InputError
from headcond.fem.operator import AffineOperator


def small():
    blocks = np.array([
        [[1.0, -1, 0], [-1, 1, 0], [0, 0, 0]],
        [[0, 0, 0], [0, 2, -2], [0, -2, 2]],
    ])  # fmt: skip
    pattern = sparse.csr_matrix(np.abs(blocks).sum(axis=0))
    rows = np.repeat(np.arange(3), np.diff(pattern.indptr))
    data = blocks[:, rows, pattern.indices]
    facts = {"tissues": ["gm"], "areas": [1.5, 2.0], "digest": "ab", "count": 3}
    operator = AffineOperator(
        ("gm", "contact"), pattern.indptr, pattern.indices, data, ("Fz", "Cz"), 1, facts
    )
    return operator, blocks


def test_combination_is_the_affine_sum():
    operator, blocks = small()
    assert operator.size == 3
    np.testing.assert_array_equal(operator.combine([0.5, 3.0]).toarray(),
                                  0.5 * blocks[0] + 3 * blocks[1])  # fmt: skip
    for name, block in zip(operator.names, blocks, strict=True):
        np.testing.assert_array_equal(operator.block(name).toarray(), block)


def test_load_enters_and_leaves():
    operator, _ = small()
    np.testing.assert_array_equal(operator.load("Cz", "Fz", 2e-5), [0, -2e-5, 2e-5])


def test_round_trip_keeps_everything(tmp_path):
    operator, _ = small()
    path = tmp_path / "operator.h5"
    operator.write(path)
    again = AffineOperator.read(path)
    for name in ("indptr", "indices", "data"):
        kept, was = getattr(again, name), getattr(operator, name)
        np.testing.assert_array_equal(kept, was)
        assert kept.dtype == was.dtype
    assert (again.names, again.electrodes, again.nodes, again.attributes) == (
        operator.names, operator.electrodes, operator.nodes, operator.attributes
    )  # fmt: skip
    assert [p.name for p in tmp_path.iterdir()] == ["operator.h5"]


def test_bad_requests_are_refused():
    operator, _ = small()
    with pytest.raises(InputError, match="no block 'wm'; it has gm, contact"):
        operator.block("wm")
    with pytest.raises(InputError, match="No electrode 'Oz'"):
        operator.unknown("Oz")
    with pytest.raises(InputError, match="own sink"):
        operator.load("Cz", "Cz")
    with pytest.raises(InputError, match="theta must have shape"):
        operator.combine([1.0])
    for theta in ([-0.3, 1.0], [np.nan, 1.0], [0.3, np.inf]):
        with pytest.raises(InputError, match="above 0"):
            operator.combine(theta)


def test_parts_that_do_not_fit_are_refused():
    operator, _ = small()
    good = (operator.names, operator.indptr, operator.indices, operator.data,
            operator.electrodes, operator.nodes)  # fmt: skip
    for position, bad, match in (
        (0, ("gm", "gm"), "unique"), (1, operator.indptr[:-1], "indptr"),
        (3, operator.data[:, 1:], "data"), (4, ("Fz", "Fz"), "unique"),
    ):  # fmt: skip
        parts = list(good)
        parts[position] = bad
        with pytest.raises(InputError, match=match):
            AffineOperator(*parts)


def test_other_files_are_refused(tmp_path):
    operator, _ = small()
    path = tmp_path / "operator.h5"
    operator.write(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"operator\.h5"):
        AffineOperator.read(path)
    with h5py.File(path, "w") as file:
        file.attrs["format"] = "other"
    with pytest.raises(InputError, match="not an operator file"):
        AffineOperator.read(path)
    with pytest.raises(InputError, match=r"absent\.h5"):
        AffineOperator.read(tmp_path / "absent.h5")
