"""All cases, by subject."""

from __future__ import annotations

from tests.conformance.cases import (
    alien,
    allow,
    answers,
    attacks,
    bodies,
    chunks,
    connection,
    encapsulated,
    framing,
    heads,
    inside,
    options,
    options_answer,
    preview,
    preview_chunks,
    sloppy,
    smuggling,
)
from tests.conformance.model import Subject

SUBJECTS = (
    Subject("OPTIONS: the answer", options_answer.CASES),
    Subject("OPTIONS: the request, and URIs", options.CASES),
    Subject("Preview: lengths and what follows", preview.CASES),
    Subject("Preview: chunks", preview_chunks.CASES),
    Subject("Bodies", bodies.CASES),
    Subject("Chunks and trailers", chunks.CASES),
    Subject("Encapsulated", encapsulated.CASES),
    Subject("Request lines and fields", heads.CASES),
    Subject("Odd HTTP heads inside", inside.CASES),
    Subject("Connections", connection.CASES),
    Subject("204 and 206", allow.CASES),
    Subject("Answers", answers.CASES),
    Subject("Clients in use", sloppy.CASES),
    Subject("Chunks that can be read in two ways", smuggling.CASES),
    Subject("Heads that can be read in two ways", attacks.CASES),
    Subject("Framing that contradicts itself", framing.CASES),
    Subject("Too long, or no ICAP", alien.CASES),
)
CASES = tuple(case for subject in SUBJECTS for case in subject.cases)
