"""What of a body is to be judged: itself, what it decodes to, or the files of a form."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.core import (
    Body,
    ContentSettings,
    Item,
    Outcome,
    OutcomeKind,
    Source,
    Spool,
    SpoolError,
    unavailable,
)
from icapd.contents.chain import Bound, DecodingError
from icapd.contents.codings import UnreadableError, codings, mentions, unfolded
from icapd.contents.decoding import decode
from icapd.contents.fields import FORM_DATA, URL_ENCODED, MalformedError, boundary, media_types
from icapd.contents.forms import TooManyPartsError
from icapd.contents.parts import Part
from icapd.contents.uploads import is_url_encoded, split_form
from icapd.protocol import HttpHead

_FORMS = (FORM_DATA, URL_ENCODED)


@dataclass(frozen=True, slots=True)
class Found:
    """One thing to be judged; the caller releases `item.body`.

    `note` is for the record: what it is of the body that came; None: that body itself.
    """

    item: Item
    note: str | None = None


def needs_unpacking(carrying: HttpHead) -> bool:
    """Whether `unpack` may find anything else than the body itself. Cheap; in doubt True."""
    if not mentions(carrying, b"content-encoding", b"form-"):
        return False
    head = unfolded(carrying)
    try:
        return bool(codings(head)) or _form_types(head) != []
    except UnreadableError:
        return True


async def unpack(
    spool: Spool, item: Item, carrying: HttpHead, *, limits: ContentSettings, max_size: int
) -> list[Found] | Outcome:
    """What is to be judged of a body that is not empty, or an Outcome that needs no judging.

    `carrying` is the HTTP head that the body belongs to; `max_size` bytes may come out of it.
    The body of `item` stays the caller's, and each `Found` holds its own once more.
    """
    head = unfolded(carrying)
    try:
        bound = Bound(item.size, max_size, limits.max_ratio)
        whole = await _decoded(spool, item, codings(head), bound)
    except (UnreadableError, DecodingError) as error:
        return Outcome(OutcomeKind.ERROR, Source.RULE, str(error), rule="content-encoding")
    except SpoolError as error:
        return unavailable(str(error))
    keep = False
    try:
        found = await _inside(spool, whole, head, limits)
        keep = isinstance(found, list) and whole in found
    except SpoolError as error:
        return unavailable(str(error))
    finally:
        if not keep:
            whole.item.body.release()
    return found


async def _decoded(spool: Spool, item: Item, layers: list[str], bound: Bound) -> Found:
    """The body without its codings."""
    body = item.body
    if not isinstance(body, Body):
        raise TypeError("only a body of the spool can be unpacked")
    if not layers:
        return Found(Item(item.name, body.retain()))
    decoded = await decode(spool, body, layers, bound)
    return Found(Item(item.name, decoded), f"decoded from {', '.join(layers)}")


async def _inside(
    spool: Spool, whole: Found, head: HttpHead, limits: ContentSettings
) -> list[Found] | Outcome:
    """What is in a decoded body; itself in doubt."""
    body, types = whole.item.body, _form_types(head)
    assert isinstance(body, Body)  # noqa: S101 - `_decoded` made it
    if not body.size:
        return _excluded("content-encoding", f"an empty body, {whole.note}")
    if types == [FORM_DATA]:
        return await _form(spool, whole, body, head, limits.max_files)
    if types == [URL_ENCODED] and await is_url_encoded(spool, body):
        return _excluded("form", "a url-encoded form")
    return [whole]


async def _form(
    spool: Spool, whole: Found, body: Body, head: HttpHead, max_parts: int
) -> list[Found] | Outcome:
    try:
        limit = boundary(head.field("content-type") or "")
        parts = await split_form(spool, body, limit, max_parts)
    except MalformedError:
        return [whole]
    except TooManyPartsError:
        detail = f"a form with more than {max_parts} parts (icap.contents.max_files)"
        return Outcome(OutcomeKind.ERROR, Source.RULE, detail, rule="form")
    if not parts:
        return _excluded("form", "a form without files")
    return [_file(part, at, len(parts), whole.note) for at, part in enumerate(parts, 1)]


def _file(part: Part, at: int, count: int, decoded: str | None) -> Found:
    place = f"file {at} of {count} of a form" if count > 1 else None
    note = ", ".join(text for text in (place, decoded) if text)
    return Found(Item(part.name, part.body), note or None)


def _form_types(head: HttpHead) -> list[str]:
    """All types of a request that has a form's among them. A response is no form."""
    types = media_types(head) if head.method else []
    return types if any(kind in _FORMS for kind in types) else []


def _excluded(rule: str, detail: str) -> Outcome:
    return Outcome(OutcomeKind.EXCLUDED, Source.RULE, detail, rule=rule)
