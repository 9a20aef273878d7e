"""A stand-in for a daemon's status page: the real assets, invented answers, the same policy.

`python -m tests.support.status_api [PORT [SCENE [PROGRAM]]]` serves it for a look by hand.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from bridge.core import parse_duration
from tests.support import status_data as data

ASSETS = Path(__file__).parents[2] / "bridge" / "status" / "assets"
TOKEN = "a-token-of-the-stand-in"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
_CONTAINED = ("name", "user", "url")
_EQUAL = ("case", "outcome", "decision", "door")


class Refusal(Exception):
    """An answer that is an error: status and sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class StatusApi:
    """Serves page and API on `url` of 127.0.0.1 while it is entered.

    `scene`, `program`, `token_set` and `records` may be changed at any time. `partly`: so many
    records are looked at in one search, which is then not complete. `away`: nobody is answered.
    `missing`: logs that cannot be read, each with a sentence; `store_fault`: why the verdict store
    fails. `asked` holds all paths, `shown` the Authorization fields.
    """

    def __init__(self, port: int = 0) -> None:
        self.scene = "works"
        self.program = "icapd"
        self.token_set = True
        self.partly: int | None = None
        self.away = False
        self.records = data.history(time.time())
        self.store_fault: str | None = None
        self.missing: dict[str, str] = {}
        self.verdicts: dict[str, dict[str, Any] | None] = {}
        self.asked: list[str] = []
        self.shown: list[str] = []
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.ours = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> StatusApi:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, path: str, query: dict[str, str], shown: str, sent: Any) -> Any:
        """What the API says; Refusal where it refuses."""
        now = time.time()
        if path == "/api/live":
            return data.live(now, self.program, self.scene, token_set=self.token_set)
        if path == "/api/series":
            span = query.get("span", "hour")
            away, empty = self.scene == "away", self.scene == "empty"
            return data.series(span, now, away=away, empty=empty)
        if not self.token_set:
            raise Refusal(401, "no token is configured (status.token)")
        if shown != f"Bearer {TOKEN}":
            raise Refusal(401, "the token of the configuration is needed")
        return self._guarded(path, query, sent, now)

    def _guarded(self, path: str, query: dict[str, str], sent: Any, now: float) -> Any:
        if path == "/api/history":
            return self._history(query)
        kind, _, name = path.removeprefix("/api/").partition("/")
        name = unquote(name)
        if kind == "case":
            return self._case(name, now)
        if kind == "known":
            return {"known": self._change(name, sent, now)}
        raise Refusal(404, "there is nothing of that name")

    def _history(self, query: dict[str, str]) -> dict[str, Any]:
        begin = int(query.get("cursor", "0"))
        limit = int(query.get("limit", "50"))
        end = len(self.records) if self.partly is None else begin + self.partly
        numbered = list(enumerate(self.records[begin:end], begin + 1))
        fitting = [(at, record) for at, record in numbered if _fits(record, query)][:limit]
        found = [record for _, record in fitting]
        at = fitting[-1][0] if len(found) == limit else min(end, len(self.records))
        more = at < len(self.records)
        return {
            "cases": found,
            "cursor": str(at) if more else None,
            "searched_to": self.records[at - 1]["time"] if at else None,
            "complete": len(found) == limit or not more,
        }

    def _case(self, case: str, now: float) -> dict[str, Any]:
        if len(case) != 16 or not case.isalnum():
            raise Refusal(400, f"{case!r} is no case number")
        record = next((each for each in self.records if each["case"] == case), None)
        if record is None or "log-history.log" in self.missing:
            nothing: dict[str, Any] = {"record": None, "detections": [], "known": None, "log": []}
            return nothing | {"acts": [], "complete": True, "missing": self.missing}
        detects = record["outcome"] == "detect" and "log-detects.log" not in self.missing
        late = record | {"late": True, "time": data.stamp(now), "threat": "<b>Late</b>.Threat"}
        known = self.verdicts.get(record["sha256"] or "", data.known(now) if detects else None)
        return {
            "record": record,
            "detections": [late, record] if detects else [],
            "acts": _acts(self.records, case),
            "complete": True,
            "missing": self.missing,
            "known": None if self.store_fault else known,
            "known_fault": self.store_fault,
            "log": data.log_of(record),
        }

    def _change(self, sha256: str, sent: Any, now: float) -> dict[str, Any] | None:
        if self.store_fault:
            raise Refusal(503, self.store_fault)
        if len(sha256) != 64:
            raise Refusal(400, "a sha256 has 64 hex digits")
        if sent == {"do": "forget"}:
            self.verdicts[sha256] = None
        elif sent.get("do") == "allow":
            days = parse_duration(sent["for"]) / data.DAY
            self.verdicts[sha256] = data.known(now, "not_detected", days)
        else:
            raise Refusal(400, '"do" must be "forget" or "allow"')
        return self.verdicts[sha256]


def _acts(records: list[dict[str, Any]], case: str) -> list[dict[str, Any]]:
    """What people did with the file of a case, also after it was judged anew."""
    found = [each for each in records if each["context"].get("quarantined_as") == case]
    anew = [e["case"] for e in found if (e["source"], e["decision"]) == ("kata", "block")]
    return [*(act for each in anew for act in _acts(records, each)), *found]


def _fits(record: dict[str, Any], query: dict[str, str]) -> bool:
    context = record["context"]
    texts = {**record, "user": context.get("user"), "url": context.get("url")}
    when = datetime.fromisoformat(record["time"]).timestamp()
    return (
        all(query[k].lower() in (texts[k] or "").lower() for k in _CONTAINED if k in query)
        and all(record[key] == query[key] for key in _EQUAL if key in query)
        and query.get("user_is", texts["user"] or "").lower() == (texts["user"] or "").lower()
        and (record["sha256"] or "").startswith(query.get("hash", ""))
        and (context.get("client_ip") or "").startswith(query.get("client", ""))
        and float(query.get("since", "0")) <= when < float(query.get("until", "inf"))
    )


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    ours: StatusApi


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self._do(None)

    def do_POST(self) -> None:
        self._do(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _do(self, sent: Any) -> None:
        ours = self.server.ours
        if ours.away:
            self.close_connection = True
            return
        ours.asked.append(self.path)
        path = urlsplit(self.path).path
        with contextlib.suppress(ConnectionError):  # a browser that leaves a page waits for nothing
            if path.startswith("/api/"):
                self._send(*self._answer(ours, path, sent))
            else:
                self._send(*_asset(path))

    def _answer(self, ours: StatusApi, path: str, sent: Any) -> tuple[int, str, bytes]:
        query = dict(parse_qsl(urlsplit(self.path).query))
        shown = self.headers.get("Authorization", "")
        ours.shown.append(shown)
        try:
            status, said = 200, ours.answer(path, query, shown, sent)
        except Refusal as refusal:
            status, said = refusal.status, {"error": str(refusal)}
        return status, "application/json", json.dumps(said).encode()

    def _send(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        del format, args


def _asset(path: str) -> tuple[int, str, bytes]:
    name = path.removeprefix("/assets/") if path != "/" else "index.html"
    file = ASSETS / name
    if "/" in name or not file.is_file():
        return 404, "text/plain", b"there is nothing of that name"
    return 200, f"{_TYPES[file.suffix]}; charset=utf-8", file.read_bytes()


def main() -> None:
    """Serve until interrupted."""
    port, scene, program = [*sys.argv[1:], *("8344", "works", "icapd")[len(sys.argv) - 1 :]]
    with StatusApi(int(port)) as api:
        api.scene, api.program = scene, program
        print(f"{api.url} (token {TOKEN})")
        threading.Event().wait()


if __name__ == "__main__":
    main()
