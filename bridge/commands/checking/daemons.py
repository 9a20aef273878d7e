"""Whether `kata-bridge watch` runs, and watches what it is to.

By its status page, and where it has none by the lock that it holds. Blocks: disk, network.
"""

from __future__ import annotations

from collections.abc import Iterator

from bridge.commands.checking.line import Line, ok, skipped, warning
from bridge.commands.checking.pages import By, Pages
from bridge.commands.checking.watched import compare, judge_files, told_folders
from bridge.core import Door, Settings, door_runs

_AREA = "watch"


def look_at_watch(settings: Settings, pages: Pages) -> Iterator[Line]:
    """Said where folders are configured."""
    if not settings.folders:
        return
    node, page = settings.kata.node, pages.of("watch")
    told = told_folders(page)
    if told is not None:
        yield ok(_AREA, f"`kata-bridge watch` of node {node} runs")
        yield from compare(settings.folders, told)
        yield from judge_files(page, told)
        return
    try:
        held = door_runs(settings.spool.dir, node, Door.FOLDER)
    except OSError as error:
        yield skipped(_AREA, f"whether it runs cannot be seen: {error.strerror}")
        return
    if held:
        why = "has no status page" if page.by is By.UNASKED else "cannot be asked"
        sentence = f"`kata-bridge watch` of node {node} runs; it {why} (status.watch), so that "
        yield ok(_AREA, f"{sentence}its folders are not compared with the configuration")
    else:
        sentence = f"no `kata-bridge watch` of node {node} runs here: files stay in input"
        yield warning(_AREA, sentence, "start it, unless it is called by cron (--once)")
