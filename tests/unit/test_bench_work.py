"""The requests of the benchmark: as the protocol reads them, and no two alike."""

from __future__ import annotations

import re

import pytest

from icapd.protocol import BodyEnd, Data, PreviewEnd, Request, ServerConnection
from tests.bench.work import CONTENTS, WORKS, Requests, Work

NUMBERS = (0, 7, 12345)


def by_name(works: tuple[Work, ...]) -> list[object]:
    return [pytest.param(work, id=work.name) for work in works]


@pytest.mark.parametrize("work", by_name(WORKS))
@pytest.mark.parametrize("number", NUMBERS)
def test_a_request_is_what_the_work_says(work: Work, number: int) -> None:
    requests, server = Requests(work), ServerConnection()
    content = number % CONTENTS
    server.receive_data(requests.head(number) + requests.first[content])
    request = server.next_event()
    assert isinstance(request, Request)
    body = b""
    while not isinstance(event := server.next_event(), BodyEnd):
        if isinstance(event, PreviewEnd):
            assert work.continues
            assert len(body) == work.preview
            server.send_continue()
            server.receive_data(requests.rest[content])
        else:
            assert isinstance(event, Data)
            body += event.data
    assert body == requests.bodies[content]
    assert len(body) == work.size
    assert server.may_204 is (work.allow_204 or (work.preview or 0) >= work.size)
    assert server.buffered == 0


def test_requests_differ_in_client_and_url() -> None:
    requests = Requests(WORKS[0])
    heads = [requests.head(number) for number in range(1000)]
    assert len({len(head) for head in heads}) == 1
    assert len(set(re.findall(rb"X-Client-IP: (\S+)", b"".join(heads)))) == 250
    assert len(set(re.findall(rb"GET (\S+)", b"".join(heads)))) == 1000
