"""ICAP/1.0 (RFC 3507) without I/O: bytes in, events out, and back.

Nothing in this package opens a socket, reads a clock or writes a log. Any exception other than
`ProtocolError` (the peer's fault) or `LocalProtocolError` (ours) is a bug of this package.
"""

from icapd.protocol.client import ClientConnection
from icapd.protocol.encapsulated import BodyKind, Encapsulated
from icapd.protocol.errors import LocalProtocolError, ProtocolError
from icapd.protocol.events import BodyEnd, Data, Event, NeedData, PreviewEnd
from icapd.protocol.grammar import DEPARTURES, Limits, clean_value
from icapd.protocol.http import HttpHead
from icapd.protocol.messages import Request, Response, allows, path_of
from icapd.protocol.server import CONTINUE, ServerConnection, format_answer
from icapd.protocol.states import AnswerState, RequestState
from icapd.protocol.whole import Whole, read_rest, read_whole

__all__ = [
    "CONTINUE",
    "DEPARTURES",
    "AnswerState",
    "BodyEnd",
    "BodyKind",
    "ClientConnection",
    "Data",
    "Encapsulated",
    "Event",
    "HttpHead",
    "Limits",
    "LocalProtocolError",
    "NeedData",
    "PreviewEnd",
    "ProtocolError",
    "Request",
    "RequestState",
    "Response",
    "ServerConnection",
    "Whole",
    "allows",
    "clean_value",
    "format_answer",
    "path_of",
    "read_rest",
    "read_whole",
]
