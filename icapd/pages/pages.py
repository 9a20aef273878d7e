"""The pages themselves: what a reader gets instead of an object."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import jinja2

from bridge.core import OutcomeKind, PageSettings, StartError, printable
from icapd.pages.facts import Ending, Facts, OpenPage, Page, Stage
from icapd.pages.headfields import http_head, icap_fields, status_words
from icapd.pages.problem import Problem, document
from icapd.pages.reader import Reader, Wants
from icapd.pages.templates import environment, try_out
from icapd.pages.texts import FALLBACK, load_texts
from icapd.pages.words import shown, size_words, time_words

_log = logging.getLogger(__name__)

OURS = Path(__file__).parent.parent / "templates"
RETRY_AFTER_SECONDS = 10
_BLOCKED = 403
_LATER = 503  # whatever a wait page has: a program must not take an upload for done
_HTML = "text/html; charset=utf-8"
_RENDERED_AT_ONCE = 1024  # bytes: some browsers show nothing of a page before that many
_TEMPLATES = ("block.html", "later.html", "wait.html", "ending.html")

Context = dict[str, Any]


class Pages:
    """Makes pages, by templates and texts that are read once.

    Raises StartError, naming file and line, where a template or a text is not good.
    """

    def __init__(self, settings: PageSettings) -> None:
        own = settings.dir
        self._settings = settings
        self._reload = max(1, round(settings.reload))
        self._languages = load_texts(OURS / "texts", None if own is None else own / "texts")
        self._english = load_texts(OURS / "texts", None)[FALLBACK]["reasons"]
        if settings.language not in self._languages:
            raise StartError(
                f"icap.pages.language: there are no texts in {settings.language}, only in "
                f"{', '.join(sorted(self._languages))}"
            )
        self._ours = environment(OURS)
        self._templates = self._ours if own is None else environment(OURS, own)
        self._try_all()

    def block(self, reader: Reader, facts: Facts) -> Page:
        """403: the object is kept back."""
        return self._page("block.html", reader, facts)

    def later(self, reader: Reader, facts: Facts) -> Page:
        """There is no verdict yet, and whoever asked has to ask again."""
        retry = max(self._reload, RETRY_AFTER_SECONDS)
        return self._page("later.html", reader, facts, (_LATER, retry))

    def wait(self, reader: Reader, facts: Facts, *, elapsed: float, stage: Stage) -> Page:
        """There is no verdict yet: a page that reloads itself. `elapsed` in seconds."""
        more = self._waiting(elapsed, stage)
        asked_again = (self._settings.wait_status, self._reload)
        return self._page("wait.html", reader, facts, asked_again, more)

    def open(self, reader: Reader, facts: Facts, *, elapsed: float) -> OpenPage:
        """The beginning of a page for an object that still arrives; `ending` gives its end."""
        language = self._language(reader)
        more = self._waiting(elapsed, Stage.RECEIVING) | {"held_open": True}
        beginning = self._render("wait.html", self._context(language, facts, more))
        beginning += b" " * (_RENDERED_AT_ONCE - len(beginning))
        head = http_head(
            self._settings.wait_status, _HTML, language, length=None, retry_after=self._reload
        )
        return OpenPage(head, beginning, self._icap_fields(facts))

    def ending(self, reader: Reader, facts: Facts, how: Ending) -> bytes:
        """What an open page ends with."""
        more = {"ending": how.value}
        return self._render("ending.html", self._context(self._language(reader), facts, more))

    def _page(
        self,
        template: str,
        reader: Reader,
        facts: Facts,
        held: tuple[int, int] | None = None,
        more: Context | None = None,
    ) -> Page:
        """`held`: the status, and seconds after which to ask again; None: it is blocked."""
        status, retry = held or (_BLOCKED, None)
        language = self._language(reader)
        if reader.wants is Wants.HTML:
            kind, body = _HTML, self._render(template, self._context(language, facts, more or {}))
        else:
            kind, text = document(self._problem(language, facts, status, retry), reader)
            body = text.encode("utf-8", "replace")
        head = http_head(status, kind, language, length=len(body), retry_after=retry)
        return Page(head, body, self._icap_fields(facts))

    def _icap_fields(self, facts: Facts) -> list[tuple[str, str]]:
        return icap_fields(facts, self._english[facts.kind.value])

    def _language(self, reader: Reader) -> str:
        known = (name for name in reader.languages if name in self._languages)
        return next(known, self._settings.language)

    def _waiting(self, elapsed: float, stage: Stage) -> Context:
        return {"seconds": max(int(elapsed), 0), "stage": stage.value}

    def _context(self, language: str, facts: Facts, more: Context) -> Context:
        """Everything that a template may use; each template gets all of it."""
        texts = self._languages[language]
        context: Context = {
            "t": texts,
            "language": language,
            "case": printable(facts.case),
            "name": shown(facts.name),
            "size": None if facts.size is None else size_words(facts.size, texts["units"]),
            "bytes": facts.size,
            "sha256": facts.sha256,
            "kind": facts.kind.value,
            "threat": shown(facts.threat) if facts.threat else None,
            "detail": shown(facts.detail),
            "is_upload": facts.is_upload,
            "reload": self._reload,
            "held_open": False,
            "ending": None,
            "stage": Stage.AT_KATA.value,
            "seconds": 0,
        } | more
        context["elapsed"] = time_words(context["seconds"], texts["units"])
        return context

    def _render(self, name: str, context: Context) -> bytes:
        """A template as bytes; ours where an own one fails in spite of its trial at the start."""
        try:
            text = self._templates.get_template(name).render(context)
        except Exception:  # an own template may raise whatever its expressions do
            _log.exception("icap.pages.dir: %s failed, so the page as shipped is shown", name)
            text = self._ours.get_template(name).render(context)
        return text.encode("utf-8", "replace")

    def _problem(self, language: str, facts: Facts, status: int, retry: int | None) -> Problem:
        texts = self._languages[language]
        if retry is not None:
            sentence = texts["upload" if facts.is_upload else "reasons"]["pending"]
        else:
            more_words = [texts["upload"]["not_sent"]] if facts.is_upload else []
            sentence = " ".join([texts["reasons"][facts.kind.value], *more_words])
        more: dict[str, str | int | None] = {
            "case": printable(facts.case),
            "outcome": facts.kind.value,
            "name": shown(facts.name),
            "size": facts.size,
            "sha256": facts.sha256,
            "threat": shown(facts.threat) if facts.threat else None,
            "retry_after": retry,
        }
        said = {name: value for name, value in more.items() if value is not None}
        return Problem(status, status_words(status), sentence, language, said)

    def _try_all(self) -> None:
        for language in self._languages:
            for facts in _samples():
                for more in self._situations():
                    context = self._context(language, facts, more)
                    _try_each(self._templates, context)

    def _situations(self) -> Iterator[Context]:
        for stage in Stage:
            yield self._waiting(83, stage)
        yield self._waiting(0, Stage.RECEIVING) | {"held_open": True}
        yield from ({"ending": how.value} for how in Ending)


def _try_each(templates: jinja2.Environment, context: Context) -> None:
    for name in _TEMPLATES:
        try_out(templates, name, context)


def _samples() -> Iterable[Facts]:
    """Facts of every outcome, with all that can be known and with as little as can be."""
    for kind in OutcomeKind:
        yield Facts("c-1", "report.pdf", 1467203, "0" * 64, kind, "Trojan", "a detail", False)
        yield Facts("c-1", "", None, None, kind, None, "", True)
