"""When workers are started and replaced, by a clock of the test's own."""

from __future__ import annotations

import pytest

from icapd.workers.supervision import End, Member, Next, State, Supervision

KILLED = End(-9)


def up(workers: int = 2, orphans: tuple[int, ...] = ()) -> Supervision:
    """A service whose workers listen, at 0."""
    supervision = Supervision(workers, orphans)
    for member in supervision.due(0):
        supervision.started(member, 0)
    for member in supervision.members[:workers]:
        supervision.listens(member)
    assert supervision.up
    return supervision


def live(supervision: Supervision, member: Member, now: float) -> None:
    assert member in supervision.due(now)
    supervision.started(member, now)
    supervision.listens(member)


def test_all_are_due_at_the_start_and_once() -> None:
    supervision = Supervision(3, ())
    assert [member.number for member in supervision.due(0)] == [0, 1, 2]
    for member in supervision.due(0):
        supervision.started(member, 0)
    assert supervision.due(1000) == []
    assert supervision.next_at() is None
    assert supervision.replacements == 0


def test_the_service_is_up_when_the_last_one_listens_and_that_is_said_once() -> None:
    supervision = Supervision(3, ())
    for member in supervision.due(0):
        supervision.started(member, 0)
    assert [supervision.listens(member) for member in supervision.members] == [False, False, True]
    assert supervision.serving == 3
    supervision.ended(supervision.members[0], KILLED, 1)
    assert supervision.serving == 2
    supervision.started(supervision.members[0], 1)
    assert not supervision.listens(supervision.members[0])


@pytest.mark.parametrize("end", [End(1, "the port is taken."), KILLED, End(0)])
def test_who_ends_before_all_listen_fails_the_service(end: End) -> None:
    supervision = Supervision(2, ())
    for member in supervision.due(0):
        supervision.started(member, 0)
    supervision.listens(supervision.members[0])
    assert supervision.ended(supervision.members[1], end, 1) is Next.SERVICE_FAILS
    assert supervision.due(1000) == []


@pytest.mark.parametrize("end", [End(1, "the disk is full."), KILLED, End(0)])
def test_who_ends_later_is_replaced_at_once(end: End) -> None:
    supervision = up()
    member = supervision.members[1]
    assert supervision.ended(member, end, 5) is Next.REPLACED
    assert supervision.due(5) == [member]
    supervision.started(member, 5)
    assert supervision.replacements == 1


def test_who_dies_young_again_and_again_waits_longer_each_time() -> None:
    supervision = up()
    member = supervision.members[0]
    now, pauses = 0.0, []
    for _ in range(9):
        now += 0.5
        supervision.ended(member, KILLED, now)
        pauses.append(member.at - now)
        assert supervision.next_at() == member.at
        assert pauses[-1] == 0 or supervision.due(member.at - 0.01) == []
        now = member.at
        supervision.started(member, now)  # dies before it listens, too
    assert pauses == [0, 1, 2, 4, 8, 16, 32, 60, 60]


def test_who_lived_for_long_is_replaced_at_once_again() -> None:
    supervision = up()
    member = supervision.members[0]
    for _ in range(4):
        supervision.ended(member, KILLED, member.at + 1)
        live(supervision, member, member.at)
    supervision.ended(member, KILLED, member.at + 3600)
    assert supervision.due(member.at) == [member]
    live(supervision, member, member.at)
    died = member.at + 1
    supervision.ended(member, KILLED, died)
    assert member.at == died + 1


def test_each_worker_has_its_own_pauses() -> None:
    supervision = up()
    one, other = supervision.members
    for _ in range(5):
        supervision.ended(one, KILLED, one.at + 1)
        live(supervision, one, one.at)
    supervision.ended(other, KILLED, 100)
    assert supervision.due(100) == [other]


def test_orphans_are_drained_once_the_workers_are_up() -> None:
    supervision = Supervision(1, (2, 3))
    (worker,) = supervision.due(0)
    supervision.started(worker, 0)
    assert supervision.due(10) == []
    assert supervision.next_at() is None
    assert supervision.listens(worker)
    drains = supervision.due(10)
    assert [(drain.name, drain.number) for drain in drains] == [("drain 2", 2), ("drain 3", 3)]
    for drain in drains:
        supervision.started(drain, 10)
        assert not supervision.listens(drain)
    assert supervision.serving == 1


def test_a_drain_that_is_done_is_not_started_again_and_one_that_died_is() -> None:
    supervision = up(1, (2, 3))
    done, died = supervision.due(0)
    for drain in (done, died):
        supervision.started(drain, 0)
    assert supervision.ended(done, End(0), 1) is Next.DONE
    assert supervision.ended(died, KILLED, 1) is Next.REPLACED
    assert supervision.due(1) == [died]
    supervision.started(died, 1)
    assert supervision.replacements == 0  # they are counted of workers
    assert done.state is State.DONE
