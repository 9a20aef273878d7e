"""Problem documents (RFC 9457) and SOAP faults, for clients that read no pages. Pure."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from icapd.pages.reader import Reader, Wants

_PROBLEM = "urn:ietf:rfc:7807"  # the namespace in RFC 9457, appendix B, too
_SOAP11 = "http://schemas.xmlsoap.org/soap/envelope/"
_SOAP12 = "http://www.w3.org/2003/05/soap-envelope"
_XML = '<?xml version="1.0" encoding="UTF-8"?>\n'


@dataclass(frozen=True, slots=True)
class Problem:
    """What a document says, not escaped yet. `sentence` is its `detail`."""

    status: int
    title: str
    sentence: str
    language: str
    more: Mapping[str, str | int]

    @property
    def members(self) -> dict[str, str | int]:
        """The members by the names of RFC 9457, and then our own."""
        return {
            "type": "about:blank",
            "title": self.title,
            "status": self.status,
            "detail": self.sentence,
            **self.more,
        }


def document(problem: Problem, reader: Reader) -> tuple[str, str]:
    """(Content-Type, text) in the form that the reader wants, which is not HTML."""
    kind, write = _form(reader)
    return kind, write(problem)


def _form(reader: Reader) -> tuple[str, Callable[[Problem], str]]:
    if reader.wants is Wants.JSON:
        return "application/problem+json", _json
    if reader.wants is Wants.XML:
        return "application/problem+xml", _xml
    if reader.soap12:
        return "application/soap+xml; charset=utf-8", _soap12
    return "text/xml; charset=utf-8", _soap11


def _json(problem: Problem) -> str:
    return json.dumps(problem.members, ensure_ascii=False, indent=2) + "\n"


def _xml(problem: Problem) -> str:
    return f"{_XML}{_element(problem)}\n"


def _element(problem: Problem) -> str:
    members = "".join(
        f"<{name}>{html.escape(str(value))}</{name}>" for name, value in problem.members.items()
    )
    return f'<problem xmlns="{_PROBLEM}" xml:lang="{problem.language}">{members}</problem>'


def _soap11(problem: Problem) -> str:
    """SOAP 1.1, 4.4. `Server`: the same message may succeed later."""
    code = "Server" if problem.status >= 500 else "Client"
    return (
        f'{_XML}<soap:Envelope xmlns:soap="{_SOAP11}"><soap:Body><soap:Fault>'
        f"<faultcode>soap:{code}</faultcode>"
        f'<faultstring xml:lang="{problem.language}">{html.escape(problem.sentence)}</faultstring>'
        f"<detail>{_element(problem)}</detail></soap:Fault></soap:Body></soap:Envelope>\n"
    )


def _soap12(problem: Problem) -> str:
    """SOAP 1.2 part 1, 5.4."""
    code = "Receiver" if problem.status >= 500 else "Sender"
    return (
        f'{_XML}<soap:Envelope xmlns:soap="{_SOAP12}"><soap:Body><soap:Fault>'
        f"<soap:Code><soap:Value>soap:{code}</soap:Value></soap:Code><soap:Reason>"
        f'<soap:Text xml:lang="{problem.language}">{html.escape(problem.sentence)}</soap:Text>'
        f"</soap:Reason><soap:Detail>{_element(problem)}</soap:Detail>"
        "</soap:Fault></soap:Body></soap:Envelope>\n"
    )
