"""A file is complete when it has not changed for a while."""

from __future__ import annotations

from bridge.folder.settle import Look, Settler


def look(name: str = "a", size: int = 5, mtime: int = 1, ctime: int = 1, inode: int = 1) -> Look:
    return Look(name, size, mtime, ctime, inode, 1)


def test_a_file_settles_after_its_time_and_not_before() -> None:
    settler = Settler(2)
    assert settler.settled([look()], 10) == []
    assert settler.settled([look()], 11.9) == []
    assert settler.settled([look()], 12) == [look()]


def test_every_kind_of_change_begins_the_time_anew() -> None:
    for changed in (look(size=6), look(mtime=2), look(ctime=2), look(inode=2)):
        settler = Settler(2)
        settler.settled([look()], 10)
        assert settler.settled([changed], 11.9) == []
        assert settler.settled([changed], 12.1) == []
        assert settler.settled([changed], 13.9) == [changed]


def test_a_file_that_went_and_came_back_is_new() -> None:
    settler = Settler(2)
    settler.settled([look()], 10)
    settler.settled([], 11)
    assert settler.settled([look()], 12) == []


def test_the_longest_settled_goes_first() -> None:
    settler = Settler(2)
    settler.settled([look("b")], 10)
    settler.settled([look("a"), look("b")], 11)
    assert settler.settled([look("a"), look("b")], 20) == [look("b"), look("a")]


def test_without_a_time_a_file_is_complete_at_once() -> None:
    assert Settler(0).settled([look()], 10) == [look()]
