"""What pages say, to whom, and that nothing a stranger names can act in them."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core import OutcomeKind, PageSettings, StartError
from icapd.pages import Ending, Facts, Page, Pages, Reader, Stage, Wants
from icapd.pages.pages import OURS
from icapd.pages.texts import load_texts
from icapd.pages.words import shown, size_words, time_words
from icapd.protocol import HttpHead

PLAIN = Pages(PageSettings())
EN = Reader(Wants.HTML, ("en",), True)
RU = Reader(Wants.HTML, ("ru", "en"), True)
DETECT = Facts("case-1", "evil.exe", 1_467_203, "a" * 64, OutcomeKind.DETECT, "EICAR", "d", False)
PENDING = replace(DETECT, kind=OutcomeKind.PENDING, threat=None, sha256=None)
NOTHING = Facts("case-1", "", None, None, OutcomeKind.ERROR, None, "", False)
HOSTILE = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>'",
    "a\r\nSet-Cookie: b\nc",
    "invoice\u202efdp.exe",
    "lone \udcff surrogate",
    "{{ 7 * 7 }}{% for %}",
    "]]></name><case>x</case>\x00\x1f\ufffe",
    "\x85\u2028</title></style>",
]


def settings(**given: Any) -> PageSettings:
    return PageSettings.model_validate(given)


def own(tmp_path: Path, files: dict[str, str], **given: Any) -> Pages:
    """Pages with own files in `icap.pages.dir`."""
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return Pages(PageSettings().model_copy(update={"dir": tmp_path, **given}))


def every(pages: Pages, reader: Reader, facts: Facts) -> list[bytes]:
    opened = pages.open(reader, facts, elapsed=5)
    return [
        pages.block(reader, facts).body,
        pages.later(reader, facts).body,
        *(pages.wait(reader, facts, elapsed=61, stage=stage).body for stage in Stage),
        *(opened.beginning + pages.ending(reader, facts, how) for how in Ending),
    ]


class Elements(HTMLParser):
    """The tags of a page, and its text."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def head_of(page: Page) -> HttpHead:
    return HttpHead(page.head)


# -- statuses and heads ------------------------------------------------------------------------


def test_a_block_is_403_and_names_what_a_help_desk_needs() -> None:
    page = PLAIN.block(EN, DETECT)
    assert head_of(page).status == 403
    assert head_of(page).content_length == len(page.body)
    assert head_of(page).field("retry-after") is None
    text = page.body.decode()
    known = ("Access blocked", "evil.exe", "1.4\u00a0MB", "a" * 64, "EICAR", "case-1")
    for said in (*known, "Kaspersky KATA found a threat in this object."):
        assert said in text
    assert 'http-equiv="refresh"' not in text


def test_a_wait_page_reloads_itself_and_tells_how_it_stands() -> None:
    page = PLAIN.wait(EN, PENDING, elapsed=83.9, stage=Stage.AT_KATA)
    head = head_of(page)
    assert (head.status, head.field("retry-after")) == (503, "5")
    assert head.content_length == len(page.body)
    text = page.body.decode()
    assert '<meta http-equiv="refresh" content="5">' in text
    for said in ("Being analysed by Kaspersky KATA", "1\u00a0min 23\u00a0s", "evil.exe", "case-1"):
        assert said in text
    assert "<script" not in text


def test_each_stage_has_words_of_its_own() -> None:
    bodies = {PLAIN.wait(EN, PENDING, elapsed=1, stage=stage).body for stage in Stage}
    assert len(bodies) == len(Stage)


def test_later_asks_to_come_back_and_does_not_reload() -> None:
    page = PLAIN.later(EN, PENDING)
    assert (head_of(page).status, head_of(page).field("retry-after")) == (503, "10")
    assert b"Try again in a moment" in page.body
    assert b'http-equiv="refresh"' not in page.body


def test_an_open_page_has_no_length_and_no_end_before_its_ending() -> None:
    page = PLAIN.open(EN, PENDING, elapsed=1)
    head = HttpHead(page.head)
    assert (head.status, head.content_length, head.field("retry-after")) == (503, None, "5")
    assert len(page.beginning) >= 1024
    for sign in (b"</body>", b"</html>", b'http-equiv="refresh"'):
        assert sign not in page.beginning
    assert b'content="0"' in PLAIN.ending(EN, PENDING, Ending.RELOAD)
    assert b'content="5"' in PLAIN.ending(EN, PENDING, Ending.WAIT)
    blocked = PLAIN.ending(EN, DETECT, Ending.BLOCKED)
    assert b"found a threat" in blocked
    assert b"EICAR" in blocked
    assert b'http-equiv="refresh"' not in blocked
    assert blocked.rstrip().endswith(b"</html>")


def test_a_short_beginning_is_padded_for_browsers_that_wait_for_more(tmp_path: Path) -> None:
    page = own(tmp_path, {"wait.html": "<p>short"}).open(EN, PENDING, elapsed=0)
    assert len(page.beginning) >= 1024


@pytest.mark.parametrize("wants", Wants)
def test_heads_keep_answers_out_of_caches_and_from_acting(wants: Wants) -> None:
    reader = replace(EN, wants=wants)
    for page in (
        PLAIN.block(reader, DETECT),
        PLAIN.later(reader, PENDING),
        PLAIN.wait(reader, PENDING, elapsed=0, stage=Stage.QUEUED),
        PLAIN.open(reader, PENDING, elapsed=0),
    ):
        head = HttpHead(page.head)
        assert head.field("cache-control") == "no-store"
        assert head.field("x-content-type-options") == "nosniff"
        assert "default-src 'none'" in (head.field("content-security-policy") or "")
        assert head.field("content-language") == "en"


def test_the_status_and_the_time_are_as_configured() -> None:
    pages = Pages(settings(wait_status=200, reload="90s"))
    page = pages.wait(EN, PENDING, elapsed=0, stage=Stage.QUEUED)
    assert (head_of(page).status, head_of(page).field("retry-after")) == (200, "90")
    assert head_of(pages.later(EN, PENDING)).field("retry-after") == "90"
    assert head_of(pages.later(EN, PENDING)).status == 503, "an upload is not taken for done"
    odd = Pages(settings(wait_status=599)).wait(EN, PENDING, elapsed=0, stage=Stage.QUEUED)
    assert odd.head.startswith(b"HTTP/1.1 599 \r\n")


@pytest.mark.parametrize("status", [100, 204, 206, 302, 304, 401, 407, 600])
def test_a_status_of_which_no_page_is_shown_is_refused(status: int) -> None:
    with pytest.raises(ValueError, match="must be 200, 202 or 400 to 599"):
        settings(wait_status=status)


def test_what_proxies_act_on_is_english_and_one_line() -> None:
    hostile = replace(DETECT, threat='x";\r\n<b>')
    fields = dict(PLAIN.block(RU, hostile).icap_fields)
    assert fields["X-Infection-Found"] == 'Type=0; Resolution=2; Threat=x",??<b>;'
    assert fields["X-Virus-ID"] == 'x",??<b>'
    assert fields["X-Response-Info"] == "blocked"
    fields = dict(PLAIN.block(RU, NOTHING).icap_fields)
    assert fields["X-Block-Reason"] == "This object could not be judged."
    assert not {"X-Infection-Found", "X-Virus-ID"} & set(fields)


# -- words and languages -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", OutcomeKind)
@pytest.mark.parametrize("reader", [EN, RU], ids=["en", "ru"])
def test_every_outcome_has_a_reason(kind: OutcomeKind, reader: Reader) -> None:
    reason = load_texts(OURS / "texts", None)[reader.languages[0]]["reasons"][kind.value]
    assert reason in Elements(PLAIN.block(reader, replace(DETECT, kind=kind)).body).text


def test_russian() -> None:
    page = PLAIN.block(RU, DETECT)
    assert head_of(page).field("content-language") == "ru"
    text = page.body.decode()
    for said in ('<html lang="ru">', "Доступ заблокирован", "обнаружила угрозу", "1,4\u00a0МБ"):
        assert said in text
    assert "Прошло" in PLAIN.wait(RU, PENDING, elapsed=1, stage=Stage.QUEUED).body.decode()


def test_russian_lacks_nothing() -> None:
    """A text that ru.yaml lacks would be shown in English."""
    texts = load_texts(OURS / "texts", None)
    same = {
        key
        for section, keys in texts["en"].items()
        for key, text in keys.items()
        if texts["ru"][section][key] == text
    }
    assert same == {"sha256"}


def test_a_language_that_nobody_wrote_gets_the_configured_one() -> None:
    reader = Reader(Wants.HTML, ("de", "fr"), True)
    assert head_of(PLAIN.block(reader, DETECT)).field("content-language") == "en"
    russian = Pages(settings(language="ru"))
    assert head_of(russian.block(reader, DETECT)).field("content-language") == "ru"
    assert head_of(russian.block(EN, DETECT)).field("content-language") == "en"


def test_a_configured_language_without_texts_is_refused() -> None:
    with pytest.raises(StartError, match=r"icap\.pages\.language: .* in de, only in en, ru"):
        Pages(settings(language="de"))


def test_an_upload_says_that_it_was_not_sent() -> None:
    upload = replace(DETECT, is_upload=True)
    assert b"It was not sent." in PLAIN.block(EN, upload).body
    assert b"not sent" not in PLAIN.block(EN, DETECT).body
    assert "Файл не отправлен" in PLAIN.later(RU, replace(PENDING, is_upload=True)).body.decode()
    said = json.loads(PLAIN.block(replace(EN, wants=Wants.JSON), upload).body)
    assert said["detail"].endswith("It was not sent.")


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0\u00a0B"),
        (1023, "1023\u00a0B"),
        (1024, "1\u00a0KB"),
        (1536, "1.5\u00a0KB"),
        (1_048_575, "1\u00a0MB"),
        (150 << 20, "150\u00a0MB"),
        (5 << 40, "5\u00a0TB"),
        (9000 << 40, "9000\u00a0TB"),
    ],
)
def test_sizes(size: int, words: str) -> None:
    assert size_words(size, load_texts(OURS / "texts", None)["en"]["units"]) == words


def test_times() -> None:
    units = load_texts(OURS / "texts", None)["ru"]["units"]
    assert time_words(-1, units) == "0\u00a0с"
    assert time_words(3725, units) == "62\u00a0мин 5\u00a0с"


def test_a_name_without_end_lacks_its_middle() -> None:
    name = "a" * 5000 + ".exe"
    assert len(shown(name)) < 250
    assert shown(name).endswith(".exe")
    assert shown("b" * 240) == "b" * 240


# -- what strangers name -----------------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
@pytest.mark.parametrize("reader", [EN, RU], ids=["en", "ru"])
def test_a_name_cannot_act_in_a_page(reader: Reader, name: str) -> None:
    hostile = replace(DETECT, case=name, name=name, threat=name, detail=name)
    for tame, wild in zip(every(PLAIN, reader, DETECT), every(PLAIN, reader, hostile), strict=True):
        one, other = Elements(tame), Elements(wild)
        assert other.tags == one.tags
        assert other.attributes == one.attributes
        assert not set(wild.decode()) & set("\r\x00\x1f\x85\u2028\u202e\ufffe")


def test_a_direction_mark_is_shown_and_what_is_around_it_isolated() -> None:
    text = PLAIN.block(EN, replace(DETECT, name="invoice\u202efdp.exe")).body.decode()
    assert "<bdi>invoice\\u202efdp.exe</bdi>" in text


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_documents_parse_whatever_a_name_is(name: str) -> None:
    hostile = replace(DETECT, case=name, name=name, threat=name)
    as_json = PLAIN.block(replace(EN, wants=Wants.JSON), hostile)
    said = json.loads(as_json.body)
    assert said["name"] == said["case"] == said["threat"] == shown(name)
    for reader in (
        replace(EN, wants=Wants.XML),
        replace(EN, wants=Wants.SOAP),
        replace(EN, wants=Wants.SOAP, soap12=True),
    ):
        root = ElementTree.fromstring(PLAIN.block(reader, hostile).body)
        names = [each.text for each in root.iter("{urn:ietf:rfc:7807}name")]
        assert names == [shown(name)]


# -- documents ---------------------------------------------------------------------------------


def test_a_problem_document() -> None:
    page = PLAIN.later(replace(RU, wants=Wants.JSON), PENDING)
    assert head_of(page).field("content-type") == "application/problem+json"
    assert head_of(page).status == 503
    assert json.loads(page.body) == {
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "Файл ещё проверяется. Повторите попытку чуть позже.",
        "case": "case-1",
        "outcome": "pending",
        "name": "evil.exe",
        "size": 1_467_203,
        "retry_after": 10,
    }


def test_a_problem_in_xml_has_the_same_members() -> None:
    page = PLAIN.block(replace(EN, wants=Wants.XML), DETECT)
    assert head_of(page).field("content-type") == "application/problem+xml"
    root = ElementTree.fromstring(page.body)
    members = {each.tag.rpartition("}")[2]: each.text for each in root}
    said = json.loads(PLAIN.block(replace(EN, wants=Wants.JSON), DETECT).body)
    assert members == {name: str(value) for name, value in said.items()}


@pytest.mark.parametrize(
    ("soap12", "kind", "codes"),
    [
        (False, "text/xml; charset=utf-8", ("soap:Client", "soap:Server")),
        (True, "application/soap+xml; charset=utf-8", ("soap:Sender", "soap:Receiver")),
    ],
)
def test_a_soap_fault(soap12: bool, kind: str, codes: tuple[str, str]) -> None:
    reader = replace(EN, wants=Wants.SOAP, soap12=soap12)
    pages = (PLAIN.block(reader, DETECT), PLAIN.later(reader, PENDING))
    for page, status, code in zip(pages, (403, 503), codes, strict=True):
        assert head_of(page).status == status
        assert head_of(page).field("content-type") == kind
        texts = [each.text for each in ElementTree.fromstring(page.body).iter()]
        assert code in texts
        assert "case-1" in texts


# -- own templates and texts -------------------------------------------------------------------


def test_an_own_template_goes_before_ours(tmp_path: Path) -> None:
    pages = own(tmp_path, {"block.html": "OWN {{ name }} {{ t.reasons[kind] }}"})
    text = pages.block(EN, replace(DETECT, name="<i>")).body.decode()
    assert text == "OWN &lt;i&gt; Kaspersky KATA found a threat in this object."
    assert b"Please wait" in pages.later(EN, PENDING).body


def test_an_own_frame_goes_around_our_pages(tmp_path: Path) -> None:
    pages = own(tmp_path, {"base.html": "ACME {% block body %}{% endblock %}"})
    assert pages.block(EN, DETECT).body.startswith(b"ACME")
    assert b"EICAR" in pages.block(EN, DETECT).body


def test_an_own_text_goes_before_ours_and_the_rest_stays(tmp_path: Path) -> None:
    pages = own(tmp_path, {"texts/ru.yaml": "block: {heading: 'Стоп'}\n"})
    text = pages.block(RU, DETECT).body.decode()
    assert "<h1>Стоп</h1>" in text
    assert "обнаружила угрозу" in text
    assert "Access blocked" in pages.block(EN, DETECT).body.decode()


def test_a_new_language_falls_back_to_english(tmp_path: Path) -> None:
    pages = own(tmp_path, {"texts/de.yaml": "block:\n  heading: Gesperrt\n"}, language="de")
    page = pages.block(Reader(Wants.HTML, (), True), DETECT)
    assert head_of(page).field("content-language") == "de"
    assert "<h1>Gesperrt</h1>" in page.body.decode()
    assert b"Kaspersky KATA found a threat" in page.body


@pytest.mark.parametrize("wants", Wants)
def test_a_lone_surrogate_in_an_own_text_breaks_no_encoding(tmp_path: Path, wants: Wants) -> None:
    pages = own(tmp_path, {"texts/en.yaml": 'reasons: {error: "odd \\ud800 sign"}\n'})
    page = pages.block(replace(EN, wants=wants), NOTHING)
    assert b"odd ? sign" in page.body
    assert head_of(page).content_length == len(page.body)


def test_an_empty_own_page_is_framed_as_such(tmp_path: Path) -> None:
    assert head_of(own(tmp_path, {"block.html": ""}).block(EN, DETECT)).content_length == 0


@pytest.mark.parametrize("empty", ["", "# nothing yet\n"])
def test_an_empty_file_of_texts_changes_nothing(tmp_path: Path, empty: str) -> None:
    pages = own(tmp_path, {"texts/ru.yaml": empty})
    assert pages.block(RU, DETECT) == PLAIN.block(RU, DETECT)


def test_own_english_does_not_reach_what_proxies_act_on(tmp_path: Path) -> None:
    pages = own(tmp_path, {"texts/en.yaml": "reasons: {error: Ours}\n"})
    assert b"Ours" in pages.block(EN, NOTHING).body
    assert dict(pages.block(EN, NOTHING).icap_fields) == dict(PLAIN.block(EN, NOTHING).icap_fields)


BAD: dict[str, tuple[str, str, str]] = {
    "syntax": ("block.html", "a\n{% if %}\n", "block.html, line 2: "),
    "unclosed": ("wait.html", "{% block a %}\n", "wait.html, line 1: "),
    "undefined": ("block.html", "a\nb\n{{ victim }}", "block.html, line 3: 'victim' is undefined"),
    "undefined text": ("base.html", "\n{{ t.block.titel }}", "base.html, line 2: .*'titel'"),
    "undefined in a branch": (
        "later.html",
        "\n{% if kind == 'oversize' %}\n{{ x }}{% endif %}",
        "later.html, line 3: 'x' is undefined",
    ),
    "undefined while open": (
        "wait.html",
        "{% if held_open %}{{ x }}{% endif %}",
        "wait.html, line",
    ),
    "no size": ("block.html", "{{ bytes + 1 }}", "block.html, line 1: "),
    "no such parent": ("block.html", "{% extends 'frame.html' %}", "block.html, line 1: .*frame"),
    "a parameter twice": (
        "block.html",
        "a\n\n{% macro row(a, a) %}{% endmacro %}\n<p>",
        "block.html, line 3: duplicate argument",
    ),
    "an argument twice": (
        "block.html",
        "a\n{% macro m(a) %}\n{{ a }}\n{% endmacro %}\n{{ m(a=1,a=2) }}\n{{ case }}",
        "block.html, line 5: keyword argument repeated",
    ),
    "too many blocks": (
        "base.html",
        "\n" + "{% for a in t %}" * 30 + "{% endfor %}" * 30,
        "line 2: ",
    ),
    "too deep": (
        "block.html",
        "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
        "block.html cannot be",
    ),
    "too long a number": ("block.html", "{{ " + "9" * 5000 + " }}", "block.html cannot be used: "),
    "no words": ("block.html", "{{ t.wait.pop('a\nb') }}", r"block.html, line 1: 'a\\nb'$"),
    "without end": ("block.html", "{% include 'block.html' %}", "block.html, line 1: maximum recu"),
    "a power": (
        "block.html",
        "a\n{% if name == 'nobody' %}\n{{ bytes ** bytes }}{% endif %}",
        r"block.html, line 3: \*\* ",
    ),
    "a long range": (
        "block.html",
        "\n{% for x in range(1001) %}{{ x }}{% endfor %}",
        "block.html, line 2: range ",
    ),
    "a range without end": (
        "block.html",
        "{{ range(7, 1" + "0" * 30 + ") }}",
        "block.html, line 1: range gives 1000 numbers at most$",
    ),
    "a sign beyond all": (
        "texts/de.yaml",
        'wait:\n  title: "\\UFFFFFFFF"\n',
        "de.yaml, line 2: a numb",
    ),
    "a sign that must not be": ("texts/de.yaml", "wait:\n  title: \1\n", "line 2: the sign U.0001"),
    "texts without end": ("texts/de.yaml", "[" * 3000, "de.yaml, line 1: it is nested too deeply"),
    "a list as a name": (
        "texts/de.yaml",
        "wait:\n  ? [a]\n  : x\n",
        "line 2: a name must be a word",
    ),
    "itself": ("texts/de.yaml", "&a wait: &b\n  title: *b\n", "line 2: wait.title is no text"),
    "no yaml": ("texts/ru.yaml", "wait:\n  title: 'x\n", r"ru.yaml, line \d: "),
    "unknown": (
        "texts/en.yaml",
        "wait:\n  titel: x\n",
        r"en.yaml, line 2: .*wait\.titel; did you mean wait\.title\?",
    ),
    "unknown section": ("texts/en.yaml", "halt: {a: b}", r"en.yaml, line 1: .*halt\.a"),
    "no text": ("texts/en.yaml", "wait:\n  title: no\n", r"line 2: wait\.title .* quotes"),
    "a list": ("texts/en.yaml", "- a\n", "en.yaml, line 1: "),
    "no section": ("texts/en.yaml", "wait: x\n", "en.yaml, line 1: "),
    "twice": ("texts/en.yaml", "wait:\n  title: a\n  title: b\n", "line 3: wait.title .* twice"),
    "odd name": ("texts/russian.yaml", "", "russian.yaml: .*named by its language"),
    "odd ending": ("texts/ru.yml", "", "ru.yml: .*named by its language"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_own_file_is_named_with_its_line_before_anybody_needs_it(
    tmp_path: Path, what: str
) -> None:
    name, text, said = BAD[what]
    with pytest.raises(StartError, match=said) as raised:
        own(tmp_path, {name: text})
    assert str(tmp_path) in str(raised.value)


OWN_FILES = pytest.mark.parametrize("name", ["block.html", "extra.html", "texts/ru.yaml"])


@OWN_FILES
@pytest.mark.parametrize("other", ["pipe", "folder", "device", "nothing"])
def test_what_is_no_file_is_refused_and_not_waited_for(
    tmp_path: Path, name: str, other: str
) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    match other:
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case _:
            path.symlink_to("/dev/zero" if other == "device" else "gone")
    with pytest.raises(StartError, match=f"{path} cannot be read: (it is no regular|No such) file"):
        own(tmp_path, {})


MENDED = [
    *(
        "{{",
        "}}",
        "{%",
        "%}",
        "{#",
        "#}",
        "{{ ",
        " }}",
        "(",
        ")",
        "[",
        "|",
        ".",
        "*",
        "'",
        '"',
        "\0",
    ),
    *("{% for x in t %}", "{% endfor %}", "{% block a %}", "{% endblock %}", "{% macro m(a, a) %}"),
    *(
        "{% macro m(a) %}",
        "{% endmacro %}",
        "{{ m(a=1, a=2) }}",
        "{{ m(*t, **t, *t) }}",
        "{{ 1/0 }}",
    ),
    *("{% include 'block.html' %}", "{% extends 'wait.html' %}", "{% call m() %}", "{% endcall %}"),
    *("{{ super() }}", "{{ self.a() }}", "{{ caller() }}", "{% set true = 1 %}", "{% break %}"),
    *(
        '"\\UFFFFFFFF"',
        "&a ",
        "*a",
        "? ",
        ": ",
        "- ",
        "!!set ",
        "%YAML 1.1\n",
        "---\n",
        "\n",
        "\x85",
    ),
]


@hypothesis.settings(max_examples=20, deadline=None)
@given(
    name=st.sampled_from(["block.html", "wait.html", "base.html", "texts/en.yaml"]),
    changes=st.lists(
        st.tuples(st.integers(0, 9999), st.sampled_from(MENDED)), min_size=1, max_size=3
    ),
)
def test_only_a_sentence_comes_of_a_spoilt_file(name: str, changes: list[tuple[int, str]]) -> None:
    text = (OURS / name).read_text()
    for number, piece in changes:
        at = number % len(text)
        text = text[:at] + piece + text[at:]
    with tempfile.TemporaryDirectory() as folder:
        try:
            own(Path(folder), {name: text})
        except StartError as error:
            said = str(error)
            assert said.startswith(f"{folder}/")
            assert len(said.splitlines()) == 1


def test_a_template_may_count(tmp_path: Path) -> None:
    text = "{% for x in range(1, 1001) %}{{ x if x > 998 }}{% endfor %}"
    assert own(tmp_path, {"block.html": text}).block(EN, DETECT).body == b"9991000"


@pytest.mark.parametrize("name", ["block.html", "texts/ru.yaml"])
def test_a_file_that_is_no_utf_8_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / name).write_bytes("Доступ".encode("cp1251"))
    with pytest.raises(StartError, match=f"{name} cannot be read"):
        own(tmp_path, {})


def test_an_own_template_that_fails_later_is_replaced_by_ours(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pages = own(tmp_path, {"block.html": "{{ 1 // (sha256 != 'b' * 64) }}"})
    assert pages.block(EN, DETECT).body == b"1"
    bad = replace(DETECT, sha256="b" * 64)
    assert pages.block(EN, bad) == PLAIN.block(EN, bad)
    assert "block.html failed" in caplog.text
