"""What a request says of user, client and object, read with tolerance."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import unquote, urlsplit, urlunsplit

from bridge.core import Origin
from icapd.contents import unfolded
from icapd.names import LONGEST, as_text, disposition_name, file_name
from icapd.protocol import HttpHead

_BASE64 = re.compile(r"[A-Za-z0-9+/]{4,}={0,2}")
_UNSURE = re.compile(r"[;\\]|%(?:2f|5c|3b|3f|00)", re.IGNORECASE)
# the plainest forms alone: of all others somebody reads another name than we
_SURE_FIELD = re.compile(
    r"(?:attachment|inline)(?:;[ \t]*filename=(?:[!#$&'+.^_`|~0-9A-Za-z-]+|\"[^\"\\%;]*\"))?[ \t]*",
    re.IGNORECASE,
)
# URLs that urlsplit takes apart, and puts together again, as they are: nearly all
HOST = r"[A-Za-z0-9.-]+(?::[0-9]+)?"
SIGNS = r"[!$&'()*+,\-./0-9:;=@A-Z_a-z~%]"
_PLAIN_URL = re.compile(rf"https?://{HOST}/{SIGNS}*+(?:\?(?:{SIGNS}|\?)++)?")
_HOST_AND_PORT = re.compile(r"(?:.*@)?(?:\[[^\[\]]+\]|[^:\[\]@]+)(?::[0-9]*)?")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[/\\]+")
_SCHEMES = ("WinNT://", "LDAP://", "Local://", "Radius://")
_LONGEST_ADDRESS = 64


def client_ip(fields: Mapping[str, str]) -> str | None:
    """The user's address from X-Client-IP among the ICAP fields, if it is one."""
    value = fields.get("x-client-ip")
    return None if value is None or len(value) > _LONGEST_ADDRESS else _address(value)


@lru_cache(maxsize=4096)  # a proxy has so many users at a time
def _address(value: str) -> str | None:
    try:
        return str(ipaddress.ip_address(value.strip()))
    except ValueError:
        return None


def user_name(fields: Mapping[str, str]) -> str | None:
    """The user from the ICAP fields X-Client-Username or X-Authenticated-User, plain or Base64.

    `WinNT://DOMAIN/user` and its kin lose their scheme.
    """
    value = fields.get("x-client-username") or fields.get("x-authenticated-user")
    if not value:
        return None
    name = _decode(as_text(value))
    for scheme in _SCHEMES:
        if name.lower().startswith(scheme.lower()):
            return name[len(scheme) :]
    return name


def _decode(value: str) -> str:
    if _BASE64.fullmatch(value) is None or len(value) % 4:
        return value
    try:
        text = base64.b64decode(value, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return value
    return text if text.isprintable() else value


def log_url(url: str, keep_query: bool) -> str:
    """The URL as it goes to the log: never a password, a query only where it is wanted."""
    if keep_query and _PLAIN_URL.fullmatch(url):
        return url
    return as_text(_without_password(url, keep_query))


def _without_password(url: str, keep_query: bool) -> str:
    if "@" in url and _hides_its_host(url):
        scheme = _SCHEME.match(url)
        url = f"{scheme[0] if scheme else ''}***@{url.rpartition('@')[2]}"
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        query = parts.query if keep_query else ""
        return urlunsplit((parts.scheme, host, parts.path, query, ""))
    except ValueError:
        return url if keep_query else url.partition("?")[0]


def _hides_its_host(url: str) -> bool:
    """Whether what stands before an `@` may be a password, though the syntax says otherwise."""
    if url.startswith("/") and not url.startswith("//"):
        return False
    try:
        return _HOST_AND_PORT.fullmatch(urlsplit(url).netloc) is None
    except ValueError:
        return True


def origin_of(request_head: HttpHead, carrying: HttpHead, source: str | None, name: str) -> Origin:
    """Where an object of that name came from, for rules; `source`: the user's address."""
    return Origin(
        request_head.url or None,
        carrying.joined("content-type"),
        request_head.joined("user-agent"),
        source,
        _sure_name(request_head, carrying, name),
    )


def _sure_name(request_head: HttpHead, carrying: HttpHead, name: str) -> str | None:
    """The object's name where nobody could read another one; None in doubt."""
    if "multipart/" in (carrying.joined("content-type") or "").lower():
        return None  # its files have names of their own, and the URL is of who takes them
    dispositions = _dispositions(carrying)
    if len(dispositions) > 1 or dispositions != carrying.all("content-disposition"):
        return None
    field = dispositions[0] if dispositions else "inline"
    if len(name) >= LONGEST or "=?" in field or _SURE_FIELD.fullmatch(field) is None:
        return None
    is_named = "=" in field
    if is_named and file_name(disposition_name(field)) != name:
        return None
    source = field if is_named else request_head.url.partition("?")[0]
    # not every reader takes raw bytes outside ASCII for the same signs
    is_plain = source.rpartition("/")[2].isascii()
    return name if is_plain and (is_named or not _UNSURE.search(source)) else None


def object_name(request_head: HttpHead, carrying: HttpHead) -> str:
    """A name for the body: the file name it is given by `carrying`, else the URL's last part."""
    dispositions = _dispositions(carrying)
    name = disposition_name(dispositions[0]) if dispositions else ""
    return file_name(name or _url_name(request_head.url))


def _dispositions(carrying: HttpHead) -> list[str]:
    return unfolded(carrying).all("content-disposition")


def _url_name(url: str) -> str:
    """The last part of its path, decoded."""
    if _PLAIN_URL.fullmatch(url):
        path = url.partition("?")[0]
    else:
        try:
            path = urlsplit(url).path
        except ValueError:
            path = ""
    return unquote(as_text(path.rpartition("/")[2]), errors="replace")
