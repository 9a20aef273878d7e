"""All cases, by subject."""

from __future__ import annotations

from tests.conformance.cases import (
    allow,
    answers,
    attacks,
    bodies,
    connection,
    encapsulated,
    heads,
    options,
    preview,
    sloppy,
    smuggling,
)
from tests.conformance.model import Subject

SUBJECTS = (
    Subject("OPTIONS and URIs", options.CASES),
    Subject("Preview", preview.CASES),
    Subject("Bodies and chunks", bodies.CASES),
    Subject("Encapsulated", encapsulated.CASES),
    Subject("Heads and grammar", heads.CASES),
    Subject("Connections", connection.CASES),
    Subject("204 and 206", allow.CASES),
    Subject("Answers", answers.CASES),
    Subject("Clients in use", sloppy.CASES),
    Subject("Chunks read in two ways", smuggling.CASES),
    Subject("Heads read in two ways", attacks.CASES),
)
CASES = tuple(case for subject in SUBJECTS for case in subject.cases)
