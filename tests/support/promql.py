"""Reads PromQL far enough to say what a query names, and refuses what is no query.

The grammar: binary operators with `on`, `ignoring` and `group_*`, aggregations with `by` or
`without`, functions, selectors with matchers, ranges and offsets, numbers and strings.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r"\s*(?:(?P<string>\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*')"
    r"|(?P<duration>(?:[0-9]+(?:ms|[smhdwy]))+(?![A-Za-z0-9_]))"
    r"|(?P<number>[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?(?![A-Za-z0-9_.]))"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_:]*)"
    r"|(?P<sign>=~|!~|!=|==|<=|>=|[-+*/%^<>=(){}\[\],:]))"
)
_AGGREGATIONS = {"sum", "min", "max", "avg", "count", "topk", "bottomk", "stddev", "quantile"}
_FUNCTIONS = {
    *("rate", "irate", "increase", "delta", "histogram_quantile", "min_over_time"),
    *("max_over_time", "avg_over_time", "absent", "time", "clamp_min", "clamp_max", "changes"),
}
_WORDS = {"or", "and", "unless"}
_OPERATORS = {"+", "-", "*", "/", "%", "^", "==", "!=", "<", ">", "<=", ">="} | _WORDS
_MATCHES = {"=", "!=", "=~", "!~"}
_OF_RANGES = {"rate", "irate", "increase", "delta", "changes"}


class QueryError(ValueError):
    """It is no query; the text says what stands where."""


@dataclass
class Query:
    """What a query names: metrics with the labels that are matched, and labels grouped by."""

    metrics: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    grouped: set[str] = field(default_factory=set)


def read_query(text: str) -> Query:
    """What it names; QueryError."""
    reader = _Reader(_tokens(text))
    reader.expression()
    if reader.kind != "end":
        raise QueryError(f"{reader.text!r} stands behind the end of {text!r}")
    return reader.query


def _tokens(text: str) -> list[tuple[str, str]]:
    found, at = [], 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            raise QueryError(f"{text[at:]!r} begins with no word of a query")
        found.append((match.lastgroup or "", match[match.lastgroup or 0]))
        at = match.end()
    return [*found, ("end", "")]


class _Reader:
    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._at = 0
        self.query = Query()

    @property
    def kind(self) -> str:
        return self._tokens[self._at][0]

    @property
    def text(self) -> str:
        return self._tokens[self._at][1]

    def _take(self, *texts: str, kind: str = "") -> str:
        if (texts and self.text not in texts) or (kind and self.kind != kind):
            raise QueryError(f"{self.text or 'the end'!r} stands where {texts or kind} must")
        taken = self.text
        self._at += 1
        return taken

    def expression(self) -> None:
        self._operand()
        while self.text in _OPERATORS and self.kind != "string":
            self._take()
            if self.text == "bool":
                self._take()
            if self.text in ("on", "ignoring"):
                self._take()
                self._labels()
            if self.text in ("group_left", "group_right"):
                self._take()
                self._labels()
            self._operand()

    def _operand(self) -> None:
        if self.text == "-" and self.kind == "sign":
            self._take()
        if self.kind in ("number", "string"):
            self._take()
        elif self.text == "(":
            self._take()
            self.expression()
            self._take(")")
            self._range()
        else:
            self._named(self._take(kind="name"))

    def _named(self, name: str) -> None:
        if name in _AGGREGATIONS:
            self._grouping()
            self._arguments()
            self._grouping()
        elif name in _FUNCTIONS:
            ranges = name in _OF_RANGES or name.endswith("_over_time")
            self._arguments(ranges=ranges)
        elif name in _WORDS or self.text == "(":
            raise QueryError(f"{name!r} is no function that is known here")
        else:
            self._selector(name)

    def _grouping(self) -> None:
        if self.text in ("by", "without"):
            self._take()
            self.query.grouped |= self._labels()

    def _labels(self) -> set[str]:
        found = set()
        self._take("(")
        while self.text != ")":
            found.add(self._take(kind="name"))
            if self.text != ")":
                self._take(",")
        self._take(")")
        return found

    def _arguments(self, *, ranges: bool = False) -> None:
        self._take("(")
        while self.text != ")":
            before = self._at
            self.expression()
            if ranges and "]" not in [text for _, text in self._tokens[before : self._at]]:
                raise QueryError("a range, such as [5m], is missing")
            if self.text != ")":
                self._take(",")
        self._take(")")

    def _selector(self, name: str) -> None:
        matched: dict[str, str] = {}
        if self.text == "{":
            self._take()
            while self.text != "}":
                label = self._take(kind="name")
                self._take(*_MATCHES)
                matched[label] = self._take(kind="string")[1:-1]
                if self.text != "}":
                    self._take(",")
            self._take("}")
        self.query.metrics.append((name, matched))
        self._range()

    def _range(self) -> None:
        if self.text == "[":
            self._take()
            self._take(kind="duration")
            if self.text == ":":
                self._take()
                self._take(kind="duration")
            self._take("]")
        if self.text == "offset":
            self._take()
            self._take(kind="duration")
