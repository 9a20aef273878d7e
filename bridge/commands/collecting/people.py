"""Pseudonyms for who is named in logs: the same one for the same person, file by file. Pure."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import re
import secrets
from collections.abc import Mapping
from typing import Any

_URL = re.compile(
    r"([A-Za-z][A-Za-z0-9+.-]{0,20}://)([^/?#\\\s\"']*)([/?#\\\"'][^\s]*?)?(?=,?(?:\s|\Z))"
)
_WHOLE_URL = re.compile(r"((?:[A-Za-z][A-Za-z0-9+.-]*:)?//)([^/?#\\\s\"']*)(.*)", re.S)
_HOST = re.compile(r"-|\*|\[[0-9A-Fa-f:.]+\](?::\d+)?|[A-Za-z0-9.-]+(?::\d+)?")
_VERDICT = re.compile(r"\bclient (\S+), user (.*?), ([^\s,:/]+) (-(?=,|\Z)|\S*[:/]\S*)(.*)", re.S)
_WHO = re.compile(r"\bclient \S+, user .*", re.S)
_ADDRESS = re.compile(
    r"(?<!proxy )(?<!proxy \[)(?<![\w.:/-])"
    r"(?:\d{1,3}(?:\.\d{1,3}){3}(?![\w.]*\d)|(?=[0-9A-Fa-f]*:[0-9A-Fa-f.]*:)[0-9A-Fa-f:.]{2,45})"
)
_USER = re.compile(
    r"\b(user[ =:]+[\"']?)(?!(?:may|is|was|has|who|of|and|or|user-[0-9a-f]{10})\b)([^\s,;\"']+)"
)
_ABOUT = re.compile(r"(about URLs with )('[^']*'|\"[^\"]*\")")
_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,8}\Z")
_OURS = ("proxy", "node", "version", "time")  # what these say stays
_SIGNS = 10
_LEAST = 3  # a shorter value would be found everywhere


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
            return json.dumps(self._record(json.loads(line)), separators=(",", ":"))
        except (ValueError, RecursionError):
            return "[a damaged line was left out]"

    def _record(self, record: dict[str, Any]) -> dict[str, Any]:
        context = record.get("context")
        known: dict[str, str] = {}
        if isinstance(context, dict):
            for key, kind in (("client_ip", "client"), ("user", "user"), ("by", "user")):
                if context.get(key):
                    known[str(context[key])] = self.of(kind, str(context[key]))
            if context.get("url"):
                known[str(context["url"])] = self._whole_url(str(context["url"]))
        if record.get("door") == "ICAP" and record.get("name"):  # the end of its URL
            known[str(record["name"])] = self._name(str(record["name"]))
        return {key: self._value(key, value, known) for key, value in record.items()}

    def _value(self, key: str, value: Any, known: Mapping[str, str]) -> Any:
        if isinstance(value, dict):
            return {each: self._value(each, inner, known) for each, inner in value.items()}
        if isinstance(value, list):
            return [self._value(key, inner, known) for inner in value]
        if value is None or isinstance(value, bool) or key in _OURS:
            return value
        if str(value) in known:
            return known[str(value)]
        return self._words(value, known) if isinstance(value, str) else value

    def _words(self, text: str, known: Mapping[str, str]) -> str:
        """A text of a record, in which what the record names may stand, too."""
        for value in sorted(known, key=len, reverse=True):
            if len(value) >= _LEAST and value in text:
                text = text.replace(value, known[value])
        return text if text.isalnum() else self._loose(text)

    def _name(self, name: str) -> str:
        ending = _EXTENSION.search(name)
        return self.of("name", name) + (ending[0] if ending else "")

    def _text(self, line: str) -> str:
        begin = _WHO.search(line)
        if begin is None:
            return self._loose(line)
        match = _VERDICT.match(line, begin.start())
        if match is None:  # who knows where its user ends
            return self._loose(line[: begin.start()]) + self.of("request", begin[0])
        client, user, method, url, rest = match.groups()
        if url.endswith(",") and rest:
            url, rest = url[:-1], f",{rest}"
        elif not rest.startswith(","):  # it holds blanks
            url, rest = url + rest, ""
        client = client if client == "-" else self.of("client", client)
        user = user if user == "-" else self.of("user", user)
        who = f"client {client}, user {user}, {method} {self._whole_url(url)}"
        return self._loose(line[: match.start()]) + who + self._loose(rest)

    def _whole_url(self, url: str) -> str:
        """What stands where a URL is expected: its host stays."""
        match = _WHOLE_URL.fullmatch(url)
        if match is None:
            return url if _HOST.fullmatch(url) else f"/{self.of('path', url)}"
        return self._url(match)

    def _loose(self, text: str) -> str:
        """A text of anybody's without what looks like a URL, an address or a user."""
        text = _URL.sub(self._url, text)
        if "user" in text:
            text = _USER.sub(lambda match: match[1] + self.of("user", match[2]), text)
        text = _ABOUT.sub(lambda match: match[1] + self.of("path", match[2]), text)
        return _ADDRESS.sub(self._address, text)

    def _url(self, match: re.Match[str]) -> str:
        scheme, host, path = match.groups()
        host = host.rpartition("@")[2]
        if not path or path == "/" or f"{scheme}{host}".lower() in self._nodes:
            return f"{scheme}{host}{path or ''}"
        return f"{scheme}{host}/{self.of('path', path)}"

    def _address(self, match: re.Match[str]) -> str:
        found = match[0].rstrip(".:")
        try:
            address = ipaddress.ip_address(found)
        except ValueError:
            return match[0]
        if address.is_loopback or address.is_unspecified:
            return match[0]
        return self.of("client", found) + match[0][len(found) :]
