"""What a request says of user, client and object, read with tolerance."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from email.message import Message
from urllib.parse import unquote, urlsplit, urlunsplit

from icapd.protocol import HttpHead, Request

_BASE64 = re.compile(r"[A-Za-z0-9+/]{4,}={0,2}")
_UNSURE = re.compile(r"[;\\]|%(?:2f|5c|3b|3f|00)|filename\*", re.IGNORECASE)
_SCHEMES = ("WinNT://", "LDAP://", "Local://", "Radius://")
_NAME_MAX = 255
_UNNAMED = "unnamed"


def client_ip(request: Request) -> str | None:
    """The user's address from X-Client-IP, if it is one."""
    value = request.fields.get("x-client-ip", "").strip()
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        return None


def user_name(request: Request) -> str | None:
    """The user from X-Client-Username or X-Authenticated-User, plain or Base64.

    `WinNT://DOMAIN/user` and its kin lose their scheme.
    """
    value = request.fields.get("x-client-username") or request.fields.get("x-authenticated-user")
    if not value:
        return None
    name = _decode(value)
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
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        query = parts.query if keep_query else ""
        return urlunsplit((parts.scheme, host, parts.path, query, ""))
    except ValueError:
        return url if keep_query else url.partition("?")[0]


def sure_name(request_head: HttpHead, carrying: HttpHead, name: str) -> str | None:
    """The object's name where nobody could read another one; None in doubt."""
    dispositions = carrying.all("content-disposition")
    if len(dispositions) > 1:
        return None
    source = dispositions[0] if dispositions else request_head.url.partition("?")[0]
    return None if _UNSURE.search(source.removeprefix("attachment;")) else name


def object_name(request_head: HttpHead, carrying: HttpHead) -> str:
    """A name for the body: the file name it is given by `carrying`, else the URL's last part."""
    disposition = carrying.field("content-disposition")
    name = _disposition_name(disposition) if disposition else ""
    if not name:
        try:
            path = urlsplit(request_head.url).path
        except ValueError:
            path = ""
        name = unquote(path.rpartition("/")[2], errors="replace")
    name = name.replace("\\", "/").rpartition("/")[2].strip()
    return name[:_NAME_MAX] or _UNNAMED


def _disposition_name(value: str) -> str:
    message = Message()
    try:
        message["content-disposition"] = value
        return message.get_filename() or ""
    except Exception:
        return ""
