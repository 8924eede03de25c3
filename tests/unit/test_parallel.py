import pytest

from headcond.parallel import SerialCommunicator, my_share, world


def test_world_has_one_rank_here_and_refuses_another_count():
    assert world(expected_size=1).Get_size() == 1
    with pytest.raises(
        RuntimeError, match="2 MPI ranks were started, but this program runs with 1"
    ):
        world(expected_size=2)


def test_shares_cover_everything_once():
    items = list("abcdefg")
    for size in (1, 2, 3, 9):
        shares = [my_share(items, rank, size) for rank in range(size)]
        assert sorted(sum(shares, [])) == items


def test_serial_communicator_returns_what_it_gets():
    serial = SerialCommunicator()
    assert serial.allgather(3) == [3] and serial.bcast("x") == "x" and serial.gather(1) == [1]
    assert serial.Get_rank() == 0 and serial.Get_size() == 1
