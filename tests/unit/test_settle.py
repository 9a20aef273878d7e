"""A file is complete when it has not changed for a while."""

from __future__ import annotations

from bridge.folder.settle import Absences, Lasting, Look, Settler


def look(name: str = "a", size: int = 5, mtime: int = 1, ctime: int = 1, inode: int = 1) -> Look:
    return Look(name, size, mtime, ctime, inode)


def settled(settler: Settler, looks: list[Look], now: float) -> list[Look]:
    settler.see(looks, now)
    return settler.settled(now, lambda _: True)


def test_a_file_settles_after_its_time_and_not_before() -> None:
    settler = Settler(2)
    assert settled(settler, [look()], 10) == []
    assert settled(settler, [look()], 11.9) == []
    assert settled(settler, [look()], 12) == [look()]


def test_every_kind_of_change_begins_the_time_anew() -> None:
    for changed in (look(size=6), look(mtime=2), look(ctime=2), look(inode=2)):
        settler = Settler(2)
        settled(settler, [look()], 10)
        assert settled(settler, [changed], 11.9) == []
        assert settled(settler, [changed], 12.1) == []
        assert settled(settler, [changed], 13.9) == [changed]


def test_a_file_that_went_and_came_back_is_new() -> None:
    settler = Settler(2)
    settled(settler, [look()], 10)
    settled(settler, [], 11)
    assert settled(settler, [look()], 12) == []


def test_the_longest_settled_goes_first() -> None:
    settler = Settler(2)
    settled(settler, [look("b")], 10)
    settled(settler, [look("a"), look("b")], 11)
    assert settled(settler, [look("a"), look("b")], 20) == [look("b"), look("a")]


def test_without_a_time_a_file_is_complete_at_once() -> None:
    assert settled(Settler(0), [look()], 10) == [look()]


def test_it_is_said_when_the_next_file_may_be_complete() -> None:
    settler = Settler(2)
    settler.see([look("a")], 10)
    settler.see([look("a"), look("b")], 11)
    assert settler.next_settled(11.5) == 0.5
    assert settler.next_settled(12) == 1
    assert settler.next_settled(13) is None


def test_what_is_not_wanted_is_not_given_out() -> None:
    settler = Settler(0)
    settler.see([look("a"), look("b")], 1)
    assert settler.settled(1, lambda each: each.path == "b") == [look("b")]


def test_a_file_is_gone_only_after_it_was_away_for_long() -> None:
    absences: Absences[Lasting] = Absences(60)
    known = [look("a").lasting, look("b").lasting]
    assert absences.gone(known, lambda _: False, 0) == []
    assert absences.gone(known, lambda each: each.path == "a", 59) == []
    assert absences.gone(known, lambda _: False, 60) == [look("b").lasting]
    assert absences.gone(known, lambda _: False, 119) == known[1:]
    assert set(absences.gone(known, lambda _: False, 120)) == set(known)


def test_a_rename_within_the_share_leaves_the_lasting_part() -> None:
    assert look(ctime=1).lasting == look(ctime=2).lasting
    assert look(mtime=1).lasting != look(mtime=2).lasting
    assert look("sub/a").parts == ["sub"]
    assert look("sub/a").name == "a"
