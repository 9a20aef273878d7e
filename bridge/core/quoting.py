"""Quotes a refused value in the sentence that refuses it, without what must not be read. Pure."""

from __future__ import annotations

import re
from pathlib import Path

_USERINFO = re.compile(r"\A([A-Za-z][A-Za-z0-9+.-]*:/+|/*).*@", re.S)
_URLS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*:/+).*@", re.S)
_QUERY = re.compile(r"([?#]).+", re.S)
_KINDS = ((dict, "a mapping"), (list | tuple, "a list"), (bytes, "binary data"))
_IS_PEM = re.compile(r"-----BEGIN|LS0tLS1CRUdJTi")  # also in Base64
_KEY_IN_LINE = re.compile(r"[A-Za-z0-9+/]{60,}={0,2}\Z")  # Base64 of the shortest key, and longer
_MOST_SHOWN = 200  # signs
_MOST_OF_PATH, _MOST_OF_NAME = 4096, 255  # bytes, with Linux


def quoted(value: object) -> str:
    """`value` as Python writes it; of a list, a mapping, or a text that may be a key its kind only.

    A URL comes without userinfo, query and fragment. Userinfo goes up to the last `@`, however
    badly the URL is written.
    """
    for kind, words in _KINDS:
        if isinstance(value, kind):
            return words
    if not isinstance(value, str):
        return repr(value)
    return _kind_of_text(value) or repr(without_userinfo(value))


def _kind_of_text(text: str) -> str | None:
    """What a text is that must not be read; None for one that may be shown."""
    if _IS_PEM.search(text):
        return "a key or certificate"
    if len(text.splitlines()) > 1:
        return "a text of several lines"
    if len(text) > _MOST_SHOWN or _KEY_IN_LINE.search(text):
        return f"a text of {len(text)} signs"
    return None


def fault_of_path(text: str) -> str | None:
    """Why `text` can be no path, in words that show nothing of it; None where it can be one."""
    names = text.split("/")
    if (
        _IS_PEM.search(text)
        or text.splitlines() != [text]
        or len(text.encode("utf-8", "surrogatepass")) >= _MOST_OF_PATH
        or any(len(name.encode("utf-8", "surrogatepass")) > _MOST_OF_NAME for name in names)
    ):
        return "write the path of a file or folder here, not what is in it"
    return None


def named(path: Path) -> str:
    """A path in the sentence that refuses it; not one that may be a key in a single line."""
    return "the file that it names" if _KEY_IN_LINE.search(str(path)) else str(path)


def without_userinfo(text: str) -> str:
    """A URL of which `…` stands for user, password, query and fragment."""
    text = _USERINFO.sub(r"\1…@", text)
    return _QUERY.sub(r"\1…", text) if "://" in text or "=" in text else text


def in_sentence(sentence: str, value: object) -> str:
    """A sentence of anybody's that may quote `value`, without userinfo in it or in other URLs."""
    if isinstance(value, str):
        sentence = sentence.replace(repr(value), quoted(value))
    return _URLS.sub(r"\1…@", sentence)
