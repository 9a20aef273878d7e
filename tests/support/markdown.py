"""What of a page can be held against something: headings, code, links, names, numbers."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

_HEADING = re.compile(r"^(#{1,4}) (.+)$", re.MULTILINE)
_CODE = re.compile(r"^ {4,}(\S.*)$", re.MULTILINE)  # a text's own lines have 3 spaces at most
_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_ROW = re.compile(r"^ {0,3}\|.*\|$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Page:
    """A page in Markdown. Code is indented by four spaces or more, never fenced."""

    path: Path
    text: str

    @classmethod
    def of(cls, path: Path) -> Page:
        """Read it; AssertionError where code is fenced, which nothing here would see."""
        text = path.read_text(encoding="utf-8")
        assert "```" not in text, f"{path} has fenced code"
        return cls(path, text)

    @property
    def headings(self) -> list[tuple[int, str]]:
        """Level and words."""
        return [(len(signs), words) for signs, words in _HEADING.findall(self.prose)]

    @property
    def anchors(self) -> set[str]:
        """Where links may lead to within the page."""
        return {anchor(words) for _, words in self.headings}

    @property
    def code(self) -> list[str]:
        """The lines of its code, without their indent."""
        return _CODE.findall(self.text)

    @property
    def prose(self) -> str:
        """All but the code."""
        return _CODE.sub("", self.text)

    @property
    def spans(self) -> Counter[str]:
        """What stands between back-quotes, and how often."""
        return Counter(_SPAN.findall(self.prose))

    @property
    def links(self) -> list[str]:
        """Targets as they are written."""
        return _LINK.findall(self.prose)

    @property
    def numbers(self) -> Counter[str]:
        """Figures outside code and names, their decimals with a point."""
        plain = _LINK.sub("", _SPAN.sub("", self.prose))
        return Counter(number.replace(",", ".") for number in _NUMBER.findall(plain))

    @property
    def rows(self) -> int:
        """Lines of tables."""
        return len(_ROW.findall(self.prose))

    def blocks(self, first_line: str) -> list[str]:
        """Pieces of code that begin with this line, dedented, as far as code goes on."""
        found, lines = [], self.text.splitlines()
        for number, line in enumerate(lines):
            if line.strip() != first_line:
                continue
            indent = len(line) - len(line.lstrip())
            block = []
            for each in lines[number + 1 :]:
                if each.strip() and len(each) - len(each.lstrip()) < indent:
                    break
                if not each.strip() or each.strip().startswith("# "):
                    break
                block.append(each[indent:])
            found.append("\n".join(block))
        return found


def anchor(words: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
