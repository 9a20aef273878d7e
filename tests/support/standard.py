"""A bad object that passes in standard mode before its verdict, and is asked for again."""

from __future__ import annotations

from tests.support.gateway import Serving
from tests.support.processes import wait_until
from tests.support.squid import Fetched, Squid

_CACHEABLE = {
    "Cache-Control": "max-age=3600",
    "ETag": '"1"',
    "Last-Modified": "Mon, 05 Jan 2026 10:00:00 GMT",
}


def fetch_twice(serving: Serving, squid: Squid, path: str, body: bytes) -> Fetched:
    """Passes whole without a verdict, is told of once there is one; the next look, by no cache.

    `body`: what KATA finds bad, later than the service's hold. `squid` has its cache on.
    """
    origin, site = serving.origin, serving.site
    origin.served[path], origin.fields[path] = body, _CACHEABLE
    url = origin.url(path)
    first = squid.curl(url)
    assert (first.exit_code, first.status, first.body) == (0, 200, body), first

    def late() -> list[dict[str, object]]:
        return [each for each in site.records("log-detects.log") if each["context"]["url"] == url]

    wait_until(late, "the late detection", 20)
    (line,) = late()
    assert line["outcome"] == "detect"
    assert line["context"]["client_ip"] == "127.0.0.1"  # type: ignore[index]
    told = [each for each in serving.icapd.output().splitlines() if "LATE DETECTION" in each]
    (own,) = [each for each in told if url in each]
    assert "127.0.0.1" in own

    second = squid.curl(url)
    wait_until(lambda: len(_results(squid, path)) == 2, "both lines in access.log")
    results = _results(squid, path)
    assert not [each for each in results if "HIT" in each], results
    assert [each for each, _ in origin.asked].count(path) == 2
    assert len([scan for scan in serving.kata.memory.submitted if scan.size == len(body)]) == 1
    return second


def _results(squid: Squid, path: str) -> list[str]:
    return [line.split()[3] for line in squid.access_log() if path in line]
