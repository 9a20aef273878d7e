"""The first request to KATA, and the wait for its administrator."""

from __future__ import annotations

import asyncio

from bridge.commands.clock import Clock
from bridge.commands.enrol_trust import ASK_SECONDS, Trust
from bridge.commands.terminal import reason, say
from bridge.core import Answer, CallResult, KataClient, Settings, fingerprint


def wait_for_acceptance(settings: Settings, trust: Trust, clock: Clock) -> bool:
    """Ask every Central Node until each accepts this system; False where time is up first.

    EnrolError where one of them is not the server that was confirmed.
    """
    kata = settings.kata
    waiting = _Waiting(settings, trust)
    with asyncio.Runner() as runner:
        client = KataClient(kata, f"{kata.node}.enrol.0")
        try:
            if runner.run(waiting.ask(client)):
                return True
            with clock.showing("Waiting for the KATA administrator"):
                while clock.left:
                    clock.pause(ASK_SECONDS)
                    if runner.run(waiting.ask(client)):
                        return True
        finally:
            runner.run(client.close())
    return False


class _Waiting:
    """Who has not accepted yet, and what was said of each."""

    def __init__(self, settings: Settings, trust: Trust) -> None:
        self._kata = settings.kata
        self._trust = trust
        self._open = list(dict.fromkeys(settings.kata.urls))
        self._said: dict[str, Answer] = {}

    async def ask(self, client: KataClient) -> bool:
        """Ask those who have not accepted; whether all have."""
        results = await asyncio.gather(*(self._ask(client, url) for url in self._open))
        for url, result in zip(list(self._open), results, strict=True):
            if self._said.get(url) is not result.answer:
                self._said[url] = result.answer
                self._say(url, result)
            if result.answer is Answer.OK:
                self._open.remove(url)
        return not self._open

    async def _ask(self, client: KataClient, url: str) -> CallResult:
        try:
            await asyncio.to_thread(self._trust.check, url)
        except OSError as error:
            return CallResult(Answer.UNREACHABLE, reason(error))
        return await client.states(url)

    def _say(self, url: str, result: CallResult) -> None:
        if result.answer is Answer.OK:
            say(f"{url} accepts this system.")
        elif result.answer is Answer.NOT_ACCEPTED:
            say(f"{url} has not accepted this system yet. In KATA's web interface:")
            say(f"  External systems > Server list > Accept, for sensorId {self._kata.sensor_id}")
            say(f"  (its certificate: sha256:{fingerprint(self._kata.client_cert)})")
        else:
            say(f"{url} cannot be asked: {result.detail}. It is asked again.")
