"""One rule of `exclusions`, as the configuration writes it. What fits it passes unscanned."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from bridge.core.exclusions.masks import check_host_mask, check_mask, check_path_mask
from bridge.core.fields import Size, parse_network
from bridge.core.formats import FORMATS, Group
from bridge.core.quoting import quoted

_SMALL = 1 << 20
_NO_CRITERIA = frozenset({"enabled", "label"})
_URL_PARTS = ("scheme", "path", "port")
_BODY = frozenset({"format", "md5", "sha256", "larger_than", "smaller_than"})
_FORGEABLE = frozenset(
    {"name", "content_type", "user_agent", "larger_than", "smaller_than", "md5", *_URL_PARTS}
)


def _format(value: str) -> str:
    known = [*dict.fromkeys([*Group, *FORMATS])]
    if value in known:
        return value
    close = difflib.get_close_matches(value, known, n=1, cutoff=0.6)
    hint = f"the nearest is {close[0]}" if close else f"groups are {', '.join(Group)}"
    raise ValueError(f"{quoted(value)} is no format and no group of formats; {hint}")


def _hash(digits: int) -> Callable[[object], str]:
    def check(value: object) -> str:
        text = value.lower() if isinstance(value, str) else ""
        if re.fullmatch(rf"[0-9a-f]{{{digits}}}", text) is None:
            raise ValueError(f"{quoted(value)} is not {digits} hex digits in quotes")
        return text

    return check


def _sources(value: object) -> tuple[IPv4Network | IPv6Network, ...]:
    values = value if isinstance(value, list | tuple) else [value]
    if not values:
        raise ValueError("the list of addresses is empty")
    return tuple(_source(each) for each in values)


def _source(value: object) -> IPv4Network | IPv6Network:
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    network = parse_network(value)
    if network.prefixlen == 0:
        raise ValueError(f"{quoted(value)} is every address; that would let everything pass")
    return network


def _label(value: str) -> str:
    if not value.strip() or not value.isprintable():
        raise ValueError(f"{quoted(value)} is no label: it is empty or holds control signs")
    return value


Mask = Annotated[str, AfterValidator(check_mask)]


class Rule(BaseModel):
    """An object passes unscanned where every criterion of a rule fits.

    `source` takes an address, a network, or a list of them. Sizes are in bytes, and exclude the
    bound itself. Without `port` the URL's port must be its scheme's own.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Mask | None = None
    """A mask for the file name, with `*` and `?`; case counts. Whoever sends the object chooses it.
    """
    format: Annotated[str, AfterValidator(_format)] | None = None
    """A format (`pdf`, `pe`, …) or a group of formats (as in `submit.types`), by content."""
    content_type: Annotated[Mask, AfterValidator(str.lower)] | None = None
    """A mask for the `Content-Type`, such as `video/*`. Whoever sends the object chooses it."""
    user_agent: Mask | None = None
    """A mask for the user agent. Whoever asks for the object chooses it."""
    md5: Annotated[str, BeforeValidator(_hash(32))] | None = None
    """The MD5 of the body: 32 hex digits in quotes. Two files of one MD5 can be made."""
    sha256: Annotated[str, BeforeValidator(_hash(64))] | None = None
    """The SHA-256 of the body: 64 hex digits in quotes."""
    scheme: Literal["http", "https", "ftp"] | None = None
    """`http`, `https` or `ftp`. Needs `host`."""
    host: Annotated[str, AfterValidator(check_host_mask)] | None = None
    """The host of the URL: a name, an IP address, or `*.example.com` for all names below."""
    port: Annotated[int, Field(strict=True, ge=1, le=65535)] | None = None
    """The port of the URL; where none is written, the scheme's own. Needs `host`."""
    path: Annotated[str, AfterValidator(check_path_mask)] | None = None
    """The path of the URL, without its query: `*` stays between two slashes, `/**` at the end is
    everything below. Needs `host`."""
    source: Annotated[tuple[IPv4Network | IPv6Network, ...], BeforeValidator(_sources)] | None = (
        None
    )
    """The client's address or network, or a list of them."""
    larger_than: Size | None = None
    """The body is larger than this."""
    smaller_than: Size | None = None
    """The body is smaller than this; alone it takes `1MiB` at most."""
    enabled: Annotated[bool, Field(strict=True)] = True
    """`false` switches the rule off."""
    label: Annotated[str, AfterValidator(_label)] | None = None
    """The rule's name in records; without it the rule itself."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.criteria:
            raise ValueError("the rule has no criterion; it would let everything pass")
        lonely = [key for key in _URL_PARTS if key in self.criteria]
        if lonely and self.host is None:
            raise ValueError(f"{lonely[0]} needs host: anybody can have a server with such a URL")
        return self

    @model_validator(mode="after")
    def _sizes_differ(self) -> Self:
        low, high = self.larger_than, self.smaller_than
        if self.criteria.keys() == {"smaller_than"} and (high or 0) > _SMALL:
            raise ValueError("smaller_than alone takes 1MiB at most: most objects are small")
        if low == 0 and high is None:
            raise ValueError(
                "larger_than: 0B fits everything; give a size from which files are large"
            )
        if high is not None and high <= (low or 0) + (low is not None):
            raise ValueError("no size is between larger_than and smaller_than")
        return self

    @property
    def criteria(self) -> dict[str, Any]:
        """What must fit, by key, in the order of the fields."""
        values = ((key, getattr(self, key)) for key in type(self).model_fields)
        return {k: value for k, value in values if k not in _NO_CRITERIA and value is not None}

    @property
    def needs_body(self) -> bool:
        """Whether only the body can tell: an announced size or type is a claim."""
        return not _BODY.isdisjoint(self.criteria)

    @property
    def stands_on_forgeable_criteria(self) -> bool:
        """Whether a stranger who made the object can also make it fit.

        Names, headers and sizes are chosen by who sends them; two files with one MD5 can be made;
        a host is sure only where `scheme: https` makes the proxy check its certificate. Not
        forgeable are `sha256`, `source` (the proxy's word) and formats that we do recognise.
        """
        weak = set(_FORGEABLE)
        if self.scheme != "https":
            weak.add("host")
        if FORMATS.get(self.format or "") is Group.UNKNOWN:
            weak.add("format")
        return weak.issuperset(self.criteria)

    def __str__(self) -> str:
        """The criteria in one line: `host=updates.example path=/pub/*`."""
        return " ".join(f"{key}={_written(value)}" for key, value in self.criteria.items())


def _written(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
