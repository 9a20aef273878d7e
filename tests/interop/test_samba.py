"""Files dropped through a real Samba: each ends in one place, with the content it was judged with.

Clients are Debian's smbclient, and handles that a test keeps open. The bridge works on the same
folders from below, as it does on a file server.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from bridge.emulator import EICAR, Emulator
from tests.conftest import need
from tests.support.faults import BLIND, start_watch
from tests.support.folders import OWN, Places, check_ends, sha256
from tests.support.katabridge import Records, Site
from tests.support.processes import Program, wait_until
from tests.support.samba import Samba, SmbClient

Keep = Callable[[Program], Program]

SETTLE = 0.3
LINES = 6


def folder_of(site: Site, **more: Any) -> dict[str, Any]:
    """A folder in which no delivery hides another; `more`: other keys."""
    places = {name: str(site.directory / name) for name in ("in", "out", "quarantine")}
    return {
        "name": "share",
        "input": places["in"],
        "output": places["out"],
        "quarantine": places["quarantine"],
        "settle": "300ms",
        "rescan": "100ms",
        "on_conflict": "rename",
        **more,
    }


@dataclass(frozen=True, slots=True)
class Share:
    """The site's folders, a Samba that serves them, and a client of it that is connected."""

    places: Places
    samba: Samba
    client: SmbClient


@pytest.fixture
def share(site: Site) -> Iterator[Share]:
    site.changes = {"folders": [folder_of(site)]}
    places = Places.of(site)
    folders = {"in": places.input, "out": places.output, "quarantine": places.quarantine}
    with Samba(need("smbd"), folders) as samba, samba.client() as client:
        yield Share(places, samba, client)


def passes(share: Share, name: str) -> bytes:
    """Bring a file through: when it is there, the bridge has looked at all the others too."""
    data = name.encode()
    share.client.put(f"in/{name}", data)
    wait_until(lambda: name in share.places.delivered(), f"{name} is through")
    return data


def claimed(places: Places) -> list[str]:
    """The claims, as paths in the share."""
    return [name for name in places.waiting() if name.startswith(f"{OWN}/")]


# -- many at once --------------------------------------------------------------------------------


def variety(number: int) -> list[bytes]:
    """What one client drops: clean, bad and failing files, and one that all of them drop."""
    own = b"%d" % number
    states = (b"detect", b"error", b"timeout")
    made = [b"#kata state=%b\n%b" % (state, own) for state in states]
    return [b"clean " + own, EICAR + own, *made, b"", b"the same for all", own * 70_000]


def test_several_clients_drop_all_kinds_at_once(
    site: Site, started: Keep, share: Share, tmp_path: Path
) -> None:
    places, samba = share.places, share.samba
    program = need("smbclient")
    started(site.start_watch())

    def by_smbclient(number: int) -> list[bytes]:
        contents = variety(number)
        commands = []
        for at, data in enumerate(contents):
            local = tmp_path / f"{number}-{at}"
            local.write_bytes(data)
            commands.append(f'put {local} "file {number}-{at}"')
        samba.run(program, "in", *commands)
        return contents

    def by_handles(number: int) -> list[bytes]:
        contents = variety(number)
        with samba.client() as client:
            for at, data in enumerate(contents):
                client.put(f"in/file {number}-{at}", data)
        return contents

    with ThreadPoolExecutor(6) as clients:
        ways = [by_smbclient, by_handles] * 3
        done = [clients.submit(way, number) for number, way in enumerate(ways)]
        dropped = [data for each in done for data in each.result()]
    places.wait_empty()
    check_ends(places, site.records(), dropped)
    assert len(site.records()) == len(dropped)
    samba.run(program, "out", 'get "file 0-7" ' + str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == variety(0)[7]


def test_slow_writers_are_not_disturbed(
    kata: Emulator, site: Site, started: Keep, share: Share
) -> None:
    places, samba = share.places, share.samba
    started(site.start_watch())
    pieces = [b"first\n", b"second\n" * 10_000]

    def write(number: int) -> bytes:
        with samba.client() as client, client.open(f"in/slow{number}", "w") as handle:
            for piece in pieces:
                handle.write(piece)
                time.sleep(2.5 * SETTLE)  # longer than a file that nobody has open would lie
            handle.write(b"%d" % number)
        return b"".join(pieces) + b"%d" % number

    with ThreadPoolExecutor(3) as clients:
        slow = [clients.submit(write, number) for number in range(3)]
        quick = passes(share, "quick")
        assert not any(each.done() for each in slow), "they were to be slower"
        assert [scan.size for scan in kata.memory.submitted] == [len(quick)]
        dropped = [each.result() for each in slow]
    places.wait_empty()
    check_ends(places, site.records(), [quick, *dropped])
    assert len(kata.memory.submitted) == 4, "a part of a file was judged"


def test_what_is_renamed_into_place_is_taken_under_its_last_name_alone(
    kata: Emulator, site: Site, started: Keep, share: Share, tmp_path: Path
) -> None:
    places, samba = share.places, share.samba
    program = need("smbclient")
    started(site.start_watch())
    first, second = b"first half, ", b"second half"
    local = tmp_path / "local"
    local.write_bytes(b"whole at once")
    with samba.client() as client:
        client.put("in/x.part", first)
        passed = passes(share, "looked")
        assert kata.memory.calls["submit"] == 1, "a temporary name was taken"
        with client.open("in/x.part", "a") as handle:
            handle.write(second)
        client.rename("in/x.part", "in/x")
    samba.run(program, "in", f"put {local} y.filepart", "rename y.filepart y")
    places.wait_empty()
    assert set(places.delivered()) == {"looked", "x", "y"}
    check_ends(places, site.records(), [passed, first + second, local.read_bytes()])


# -- while it is judged --------------------------------------------------------------------------


def test_what_overwrites_a_file_that_is_judged_is_a_file_of_its_own(
    kata: Emulator, site: Site, started: Keep, share: Share
) -> None:
    places, client = share.places, share.client
    first = {name: b"#kata delay=0.7\nfirst " + name.encode() for name in ("a", "b")}
    second = {"a": EICAR + b"2", "b": b"another clean one"}
    for name, data in first.items():
        client.put(f"in/{name}", data)
    started(site.start_watch())
    wait_until(lambda: len(kata.memory.scans) == 2, "the first contents are at KATA")
    for name, data in second.items():
        client.put(f"in/{name}", data)
    places.wait_empty()
    check_ends(places, site.records(), [*first.values(), *second.values()])
    assert {name: places.delivered()[name].read_bytes() for name in first} == first


def test_what_is_deleted_while_it_is_judged(
    kata: Emulator, site: Site, started: Keep, share: Share
) -> None:
    """Its name is gone; who looks for the claim and deletes that has withdrawn the file."""
    places, client = share.places, share.client
    contents = {name: b"#kata delay=0.7\n" + name.encode() for name in ("stays", "withdrawn")}
    for name, data in contents.items():
        client.put(f"in/{name}", data)
    watcher = started(site.start_watch())
    wait_until(lambda: len(kata.memory.scans) == 2, "both are at KATA")
    with pytest.raises(OSError, match="No such file"):
        client.remove("in/stays")
    (name,) = [name for name in claimed(places) if name.endswith("/withdrawn")]
    client.remove(f"in/{name}")
    places.wait_empty()
    wait_until(lambda: len(site.records()) == 2, "both have their records")
    watcher.stop()  # it leaves nothing of its own on the share
    check_ends(places, site.records(), [contents["stays"]])
    (record,) = [each for each in site.records() if each["name"] == "withdrawn"]
    assert (record["outcome"], record["decision"]) == ("unavailable", "hold")


def test_what_is_deleted_before_it_is_taken_was_never_there(
    kata: Emulator, site: Site, started: Keep, share: Share
) -> None:
    places, client = share.places, share.client
    started(site.start_watch())
    with client.open("in/never", "w") as handle:
        handle.write(b"never")
        passed = passes(share, "looked")
        client.remove("in/never")
    passed_too = passes(share, "again")
    places.wait_empty()
    assert kata.memory.calls["submit"] == 2
    check_ends(places, site.records(), [passed, passed_too])


def test_a_claimed_file_that_is_opened_and_written_is_judged_again(
    kata: Emulator, site: Site, started: Keep, share: Share
) -> None:
    places, client = share.places, share.client
    first, more = b"#kata delay=0.7\nfirst ", b"and more"
    client.put("in/a", first)
    started(site.start_watch())
    wait_until(lambda: kata.memory.scans, "it is at KATA")
    (name,) = claimed(places)
    with client.open(f"in/{name}", "a") as handle:
        wait_until(site.records, "its record")
        assert places.waiting(), "it was removed although a client writes it"
        handle.write(more)
    wait_until(lambda: len(site.records()) == 2, "both contents have their records", 20)
    places.wait_empty()
    check_ends(places, site.records(), [first, first + more])


# -- with a bridge that cannot see who writes ------------------------------------------------------


def test_a_handle_that_stays_open_changes_nothing_that_was_delivered(
    kata: Emulator, site: Site, started: Keep, share: Share
) -> None:
    places, client = share.places, share.client
    first, more = b"#kata delay=0.7\nfirst ", b"and more"
    started(start_watch(site, BLIND))
    with client.open("in/a", "w") as handle:
        handle.write(first)
        wait_until(lambda: kata.memory.scans, "it is at KATA")
        handle.write(more)
        wait_until(lambda: "a" in places.delivered(), "the first content is delivered")
        assert places.delivered()["a"].read_bytes() == first
    wait_until(lambda: len(site.records()) == 2, "both contents have their records", 20)
    places.wait_empty()
    check_ends(places, site.records(), [first, first + more])


def test_what_comes_back_to_input_does_not_hide_a_file_that_lies_there(
    kata: Emulator, site: Site, started: Keep, share: Share
) -> None:
    """What was claimed and changed goes back, and by then its name has another file."""
    places, client = share.places, share.client
    site.changes = {**site.changes, "kata": {"max_object_size": "1KiB"}}
    first, more, stays = b"#kata delay=0.7\nfirst ", b"and more", b"x" * 1025
    started(start_watch(site, BLIND))
    with client.open("in/a", "w") as handle:
        handle.write(first)
        wait_until(lambda: kata.memory.scans, "it is at KATA")
        client.put("in/a", stays)  # larger than what is judged: it is left where it lies
        handle.write(more)
    wait_until(lambda: len(site.records()) == 3, "each content has its record", 20)
    wait_until(lambda: places.waiting().keys() == {"a"}, "nothing else is in input")
    assert places.waiting()["a"].read_bytes() == stays
    check_ends(places, site.records(), [first, first + more, stays], left=1)


@pytest.mark.sample(1)
@pytest.mark.parametrize("is_blind", [False, True], ids=["seeing", "blind"])
def test_nothing_that_is_appended_by_name_is_lost(
    site: Site, started: Keep, share: Share, is_blind: bool
) -> None:
    """Pauses around `settle`: a file is claimed before it is opened, and while it is open."""
    places, samba = share.places, share.samba
    started(start_watch(site, BLIND) if is_blind else site.start_watch())
    chance = random.Random(2027)
    shut = [[chance.uniform(0.1, 0.5) for _ in range(LINES)] for _ in range(6)]
    # a blind bridge cannot do more for a handle than look again when the verdict is there
    held = [[chance.uniform(0, 0.25) for _ in range(LINES)] for _ in range(6)]

    def append(number: int) -> list[bytes]:
        lines = []
        with samba.client() as client:
            for at in range(LINES):
                lines.append(b"%d-%d" % (number, at))
                with client.open(f"in/log{number}", "a") as handle:
                    time.sleep(held[number][at])  # the moments are the test's subject
                    handle.write(lines[-1] + b"\n")
                time.sleep(shut[number][at])
        return lines

    with ThreadPoolExecutor(6) as clients:
        written = [line for lines in clients.map(append, range(6)) for line in lines]
    places.wait_empty()
    check_ends(places, site.records(), None)
    delivered = b"".join(path.read_bytes() for path in places.delivered().values())
    assert set(delivered.split()) == set(written)
    assert len(places.delivered()) > 6, "no file was claimed between two lines"


# -- two bridges ---------------------------------------------------------------------------------


@pytest.fixture
def bridges(tmp_path: Path, kata: Emulator, share: Share) -> list[Site]:
    """Two hosts' bridges on one share: all but the three folders is their own."""
    found = []
    for name in ("one", "two"):
        node = Site(tmp_path / name, kata.url, kata.certificate)
        folder = folder_of(node)
        for key in ("input", "output", "quarantine"):
            folder[key] = str(getattr(share.places, key))
        node.changes = {"kata": {"node": name}, "folders": [folder]}
        found.append(node)
    return found


def all_records(bridges: list[Site]) -> Records:
    return [record for bridge in bridges for record in bridge.records()]


def drop_many(samba: Samba, first: int, count: int) -> list[bytes]:
    """Several clients drop `count` files in more than a second, every fifth a bad one."""
    contents = [
        b"#kata state=%b delay=0.3\n%d" % (b"detect" if n % 5 == 0 else b"not_detected", n)
        for n in range(first, first + count)
    ]

    def drop(share: int) -> None:
        with samba.client() as client:
            for number, data in list(enumerate(contents, first))[share::3]:
                client.put(f"in/{number}", data)
                time.sleep(4 / count)  # so that both find something to take

    with ThreadPoolExecutor(3) as clients:
        list(clients.map(drop, range(3)))
    return contents


def test_two_bridges_on_one_share_never_take_the_same_file(
    kata: Emulator, bridges: list[Site], started: Keep, share: Share
) -> None:
    places, samba = share.places, share.samba
    with ThreadPoolExecutor(2) as starting:
        for program in starting.map(Site.start_watch, bridges):
            started(program)
    dropped = drop_many(samba, 0, 60)
    places.wait_empty()
    check_ends(places, all_records(bridges), dropped)
    assert len(all_records(bridges)) == len(dropped)
    assert all(bridge.records() for bridge in bridges), "one of them took everything"
    taken = Counter(scan.sha256 for scan in kata.memory.submitted)
    assert taken == Counter(map(sha256, dropped))


def test_a_bridge_that_was_killed_loses_nothing_to_the_other(
    kata: Emulator, bridges: list[Site], started: Keep, share: Share
) -> None:
    places, samba = share.places, share.samba
    dying, other = bridges
    killed = dying.start_watch()
    kata.memory.delay = 60
    with samba.client() as client:
        held = [b"held %d" % n for n in range(5)]
        for number, data in enumerate(held):
            client.put(f"in/held{number}", data)
    wait_until(lambda: len(kata.memory.scans) == 5, "it has them all at KATA")
    started(other.start_watch())
    killed.process.kill()
    killed.process.wait()
    dropped = drop_many(samba, 100, 12)
    wait_until(lambda: len(other.records()) == 12, "the other goes on")
    wait_until(lambda: len(places.waiting()) == 5, "only the claims of the dead one are left")
    check_ends(places, all_records(bridges), [*held, *dropped], left=5)
    kata.memory.delay = 0.2  # either of them may take what comes back
    for key, scan in kata.memory.scans.items():  # the verdicts come while nobody looks
        kata.memory.scans[key] = replace(scan, done_at=0.0)
    started(dying.start_watch())
    places.wait_empty()
    check_ends(places, all_records(bridges), [*held, *dropped])
    assert len(all_records(bridges)) == len(held + dropped)
