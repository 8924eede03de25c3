import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from headcond.random import generator


def test_streams_are_named_not_ordered():
    first = generator(7, "greedy", "E1").random(4)
    generator(7, "other").random(100)
    np.testing.assert_array_equal(first, generator(7, "greedy", "E1").random(4))


@given(st.integers(0, 2**31), st.text(max_size=8), st.text(max_size=8))
def test_other_name_or_seed_gives_another_stream(seed, first, second):
    base = generator(seed, first).random(4)
    assert not np.array_equal(base, generator(seed + 1, first).random(4))
    if first != second:
        assert not np.array_equal(base, generator(seed, second).random(4))


def test_names_do_not_run_together():
    assert generator(1, "ab", "c").random() != generator(1, "a", "bc").random()
