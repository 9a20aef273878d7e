"""A delivery once begun is done to the end, however often its watcher is told to end."""

from __future__ import annotations

import asyncio
from typing import cast

from bridge.core import Core
from bridge.folder.transfer import Parts, Transfer


def test_a_cancel_while_deliveries_are_waited_for_cuts_off_none() -> None:
    async def main() -> bool:
        transfer = Transfer(cast("Core", None), cast("Parts", FakeParts()))
        may_end = asyncio.Event()
        delivery = transfer._begin(may_end.wait())
        waiting = asyncio.create_task(transfer.finish_deliveries())
        for _ in range(3):
            await asyncio.sleep(0)
            waiting.cancel()
        await asyncio.sleep(0)
        assert not waiting.done()
        may_end.set()
        await asyncio.wait_for(waiting, 30)
        return await delivery

    assert asyncio.run(main())


class FakeParts:
    """Of a folder where nothing is done."""

    folder = claims = None
