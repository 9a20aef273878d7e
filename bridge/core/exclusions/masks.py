"""Masks of rules: `*` and `?` in names and headers, `*.` before a host, `*` and `**` in a path."""

from __future__ import annotations

import fnmatch
import re
from urllib.parse import quote

from bridge.core.exclusions.urls import normalise_host, path_segments
from bridge.core.quoting import quoted

_PATH_SIGNS = "".join(map(chr, range(0x21, 0x7F)))
_BELOW = "**"


def compile_mask(mask: str) -> re.Pattern[str]:
    """`*` stands for any signs, `?` for one, everything else for itself; case counts."""
    return re.compile(fnmatch.translate(mask.replace("[", "[[]")))


def check_mask(mask: str) -> str:
    """A mask that can be used; ValueError for one that nothing or nearly everything fits."""
    if not mask or not mask.isprintable() or mask != mask.strip():
        raise ValueError(
            f"{quoted(mask)} is no mask: it is empty, or holds blanks at an end or control signs"
        )
    if re.search(r"[*?]", mask) and not re.search(r"\w", mask):
        raise ValueError(
            f"{quoted(mask)} fits nearly everything; a mask must name something (as in *.iso)"
        )
    return mask


def check_host_mask(text: str) -> str:
    """An exact host, or `*.` and a domain, in normalised form."""
    base = text.removeprefix("*.")
    if "*" in base:
        raise ValueError(
            f"{quoted(text)}: a wildcard stands for whole labels on the left (as in *.example.com)"
        )
    host = normalise_host(base)
    if host is None:
        raise ValueError(
            f"{quoted(text)} is not a host name or address; write it in lower case, without "
            "scheme, port or path, IPv6 in brackets "
            "(as in updates.example, *.example.com, [2001:db8::1])"
        )
    if base == text:
        return host
    if host.startswith("[") or host.rpartition(".")[2].isdigit():
        raise ValueError(f"{quoted(text)}: an address takes no wildcard; use it as it is")
    return f"*.{host}"


def host_fits(mask: str, host: str) -> bool:
    """Whether a normalised host fits; `*.` stands for one label or more, never for none."""
    return host.endswith(mask[1:]) if mask.startswith("*.") else host == mask


def check_path_mask(path: str) -> str:
    """A path mask that can be used."""
    PathMask(path)
    return path


class PathMask:
    """A path; `*` stands for signs within a segment, `/**` at the end for everything below."""

    def __init__(self, path: str) -> None:
        """Compile it; ValueError says what is wrong."""
        segments = self._segments(path)
        self._all_below = segments[-1] == _BELOW
        fixed = segments[:-1] if self._all_below else segments
        if any(_BELOW in segment for segment in fixed):
            raise ValueError(
                f"{quoted(path)}: ** stands only at the end, after a slash (as in /pub/**)"
            )
        self._masks = [compile_mask(segment) for segment in fixed]

    @staticmethod
    def _segments(path: str) -> tuple[str, ...]:
        if not path.startswith("/") or not path.isprintable():
            raise ValueError(f"{quoted(path)} is not a path: it must begin with / (as in /pub/*)")
        segments = path_segments(quote(path, safe=_PATH_SIGNS))
        if segments is None or len(segments) != path.count("/"):
            raise ValueError(
                f"{quoted(path)} is not a plain path: no ?, #, [, \\, dot segments or "
                "escaped slashes"
            )
        return segments

    def fits(self, segments: tuple[str, ...]) -> bool:
        """Whether the path of a `Url` fits."""
        count = len(self._masks)
        if len(segments) <= count if self._all_below else len(segments) != count:
            return False
        return all(
            mask.match(segment) for mask, segment in zip(self._masks, segments, strict=False)
        )
