"""One small file for a Central Node, to see whether it takes any. Blocks: network.

Nobody waits for the verdict.
"""

from __future__ import annotations

import asyncio
import contextlib

from bridge.commands.checking.line import Line, failed, ok, warning
from bridge.core import Answer, CallResult, KataClient, new_scan_id, trial_item

_SECONDS = 8.0
_FORGET = 3.0
_AREA = "kata"
_NAME = "katabridge-check.txt"
_TAKES = "takes files"
_BUSY = "says that it is busy"
_SLOWLY = "did not take a file"
_LOOK = (
    "see what stands between this machine and the Central Node (a relay, a firewall) and turns "
    "uploads back, and the Central Node's own log: its disk, its licence"
)
SLOW = CallResult(Answer.UNREACHABLE, f"no answer within {_SECONDS:.0f} s")


async def try_file(client: KataClient, url: str) -> CallResult:
    """What a node says to a file that it cannot know, or SLOW; it is told to forget it again."""
    scan_id = new_scan_id()
    try:
        async with asyncio.timeout(_SECONDS):
            result = await client.submit(url, scan_id, trial_item(_NAME))
    except TimeoutError:
        result = SLOW
    if result.answer in (Answer.OK, Answer.FAULT, Answer.UNREACHABLE):  # it may have it
        with contextlib.suppress(TimeoutError):  # what stays there hurts nobody
            async with asyncio.timeout(_FORGET):
                await client.delete(url, scan_id)
    return result


def judge_trial(url: str, result: CallResult) -> Line:
    """Whether files are taken. Pure."""
    if result is SLOW:
        sentence = f"{url} {_SLOWLY} within {_SECONDS:.0f} s; the daemons wait longer"
        return warning(_AREA, sentence, _LOOK)
    if result.answer is Answer.OK:
        return ok(_AREA, f"{url} {_TAKES}: it took one just now, whose verdict is not waited for")
    if result.answer is Answer.BUSY:
        sentence = f"{url} {_BUSY}, and takes no file just now: {result.detail}"
        return warning(_AREA, sentence, "see KATA's load; files wait meanwhile")
    # only an answer names the call that it is one to
    call = "submit: " if result.answer is Answer.UNREACHABLE else ""
    return failed(_AREA, f"KATA takes no files: {call}{result.detail} ({url})", _LOOK)


def says_takes_files(line: Line) -> bool:
    """Whether it says that a node takes files. Pure."""
    return line.area == _AREA and _TAKES in line.sentence


def why_not_now(line: Line) -> str | None:
    """Why a node is to get no more just now, where it says so. Pure."""
    if line.area == _AREA and _BUSY in line.sentence:
        return "kata is busy"
    return "kata is slow" if line.area == _AREA and _SLOWLY in line.sentence else None
