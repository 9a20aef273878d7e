"""Pseudonyms for who is named in logs: the same one for the same person, file by file. Pure."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from typing import Any

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#\s\"]*))([/?#][^\s\"]*?)(?=,?(?:[\s\"]|\Z))")
_VERDICT = re.compile(r"client (\S+), user (.*?), ([A-Za-z-]+) (-|\S*[:/]\S*)")
_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,8}\Z")
_SIGNS = 10


class Pseudonyms:
    """Names by a key that is made here and never kept: nobody can try out who it was."""

    def __init__(self, central_nodes: tuple[str, ...] = ()) -> None:
        """`central_nodes`: URLs whose paths are nobody's secret."""
        self._key = secrets.token_bytes(32)
        self._nodes = tuple(node.lower() for node in central_nodes)

    def of(self, kind: str, value: str) -> str:
        """`user-0f3a…`, the same for the same value."""
        digest = hmac.new(self._key, f"{kind}:{value}".encode("utf-8", "replace"), hashlib.sha256)
        return f"{kind}-{digest.hexdigest()[:_SIGNS]}"

    def line(self, line: str) -> str:
        """A line of a log without its end, with pseudonyms. A damaged record is left out."""
        if not line.startswith("{"):
            return self._text(line)
        try:
            record = json.loads(line)
        except ValueError:
            return "[a damaged line was left out]"
        return json.dumps(self._record(record), separators=(",", ":"))

    def _record(self, record: dict[str, Any]) -> dict[str, Any]:
        context = record.get("context")
        if isinstance(context, dict):
            for key, kind in (("client_ip", "client"), ("user", "user"), ("by", "user")):
                if context.get(key):
                    context[key] = self.of(kind, str(context[key]))
            if record.get("door") == "ICAP" and record.get("name"):  # the end of its URL
                record["name"] = self._name(str(record["name"]))
        return {key: self._value(value) for key, value in record.items()}

    def _value(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._value(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._value(inner) for inner in value]
        return self._urls(value) if isinstance(value, str) else value

    def _name(self, name: str) -> str:
        ending = _EXTENSION.search(name)
        return self.of("name", name) + (ending[0] if ending else "")

    def _text(self, line: str) -> str:
        return self._urls(_VERDICT.sub(self._verdict, line))

    def _verdict(self, match: re.Match[str]) -> str:
        client, user, method, url = match.groups()
        client = client if client == "-" else self.of("client", client)
        user = user if user == "-" else self.of("user", user)
        return f"client {client}, user {user}, {method} {url}"

    def _urls(self, text: str) -> str:
        return _URL.sub(self._url, text)

    def _url(self, match: re.Match[str]) -> str:
        if match[1].lower() in self._nodes or match[2] == "/":
            return match[0]
        return f"{match[1]}/{self.of('path', match[2])}"
