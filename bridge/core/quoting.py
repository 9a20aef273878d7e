"""Quotes a refused value in the sentence that refuses it, without what must not be read. Pure."""

from __future__ import annotations

import re

_USERINFO = re.compile(r"\A([A-Za-z][A-Za-z0-9+.-]*:/+|/*).*@", re.S)
_URLS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*:/+).*@", re.S)
_QUERY = re.compile(r"([?#]).+", re.S)
_KINDS = ((dict, "a mapping"), (list | tuple, "a list"), (bytes, "binary data"))


def quoted(value: object) -> str:
    """`value` as Python writes it; of a list or a mapping its kind only.

    A URL comes without userinfo, query and fragment. Userinfo goes up to the last `@`, however
    badly the URL is written.
    """
    for kind, words in _KINDS:
        if isinstance(value, kind):
            return words
    return repr(without_userinfo(value)) if isinstance(value, str) else repr(value)


def without_userinfo(text: str) -> str:
    """A URL of which `…` stands for user, password, query and fragment."""
    text = _USERINFO.sub(r"\1…@", text)
    return _QUERY.sub(r"\1…", text) if "://" in text else text


def in_sentence(sentence: str, value: object) -> str:
    """A sentence of anybody's that may quote `value`, without userinfo in it or in other URLs."""
    if isinstance(value, str):
        sentence = sentence.replace(repr(value), quoted(value))
    return _URLS.sub(r"\1…@", sentence)
