"""That the queue on disk keeps its lines, its bound and its order, whatever happens to its file."""

from __future__ import annotations

import logging
import os
import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.core.siem.queue import DiskQueue, QueueError

SIZE = 256 << 10
KILLED = """
import os, signal, sys
from pathlib import Path
from bridge.core.siem.queue import DiskQueue
queue = DiskQueue(Path(sys.argv[1]), 1 << 20)
for number in range(300):
    queue.put([b"line %d" % number])
os.kill(os.getpid(), signal.SIGKILL)
"""


def drain(queue: DiskQueue) -> list[bytes]:
    """Everything in it, which is removed."""
    lines: list[bytes] = []
    while batch := queue.peek():
        lines += batch.lines
        queue.remove(batch)
    return lines


def numbered(first: int, last: int) -> list[bytes]:
    return [b"line %d" % number for number in range(first, last)]


def test_lines_come_out_in_order_and_once(tmp_path: Path) -> None:
    queue = DiskQueue(tmp_path / "q", SIZE)
    queue.put(numbered(0, 700))
    queue.put([b"", b"\x00\xff\n"])
    batch = queue.peek()
    assert batch is not None
    assert batch == queue.peek()  # it stays until it is removed
    assert len(batch.lines) == 500
    assert drain(queue) == [*numbered(0, 700), b"", b"\x00\xff\n"]
    assert queue.count == 0
    assert queue.peek() is None
    queue.close()


def test_a_batch_is_bounded_in_bytes(tmp_path: Path) -> None:
    queue = DiskQueue(tmp_path / "q", 64 << 20)
    queue.put([b"x" * 600_000] * 5)
    batch = queue.peek()
    assert batch is not None
    assert len(batch.lines) == 2
    queue.close()


def test_lines_are_there_after_the_process_was_killed(tmp_path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, tmp_path / "q"], check=False)
    assert killed.returncode == -signal.SIGKILL
    queue = DiskQueue(tmp_path / "q", SIZE)
    assert drain(queue) == numbered(0, 300)
    queue.close()


def test_the_oldest_are_dropped_and_counted_and_the_file_stays_small(tmp_path: Path) -> None:
    queue = DiskQueue(tmp_path / "q", SIZE)
    lines = [b"%06d" % number + b"x" * 300 for number in range(4000)]
    dropped = sum(queue.put(lines[n : n + 100]) for n in range(0, 4000, 100))
    assert queue.count == 4000 - dropped
    kept = drain(queue)
    assert kept == lines[dropped:]
    assert SIZE / 2 < sum(map(len, kept)) <= SIZE
    queue.close()
    assert (tmp_path / "q" / "queue.db").stat().st_size < SIZE * 1.3


def test_an_empty_queue_gives_its_space_back(tmp_path: Path) -> None:
    queue = DiskQueue(tmp_path / "q", 64 << 20)
    queue.put([b"x" * 10_000] * 1000)
    drain(queue)
    queue.close()
    assert (tmp_path / "q" / "queue.db").stat().st_size < 1 << 20


def test_what_was_delivered_is_not_given_again_even_where_it_cannot_be_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(db: sqlite3.Connection, last: int) -> int:
        raise sqlite3.OperationalError("database or disk is full")

    queue = DiskQueue(tmp_path / "q", SIZE)
    queue.put(numbered(0, 3))
    batch = queue.peek()
    assert batch is not None
    monkeypatch.setattr(DiskQueue, "_delete_to", staticmethod(full))
    with pytest.raises(QueueError, match="disk is full"):
        queue.remove(batch)
    assert queue.peek() is None
    monkeypatch.undo()
    assert queue.put(numbered(3, 5)) == 0
    assert queue.count == 2
    assert drain(queue) == numbered(3, 5)
    queue.close()


def test_a_folder_is_for_one_process(tmp_path: Path) -> None:
    first, second = DiskQueue(tmp_path / "q", SIZE), DiskQueue(tmp_path / "q", SIZE)
    first.put([b"1"])
    with pytest.raises(QueueError, match="locked"):
        second.put([b"2"])
    first.close()
    second.put([b"2"])  # and the next call tries again
    assert drain(second) == [b"1", b"2"]
    second.close()


def test_what_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "q").write_text("in the way")
    queue = DiskQueue(tmp_path / "q", SIZE)
    with pytest.raises(QueueError, match="File exists"):
        queue.put([b"1"])
    queue.close()
    with pytest.raises(QueueError, match="closed"):
        queue.put([b"1"])


def test_others_cannot_read_it(tmp_path: Path) -> None:
    queue = DiskQueue(tmp_path / "q", SIZE)
    queue.put([b"1"])
    assert (tmp_path / "q").stat().st_mode & 0o777 == 0o700
    queue.close()


# -- damage ------------------------------------------------------------------------------------


def make(folder: Path, lines: int) -> Path:
    queue = DiskQueue(folder, 64 << 20)
    queue.put([b"%06d" % number + b"x" * 200 for number in range(lines)])
    queue.close()
    return folder / "queue.db"


def another_schema(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE lines (number INTEGER)")
    db.close()


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"garbage" * 5000),
        lambda path: os.truncate(path, path.stat().st_size // 2),
        lambda path: path.write_bytes(path.read_bytes()[:5000] + b"\xff" * 20_000),
        another_schema,
    ],
    ids=["garbage", "cut", "overwritten", "another schema"],
)
def test_a_damaged_file_is_set_aside_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: object
) -> None:
    path = make(tmp_path / "q", 500)
    damage(path)  # type: ignore[operator]
    queue = DiskQueue(tmp_path / "q", SIZE)
    queue.put([b"new"])
    assert drain(queue) == [b"new"]
    assert queue.count == 0
    queue.close()
    assert (tmp_path / "q" / "queue.db.damaged").exists()
    assert f"the syslog queue {path} is damaged" in caplog.text


def test_an_empty_file_and_a_torn_journal_are_no_damage(tmp_path: Path) -> None:
    path = make(tmp_path / "q", 3)
    path.with_name("queue.db-wal").write_bytes(b"torn" * 100)
    queue = DiskQueue(tmp_path / "q", SIZE)
    assert len(drain(queue)) == 3
    queue.close()
    path.write_bytes(b"")
    queue = DiskQueue(tmp_path / "q", SIZE)
    assert queue.peek() is None
    queue.close()
    assert not (tmp_path / "q" / "queue.db.damaged").exists()


# 33 and 220 damage the schema, 65 to 321 what only SQLite's check notices
@pytest.mark.parametrize("seed", [*range(10), 33, 65, 76, 204, 220, 243, 251, 321, 384])
def test_wrong_bytes_anywhere_never_stop_the_queue(tmp_path: Path, seed: int) -> None:
    path, chance = make(tmp_path / "q", 300), random.Random(seed)
    data = bytearray(path.read_bytes())
    for _ in range(chance.choice([1, 10, 200])):
        data[chance.randrange(len(data))] = chance.randrange(256)
    path.write_bytes(data)
    queue = DiskQueue(tmp_path / "q", 64 << 20)
    for line in (b"new", b"newer"):
        queue.put([line])
        assert drain(queue)[-1] == line
        assert queue.count == 0
    queue.close()


def test_a_batch_of_a_file_that_was_set_aside_removes_nothing_of_the_next(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    queue = DiskQueue(tmp_path / "q", SIZE)
    queue.put(numbered(0, 100))
    drain(queue)
    queue.put(numbered(0, 10))
    batch = queue.peek()
    assert batch is not None
    queue._drop_connection()
    (tmp_path / "q" / "queue.db").write_bytes(b"garbage" * 5000)
    queue.put(numbered(10, 15))
    queue.remove(batch)
    assert drain(queue) == numbered(10, 15)
    queue.close()
    assert caplog.records[0].levelno == logging.ERROR


def test_a_burst_far_beyond_the_bound_leaves_the_queue_mostly_full(tmp_path: Path) -> None:
    queue = DiskQueue(tmp_path / "q", SIZE)
    queue.put([b"%05d" % number + bytes(2000) for number in range(1000)])
    left = drain(queue)
    assert sum(map(len, left)) > SIZE * 0.85
    assert left[-1].startswith(b"00999")
