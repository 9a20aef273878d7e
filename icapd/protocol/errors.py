"""What can go wrong between two ICAP peers."""

from __future__ import annotations


class ProtocolError(Exception):
    """The peer sent what RFC 3507 does not allow.

    `status` is the ICAP status a server answers with, `sentence` says why, for the answer and the
    log. The connection cannot be used further.
    """

    def __init__(self, sentence: str, status: int = 400) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.status = status


class LocalProtocolError(Exception):
    """Our own side tried to send what its state does not allow: a bug in the caller."""
