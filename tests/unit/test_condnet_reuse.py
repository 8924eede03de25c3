"""Networks of another study are taken only if they fit this one."""

from __future__ import annotations

import pytest

from headcond.checks import InputError
from headcond.condnet.network import CondNet
from headcond.condnet.prediction import Checkpoint, save_checkpoint
from headcond.condnet.reuse import check_reuse
from headcond.tissues import conductivity_table

FITS = {
    "axis": "axial",
    "tables": {"A": conductivity_table("A")},
    "tau": 0.1,
    "normalisation": {"method": "percentile", "images": ["T1w", "T2w"]},
    "grid": {"shape": [64, 64, 64], "voxel_size": [2.0] * 3, "orientation": "RAS"},
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path = tmp_path_factory.mktemp("networks") / "axis-axial_network.ckpt"
    training = {"subjects": ["sub-01", "sub-02"], "history": []}
    save_checkpoint(path, Checkpoint(CondNet(2, 1), training=training, **FITS))
    return path


def test_a_network_that_fits_is_returned(trained):
    found = check_reuse(trained, **FITS, unseen=["sub-03"])
    assert found.training["subjects"] == ["sub-01", "sub-02"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"axis": "coronal"}, "axis is 'coronal', in training it was 'axial'"),
        ({"tables": {"A": conductivity_table("A"), "B": conductivity_table("B")}}, "tables is"),
        ({"tables": {"A": conductivity_table("B")}}, "conductivity table does not match"),
        ({"tau": 0.2}, "tau is 0.2"),
        ({"normalisation": {"method": "minmax", "images": ["T1w", "T2w"]}}, "method is 'minmax'"),
        ({"grid": {**FITS["grid"], "voxel_size": [1.0] * 3}}, "voxel_size is"),
        ({"unseen": ["sub-02", "sub-09"]}, "was trained with sub-02, which cohort.test names"),
    ],
)
def test_one_that_does_not_is_refused_by_name(trained, change, message):
    with pytest.raises(InputError, match=message) as caught:
        check_reuse(trained, **{**FITS, "unseen": ["sub-03"], **change})
    assert trained.name in str(caught.value) and "\n" not in str(caught.value)
