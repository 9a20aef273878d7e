"""A strict reader of ICAP answers: nothing is forgiven that RFC 3507 does not allow."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

_STATUS_LINE = re.compile(rb"ICAP/1\.0 ([1-5][0-9]{2}) [^\x00-\x1f\x7f]*")
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):([^\x00-\x08\x0a-\x1f\x7f]*)")
_ENTRY = re.compile(r"(req-hdr|res-hdr|req-body|res-body|opt-body|null-body)=(0|[1-9][0-9]*)")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})((?:[ \t]*;[^\x00-\x08\x0a-\x1f\x7f]*)?)")
_ORIGINAL = re.compile(rb";[ \t]*use-original-body=([0-9]{1,15})[ \t]*", re.IGNORECASE)
_ONLY_ONCE = ("encapsulated", "istag", "preview", "options-ttl", "max-connections", "date")
_ISTAG = re.compile(r'"[^"]{1,32}"')

Entries = tuple[tuple[str, int], ...]


class Wrong(Exception):
    """The answer breaks a rule; its text says which."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. `fields` are in order and as spelled; `size` is its length on the wire.

    `body` is None for a null-body; `original` is the offset that a 206 goes on from in the
    client's own copy; `trailers` are the lines behind the last chunk.
    """

    status: int
    fields: tuple[tuple[str, str], ...]
    entries: Entries | None
    request_head: bytes | None
    response_head: bytes | None
    body: bytes | None
    original: int | None
    trailers: bytes
    size: int

    def values(self, name: str) -> list[str]:
        """All values of a field; `name` is lower-case."""
        return [value for key, value in self.fields if key.lower() == name]

    def items(self, name: str) -> list[str]:
        """The items of a list field, its repetitions merged."""
        joined = ",".join(self.values(name))
        return [item.strip() for item in joined.split(",") if item.strip()]

    @property
    def closes(self) -> bool:
        """Whether it announces that the connection ends."""
        return "close" in [item.lower() for item in self.items("connection")]


def read_answer(raw: bytes) -> Answer:
    """The answer at the front of `raw`; Wrong where it is none, or is cut off."""
    block, end, _ = raw.partition(b"\r\n\r\n")
    if not end:
        raise Wrong("the head of the answer does not end with CRLF CRLF")
    status, fields = _read_head(block)
    position = len(block) + 4
    entries = _read_entries(fields)
    heads = {"req-hdr": None, "res-hdr": None} | _read_http_heads(raw[position:], entries or ())
    position += entries[-1][1] if entries else 0
    body, original, trailers = None, None, b""
    if entries and entries[-1][0] != "null-body":
        body, original, trailers, position = _read_chunks(raw, position)
    return Answer(
        status,
        fields,
        entries,
        heads["req-hdr"],
        heads["res-hdr"],
        body,
        original,
        trailers,
        position,
    )


def check_fields(answer: Answer) -> str | None:
    """What is wrong with the ICAP head of an answer that is not 100."""
    if answer.values("transfer-encoding"):
        return "Transfer-Encoding in the ICAP head"
    tags = answer.values("istag")
    if not tags and answer.status < 400:  # cases of their own look for it on errors
        return "no ISTag"
    if tags and not _ISTAG.fullmatch(tags[0]):
        return f"ISTag is not a quoted string of at most 32 bytes: {tags[0]}"
    return None


def _read_head(block: bytes) -> tuple[int, tuple[tuple[str, str], ...]]:
    lines = block.split(b"\r\n")
    match = _STATUS_LINE.fullmatch(lines[0])
    if match is None:
        raise Wrong(f"not an ICAP status line: {lines[0][:60]!r}")
    fields = []
    for line in lines[1:]:
        field = _FIELD.fullmatch(line)
        if field is None:
            raise Wrong(f"not a header field: {line[:60]!r}")
        fields.append((field[1].decode("ascii"), field[2].decode("latin-1").strip(" \t")))
    names = [name.lower() for name, _ in fields]
    for name in _ONLY_ONCE:
        if names.count(name) > 1:
            raise Wrong(f"{name} is repeated")
    return int(match[1]), tuple(fields)


def _read_entries(fields: tuple[tuple[str, str], ...]) -> Entries | None:
    value = next((value for name, value in fields if name.lower() == "encapsulated"), None)
    if value is None:
        return None
    entries = []
    for part in value.split(","):
        match = _ENTRY.fullmatch(part.strip(" \t"))
        if match is None:
            raise Wrong(f"Encapsulated: {value}")
        entries.append((match[1], int(match[2])))
    offsets = [offset for _, offset in entries]
    bodies = [name.endswith("-body") for name, _ in entries]
    if offsets[0] != 0 or sorted(offsets) != offsets or bodies.index(True) != len(bodies) - 1:
        raise Wrong(f"Encapsulated: {value}")
    if len({name for name, _ in entries}) != len(entries):
        raise Wrong(f"Encapsulated: {value}")
    return tuple(entries)


def _read_http_heads(rest: bytes, entries: Entries) -> dict[str, bytes | None]:
    heads: dict[str, bytes | None] = {}
    for (name, offset), (_, end) in pairwise(entries):
        head = rest[offset:end]
        if head.find(b"\r\n\r\n") != len(head) - 4:
            raise Wrong(f"the offsets around {name} do not match what was sent")
        heads[name] = head
    return heads


def _read_chunks(raw: bytes, position: int) -> tuple[bytes, int | None, bytes, int]:
    pieces = []
    while True:
        end = raw.find(b"\r\n", position)
        line = raw[position:end] if end >= 0 else b""
        match = _CHUNK.fullmatch(line)
        if match is None:
            raise Wrong(f"not a chunk size: {raw[position : position + 40]!r}")
        size, position = int(match[1], 16), end + 2
        if not size:
            break
        if raw[position + size : position + size + 2] != b"\r\n":
            raise Wrong("a chunk is not as long as its size says, or the answer is cut in it")
        pieces.append(raw[position : position + size])
        position += size + 2
    if b"ieof" in match[2].lower():
        raise Wrong("ieof in an answer")
    original = _ORIGINAL.search(match[2])
    if raw.startswith(b"\r\n", position):
        trailers, position = b"", position + 2
    else:
        end = raw.find(b"\r\n\r\n", position)
        if end < 0:
            raise Wrong("the body of the answer does not end")
        trailers, position = raw[position : end + 2], end + 4
    return b"".join(pieces), int(original[1]) if original else None, trailers, position
