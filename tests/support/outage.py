"""What users of each service get, in a word, and the table of docs/degradation.md that says it."""

from __future__ import annotations

import itertools
import re
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from icapd.client import Answer, IcapClient

PAGE = Path(__file__).parents[2] / "docs" / "degradation.md"
MODES = ("monitor", "standard", "advanced")
METHODS = ("RESPMOD", "REQMOD")
USERS = tuple(itertools.product(MODES, METHODS))
_SECONDS = 60.0
# whether there is a preview, and what else than 200 the client takes: (preview, 204, 206)
FORMS = (
    (1024, True, False),
    (None, False, False),
    (1024, False, False),
    (None, True, False),
    (1024, False, True),
)

User = tuple[str, str]
Table = dict[tuple[str, str], dict[User, str]]


def services(hold: str) -> dict[str, Any]:
    """A service for each mode and method, named `mode/method`."""
    return {
        service(mode, method): {"method": method, "mode": mode}
        | ({} if mode == "monitor" else {"hold": hold})
        for mode, method in USERS
    }


def service(mode: str, method: str) -> str:
    """Its path."""
    return f"{mode}/{method.lower()}"


@dataclass(frozen=True, slots=True)
class Question:
    """One object on its way through one service. `form`: a number that picks one of FORMS."""

    mode: str
    method: str
    body: bytes
    form: int = 0

    @property
    def head(self) -> bytes:
        """The HTTP head that the body belongs to."""
        start = "HTTP/1.1 200 OK" if self.method == "RESPMOD" else "POST http://h/up HTTP/1.1"
        return f"{start}\r\nContent-Length: {len(self.body)}\r\nETag: x\r\n\r\n".encode()

    def ask(self, port: int) -> str:
        """What its user sees, in a word of the table; `cut` or `broken` where it is none."""
        preview, allow_204, allow_206 = FORMS[self.form % len(FORMS)]
        path = service(self.mode, self.method)
        try:
            with IcapClient("127.0.0.1", port, timeout=_SECONDS) as client:
                if self.method == "REQMOD":
                    answer = client.reqmod(
                        path,
                        self.head,
                        self.body,
                        preview=preview,
                        allow_204=allow_204,
                        allow_206=allow_206,
                    )
                else:
                    answer = client.respmod(
                        path,
                        f"GET http://h/{hash(self.body)} HTTP/1.1\r\n\r\n".encode(),
                        self.head,
                        self.body,
                        preview=preview,
                        allow_204=allow_204,
                        allow_206=allow_206,
                    )
        except ConnectionError:
            return "cut"
        return self._word(answer)

    def _word(self, answer: Answer) -> str:
        if answer.status == 204:
            return "pass"
        head = answer.http_head
        if answer.body != self.body:
            return str(head.status) if head.status in (403, 503) else "broken"
        if head.raw == self.head:
            return "pass"
        kept_out = head.status == 200 and head.all("cache-control") == ["no-store"]
        return "pass, no-store" if kept_out else "broken"


def documented(heading: str) -> Table:
    """The table below a heading: by (KATA, object), what the user of each service sees."""
    rows = _rows(PAGE.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0])
    users = [_user(name) for name in next(rows)[2:]]
    assert sorted(users) == sorted(USERS), "a service is missing"
    return {(row[0], row[1]): dict(zip(users, row[2:], strict=True)) for row in rows}


def _rows(text: str) -> Iterator[list[str]]:
    for line in text.splitlines():
        if line.startswith("|") and not line.startswith("|-"):
            yield [re.sub(r"[`*]", "", cell).strip() for cell in line.strip("|").split("|")]


def _user(name: str) -> User:
    mode, method = name.split()
    return mode, method


def metrics(port: int) -> dict[str, float]:
    """Every sample by its name with labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    found = re.findall(r"^(\w+(?:\{.*\})?) (\S+)$", text, re.MULTILINE)
    return {name: float(value) for name, value in found}
