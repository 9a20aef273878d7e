"""Whatever a secret looks like, and whatever encoders it went through, it does not come out."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core import scrub
from bridge.core.secrets.needles import unescaped

SIGNS = st.characters(min_codepoint=33, max_codepoint=0x24F, exclude_categories=("C", "Z"))
SECRETS = st.text(SIGNS, min_size=4, max_size=30)
AROUND = st.text(st.sampled_from("abcXYZ019 =/+-_%\\\"'&?;:{}"), max_size=30)
ENCODERS: list[Callable[[str], str]] = [
    str,
    lambda text: quote(text, safe=""),
    quote_plus,
    lambda text: json.dumps(text)[1:-1],
    lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    lambda text: json.dumps(quote(text))[1:-1],
    lambda text: ascii(text)[1:-1],
    lambda text: repr(text.encode())[2:-1],
]


@settings(max_examples=150, deadline=None)
@given(SECRETS, AROUND, AROUND, st.sampled_from(ENCODERS))
def test_no_encoder_saves_a_secret(
    secret: str, before: str, behind: str, encode: Callable[[str], str]
) -> None:
    form = encode(secret)
    left = scrub(f"{before} {form} {behind}", {secret})
    assert form not in left
    if unescaped(secret) not in before + behind + "[removed: a secret in a form that is not known]":
        assert unescaped(secret) not in unescaped(left)


@settings(max_examples=150, deadline=None)
@given(SECRETS, AROUND, AROUND)
def test_no_base64_saves_a_secret(secret: str, before: str, behind: str) -> None:
    data = f"{before}{secret}{behind}".encode()
    for encoded in (base64.b64encode(data), base64.urlsafe_b64encode(data)):
        text = encoded.decode()
        left = scrub(f"at {text} end", {secret})
        assert text not in left
        assert len(left) < len("at [removed][removed] end") + 8


@settings(max_examples=100, deadline=None)
@given(AROUND, AROUND, SECRETS)
def test_what_was_scrubbed_stays_as_it_is(one: str, other: str, secret: str) -> None:
    once = scrub(f"{one} token={other} {secret}", {secret})
    assert scrub(once, {secret}) == once
