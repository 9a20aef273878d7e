"""What a process tells of its descriptors, down to the last one."""

from __future__ import annotations

import contextlib
import errno
import gc
import multiprocessing
import os
import resource
from collections.abc import Iterator
from typing import NoReturn

import pytest
from prometheus_client import CollectorRegistry

from bridge.core import Metrics
from bridge.core.process import Descriptors, descriptors


@contextlib.contextmanager
def few_left(spare: int) -> Iterator[None]:
    """A lower limit, below which so many are left."""
    gc.collect()  # what other tests left open is not to be closed meanwhile
    gc.disable()
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    opened = [os.open(os.devnull, os.O_RDONLY)]
    most = max(int(each.name) for each in os.scandir("/proc/self/fd")) + 40
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, before[1]))
        with contextlib.suppress(OSError):
            while True:
                opened.append(os.dup(opened[0]))
        for _ in range(spare):
            os.close(opened.pop())
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for each in opened:
            os.close(each)
        gc.enable()


def of(registry: CollectorRegistry, name: str) -> float | None:
    return registry.get_sample_value(name)


@pytest.mark.parametrize("spare", [0, 1, 5])
def test_figures_are_right_to_the_last_descriptor(spare: int) -> None:
    # forked: threads that other tests left close descriptors of this process meanwhile
    child = multiprocessing.get_context("fork").Process(target=check_figures, args=(spare,))
    child.start()
    child.join(60)
    assert child.exitcode == 0


def check_figures(spare: int) -> None:
    registry = Metrics().registry
    with few_left(spare):
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        told = descriptors()
        figures = [of(registry, name) for name in ("process_open_fds", "process_max_fds")]
        used = of(registry, "katabridge_descriptors_used_ratio")
        memory = of(registry, "process_resident_memory_bytes")
    assert told == (limit - spare, limit)
    assert figures == [limit - spare, limit]
    assert used == pytest.approx((limit - spare) / limit)
    assert memory is not None  # the last that could be read
    assert memory > 1 << 20


def test_what_the_system_does_not_tell_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(path: str) -> NoReturn:
        raise OSError(errno.ENFILE, "Too many open files in system", path)

    monkeypatch.setattr(os, "scandir", none)
    assert descriptors() is None
    assert of(Metrics().registry, "katabridge_descriptors_used_ratio") is None


def test_the_part_that_is_used() -> None:
    assert Descriptors(50, 200).used == 0.25
    assert Descriptors(300, 200).used == 1  # the limit was lowered
    assert Descriptors(50, -1).used == 0
