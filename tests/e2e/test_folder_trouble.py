"""Folders that fail for a while: one line when it begins, one when it ends, and nothing lost.

The same with real file systems, mounted by the test, is marked `long`.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge.commands.checking.daemons import look_at_watch
from bridge.commands.checking.line import Status
from bridge.commands.checking.pages import Pages
from bridge.core import Address
from bridge.emulator import EICAR, Emulator
from bridge.status import ask
from tests.support.faults import full_when, start_as_user, start_watch
from tests.support.folders import Places, check_ends
from tests.support.katabridge import Site
from tests.support.mounts import Mounts, need_mounts
from tests.support.processes import Program, free_port, wait_until

Keep = Callable[[Program], Program]

AGAIN = 60.0  # seconds: what failed is tried again after 30 at the latest


@pytest.fixture
def places(site: Site) -> Places:
    return Places.of(site)


@pytest.fixture
def mounts(tmp_path: Path) -> Iterator[Mounts]:
    with need_mounts(tmp_path) as made:
        yield made


def drop(places: Places, **contents: bytes) -> list[bytes]:
    for name, data in contents.items():
        (places.input / name).write_bytes(data)
    return list(contents.values())


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def troubles(site: Site) -> list[str]:
    """What the log says of folders beside what became of each file, without time and level."""
    lines = (site.directory / "log" / "kata-bridge-watch.log").read_text().splitlines()
    split = [line.split(" ", 2) for line in lines]
    assert all(len(parts) == 3 for parts in split), lines
    return [
        text
        for _, level, text in split
        if level in ("warning", "error", "critical") and text.startswith("folder ")
    ]


def wait_troubles(site: Site, count: int) -> list[str]:
    wait_until(lambda: len(troubles(site)) >= count, f"{count} lines of trouble", AGAIN)
    return troubles(site)


def wait_delivered(places: Places, count: int) -> None:
    wait_until(lambda: len(places.delivered()) == count, "the rest goes on")


def more(number: int) -> dict[str, bytes]:
    """Clean and bad files of a further round."""
    return {f"clean{number}": b"clean %d" % number, f"bad{number}": EICAR + b"%d" % number}


# -- the output is full ----------------------------------------------------------------------------


def test_a_full_output_holds_up_its_own_files_alone(
    site: Site, started: Keep, places: Places, tmp_path: Path
) -> None:
    switch = tmp_path / "full"
    switch.touch()
    started(start_watch(site, full_when(places.output, switch)))
    dropped = drop(places, a=b"a", b=b"b")
    (begins,) = wait_troubles(site, 1)
    assert f"{places.output}/" in begins
    assert "No space left on device" in begins
    dropped += drop(places, **more(1), **more(2))
    wait_until(lambda: len(places.quarantined()) == 2, "the rest goes on")
    time.sleep(1)  # through further tries
    assert not places.delivered(), "a file that was not written whole"
    assert troubles(site) == [begins]
    switch.unlink()
    places.wait_empty(AGAIN)
    check_ends(places, site.records(), dropped)
    check_ended(site, [begins], str(places.output))


def check_ended(site: Site, begins: list[str], about: str) -> None:
    """The troubles that began have ended, and one line says so of the folder itself."""
    said = wait_troubles(site, len(begins) + 1)
    assert said[: len(begins)] == begins
    (ends,) = said[len(begins) :]
    assert about in ends
    assert "works again" in ends


def test_an_output_with_room_for_small_files_alone_is_said_once(
    site: Site, started: Keep, places: Places, tmp_path: Path
) -> None:
    """Else each small file would say that it works again, and the next large one that it fails."""
    switch = tmp_path / "full"
    switch.touch()
    started(start_watch(site, full_when(places.output, switch, larger_than=1000)))
    dropped = drop(places, large=b"x" * 1001)
    wait_troubles(site, 1)
    for number in range(6):  # longer than the first pauses between two tries
        dropped += drop(places, **{f"small{number}": b"%d" % number})
        wait_delivered(places, number + 1)
        time.sleep(0.1)
    assert len(troubles(site)) <= 2, troubles(site)
    switch.unlink()
    places.wait_empty(AGAIN)
    check_ends(places, site.records(), dropped)
    assert len(troubles(site)) == 2, troubles(site)
    assert "works again" in troubles(site)[1]


@pytest.fixture
def seen_by_all(site: Site) -> Callable[[], str]:
    """What the folders' status page says without the token."""
    port = free_port()
    site.changes = {"status": {"watch": f"127.0.0.1:{port}"}}
    return lambda: ask(Address("127.0.0.1", port), "/api/live", timeout=30).decode()


def test_what_all_may_read_names_no_file_that_finds_no_room(
    site: Site, started: Keep, places: Places, tmp_path: Path, seen_by_all: Callable[[], str]
) -> None:
    """Neither the status page nor an outage does; the log has the names."""
    switch = tmp_path / "full"
    switch.touch()
    site.folder["recursive"] = True
    (places.output / "private").write_bytes(b"no folder")
    (places.input / "private").mkdir()
    drop(places, **{"private/1": b"one", "private/2": b"two", "private3": b"three"})
    program = started(start_watch(site, full_when(places.output, switch)))
    of_two = "is a link or a file, not a folder (2)"
    wait_until(lambda: of_two in seen_by_all(), "the page tells of two", AGAIN)
    wait_until(lambda: "target_failing" in seen_by_all(), "and of the target", AGAIN)
    log = site.directory / "log" / "log-events.log"
    wait_until(lambda: "No space left on device" in log.read_text(), "the log tells, too", AGAIN)
    assert f"files stay in input: a path below {places.output}: {of_two}" in seen_by_all()
    assert "private" not in seen_by_all() + log.read_text()
    for number in "123":
        assert re.search(rf"private/?{number} .* stays in input", program.output()), number


def test_what_all_may_read_names_no_file_that_waits_for_kata(
    kata: Emulator, site: Site, started: Keep, places: Places, seen_by_all: Callable[[], str]
) -> None:
    kata.stop()
    drop(places, private=b"one")
    program = started(site.start_watch())
    wait_until(lambda: "files stay in input: " in seen_by_all(), "the page tells of it", AGAIN)
    assert "private" not in seen_by_all()
    assert "private stays in input: " in program.output()


@pytest.mark.long
@pytest.mark.timeout(300)
def test_an_output_whose_disk_is_full(
    site: Site, started: Keep, places: Places, mounts: Mounts
) -> None:
    mounts.tmpfs(places.output, "1m")
    filler = places.output / "of somebody else"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    started(site.start_watch())
    dropped = drop(places, a=b"a" * 100_000, b=b"b" * 100_000, evil=EICAR)
    (begins,) = wait_troubles(site, 1)
    assert f"{places.output}/" in begins
    assert "No space left on device" in begins
    dropped += drop(places, **more(1))
    wait_until(lambda: len(places.quarantined()) == 2, "the rest goes on")
    time.sleep(10)  # through further tries
    assert troubles(site) == [begins]
    assert places.delivered().keys() == {filler.name}, "a file that was not written whole"
    filler.unlink()
    places.wait_empty(AGAIN)
    check_ends(places, site.records(), dropped)
    check_ended(site, [begins], str(places.output))


# -- the quarantine is read-only ---------------------------------------------------------------


def check_a_quarantine(site: Site, places: Places, reason: str, mend: Callable[[], object]) -> None:
    """It cannot be written until `mend`; each threat that stays is said, beside the trouble."""
    dropped = drop(places, **more(1))
    said = wait_troubles(site, 2)
    assert [f"{places.quarantine}/" in line and reason in line for line in said] == [True, False]
    assert "KATA found a threat: bad1" in said[1]
    dropped += drop(places, **more(2), failed=b"#kata state=error\n")
    wait_delivered(places, 2)
    said = wait_troubles(site, 3)
    assert "KATA found a threat: bad2" in said[2]
    wait_until(lambda: len(places.waiting()) == 3, "what is bad stays")
    time.sleep(3)  # through further tries
    assert troubles(site) == said
    assert not places.quarantined()
    mend()
    places.wait_empty(AGAIN)
    check_ends(places, site.records(), dropped)
    check_ended(site, said, str(places.quarantine))


def test_a_quarantine_that_cannot_be_written_holds_up_its_own_files_alone(
    site: Site, started: Keep, places: Places
) -> None:
    started(start_as_user(site))
    places.quarantine.chmod(0o500)
    check_a_quarantine(
        site, places, "Permission denied", mend=lambda: places.quarantine.chmod(0o700)
    )


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_quarantine_that_is_mounted_read_only(
    site: Site, started: Keep, places: Places, mounts: Mounts
) -> None:
    mounts.tmpfs(places.quarantine)
    started(site.start_watch())
    mounts.remount(places.quarantine, "ro")
    check_a_quarantine(
        site,
        places,
        "Read-only file system",
        mend=lambda: mounts.remount(places.quarantine, "rw"),
    )


# -- one file --------------------------------------------------------------------------------------


def test_a_file_that_may_not_be_read_is_said_and_holds_up_nothing(
    site: Site, started: Keep, places: Places
) -> None:
    dropped = drop(places, secret=b"secret")
    (places.input / "secret").chmod(0)
    started(start_as_user(site))
    (begins,) = wait_troubles(site, 1)
    assert "secret" in begins
    assert "Permission denied" in begins
    dropped += drop(places, **more(1))
    wait_until(lambda: len(site.records()) == 2, "the others go on")
    time.sleep(1)  # through further tries
    assert troubles(site) == [begins]
    wait_until(lambda: places.waiting().keys() == {"secret"}, "it lies under its own name")
    (places.input / "secret").chmod(0o600)
    places.wait_empty(AGAIN)
    check_ends(places, site.records(), dropped)
    log = (site.directory / "log" / "kata-bridge-watch.log").read_text()
    assert log.count("secret: not_detected") == 1, "its end is said, as of any file"
    assert troubles(site) == [begins]


# -- the share is away ---------------------------------------------------------------------------


def test_a_share_that_is_away_while_a_file_of_it_is_judged(
    kata: Emulator, site: Site, started: Keep, places: Places
) -> None:
    started(site.start_watch())
    first = b"#kata delay=1.5\nfirst"
    drop(places, first=first)
    wait_until(lambda: kata.memory.scans, "it is at KATA")
    away = places.input.with_name("away")
    places.input.rename(away)
    (begins,) = wait_troubles(site, 1)
    assert str(places.input) in begins
    time.sleep(3)  # its verdict comes meanwhile
    assert not places.input.exists(), "it was made anew"
    assert len(troubles(site)) == 1, troubles(site)
    away.rename(places.input)
    dropped = [first, *drop(places, **more(1))]
    places.wait_empty(AGAIN)
    check_ends(places, site.records(), dropped)
    check_ended(site, [begins], "input")


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_share_that_is_not_mounted_for_a_minute(
    kata: Emulator, site: Site, started: Keep, places: Places, mounts: Mounts
) -> None:
    """Its device number is another one when it comes back, as that of a network share is."""
    (places.input / "below the mount").write_bytes(b"local")
    mounts.share(places.input)
    site.changes = {"kata": {"max_in_flight": 4, "max_object_size": "1KiB"}}
    started(site.start_watch())
    large = b"x" * 1025
    dropped = drop(places, large=large)
    slow = {f"slow{n}": b"#kata delay=4\n%d" % n for n in range(12)}
    dropped += drop(places, **slow)
    wait_until(lambda: len(kata.memory.scans) == 4, "some are at KATA, others wait for a place")
    device = places.input.stat().st_dev
    mounts.end(places.input)
    (begins,) = wait_troubles(site, 1)
    assert str(places.input) in begins
    time.sleep(60)  # the subject: a minute
    assert names(places.input) == ["below the mount"], "written where no share is"
    assert troubles(site) == [begins]
    mounts.share(places.input)
    assert places.input.stat().st_dev != device
    dropped += drop(places, **more(1))
    wait_until(lambda: places.waiting().keys() == {"large"}, "all the others go", AGAIN)
    check_ends(places, site.records(), dropped, left=1)
    check_ended(site, [begins], "input")
    mounts.end(places.input)
    assert names(places.input) == ["below the mount"]


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_target_that_is_not_mounted_gets_nothing(
    site: Site, started: Keep, places: Places, mounts: Mounts
) -> None:
    mounts.share(places.output)
    started(site.start_watch())
    dropped = drop(places, **more(1))
    places.wait_empty()
    mounts.end(places.output)
    dropped += drop(places, **more(2))
    (begins,) = wait_troubles(site, 1)
    assert str(places.output) in begins
    wait_until(lambda: len(places.quarantined()) == 2, "the rest goes on")
    time.sleep(5)  # through further tries
    assert names(places.output) == []
    assert troubles(site) == [begins]
    mounts.share(places.output)
    places.wait_empty(AGAIN)
    check_ends(places, site.records(), dropped)
    check_ended(site, [begins], str(places.output))


# -- an input that keeps its files -------------------------------------------------------------


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_drop_folder_that_keeps_its_files_is_seen_where_people_look(
    site: Site, started: Keep, places: Places
) -> None:
    """As /tmp is: whoever has dropped a file, nobody else moves it."""
    site.changes = {"status": {"watch": f"127.0.0.1:{free_port()}"}}
    os.chown(places.input, 12345, 12345)
    places.input.chmod(0o1777)
    started(start_as_user(site))
    for name in ("a", "b"):
        (site.directory / name).write_text(name)
        os.chown(site.directory / name, 12346, 12346)
        (site.directory / name).rename(places.input / name)
    words = "claiming files in the input: it belongs to 12345 and is sticky (mode 1777): "
    (begins,) = wait_troubles(site, 1)
    assert begins.startswith(f"folder share: {places.input}: it belongs to 12345 and is sticky")

    def outages() -> list[str]:
        told = [each for each in site.records("log-events.log") if each["event"] == "share_gone"]
        return [each["state"] for each in told]

    wait_until(lambda: outages() == ["begins"], "an outage begins", AGAIN)

    def is_failed() -> bool:
        """What `check` says, by the status page, which has no time just now, maybe."""
        found = look_at_watch(site.settings(), Pages(site.settings()))
        of_files = [each for each in found if each.area == "folder share"]
        return [(each.status, words in each.sentence) for each in of_files] == [
            (Status.FAILED, True)
        ]

    wait_until(is_failed, "check says so", AGAIN)
    places.input.chmod(0o777)
    places.wait_empty(AGAIN)
    wait_until(lambda: outages() == ["begins", "ends"], "it is over", AGAIN)
    assert troubles(site)[1:] == ["folder share: claiming files in the input works again"]
