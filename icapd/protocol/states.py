"""Where a request and its answer are, and what moves them: the same two tables for both roles.

A server reads the request and sends the answer, a client the other way round; either way each side
of the conversation is in one of these states, and a pair that a table lacks is a fault: the peer's
where it came off the wire, ours where we were about to send it.

    request   IDLE -> PREVIEW -> HELD -> BODY -> COMPLETE -> IDLE (the next one)
    answer    IDLE -> (100 Continue) -> IDLE -> BODY -> COMPLETE -> IDLE
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final


class RequestState(Enum):
    """How far the request is (RFC 3507 4.3.2, 4.5)."""

    IDLE = auto()  # the next request has not begun, or its head is incomplete
    PREVIEW = auto()
    HELD = auto()  # the preview is in; the client waits for 100 or an answer
    BODY = auto()
    COMPLETE = auto()
    FAILED = auto()  # the framing is lost: nothing more can be read


class AnswerState(Enum):
    """How far the final answer is (RFC 3507 4.3.3)."""

    IDLE = auto()
    BODY = auto()
    COMPLETE = auto()


class Move(Enum):
    """What moves a request or an answer."""

    HEAD = auto()  # a head without a body
    HEAD_AND_PREVIEW = auto()
    HEAD_AND_BODY = auto()
    END = auto()  # the last chunk
    END_IEOF = auto()  # `0; ieof`
    CONTINUE = auto()  # 100
    ANSWERED = auto()  # a final answer's head
    NEXT = auto()  # the next request of the connection


REQUEST: Final[Mapping[tuple[RequestState, Move], RequestState]] = {
    (RequestState.IDLE, Move.HEAD): RequestState.COMPLETE,
    (RequestState.IDLE, Move.HEAD_AND_PREVIEW): RequestState.PREVIEW,
    (RequestState.IDLE, Move.HEAD_AND_BODY): RequestState.BODY,
    (RequestState.PREVIEW, Move.END): RequestState.HELD,
    (RequestState.PREVIEW, Move.END_IEOF): RequestState.COMPLETE,
    (RequestState.PREVIEW, Move.ANSWERED): RequestState.PREVIEW,
    (RequestState.HELD, Move.CONTINUE): RequestState.BODY,
    (RequestState.HELD, Move.ANSWERED): RequestState.COMPLETE,  # no more of this body follows
    (RequestState.BODY, Move.END): RequestState.COMPLETE,
    (RequestState.BODY, Move.END_IEOF): RequestState.COMPLETE,  # without a preview: Traffic Server
    (RequestState.BODY, Move.ANSWERED): RequestState.BODY,  # early: the rest is still read
    (RequestState.COMPLETE, Move.ANSWERED): RequestState.COMPLETE,
    (RequestState.COMPLETE, Move.NEXT): RequestState.IDLE,
    # What could not be read is answered, too.
    (RequestState.IDLE, Move.ANSWERED): RequestState.FAILED,
    (RequestState.FAILED, Move.ANSWERED): RequestState.FAILED,
}

ANSWER: Final[Mapping[tuple[AnswerState, Move], AnswerState]] = {
    (AnswerState.IDLE, Move.CONTINUE): AnswerState.IDLE,
    (AnswerState.IDLE, Move.HEAD): AnswerState.COMPLETE,
    (AnswerState.IDLE, Move.HEAD_AND_BODY): AnswerState.BODY,
    (AnswerState.BODY, Move.END): AnswerState.COMPLETE,
    (AnswerState.COMPLETE, Move.NEXT): AnswerState.IDLE,
}

_WORDS = {
    Move.HEAD: "a head",
    Move.HEAD_AND_PREVIEW: "a head with a preview",
    Move.HEAD_AND_BODY: "a head with a body",
    Move.END: "the end of a body",
    Move.END_IEOF: "`ieof`",
    Move.CONTINUE: "100 Continue",
    Move.ANSWERED: "an answer",
    Move.NEXT: "the next request",
}


class IllegalMove(Exception):
    """A move that the tables lack; the text says which, for whoever made it."""


class Exchange:
    """One request and its answer, as both roles follow them."""

    def __init__(self) -> None:
        self.request = RequestState.IDLE
        self.answer = AnswerState.IDLE

    def move_request(self, move: Move) -> None:
        """The request goes on; IllegalMove where it cannot."""
        state = REQUEST.get((self.request, move))
        if state is None:
            raise IllegalMove(f"{_WORDS[move]} while the request is {self.request.name.lower()}")
        # Answered before the preview's end: the client sends nothing behind it.
        held = state is RequestState.HELD and self.answer is not AnswerState.IDLE
        self.request = RequestState.COMPLETE if held else state

    def move_answer(self, move: Move) -> None:
        """The answer goes on, and the request with it; IllegalMove where it cannot."""
        state = ANSWER.get((self.answer, move))
        if state is None:
            raise IllegalMove(f"{_WORDS[move]} while the answer is {self.answer.name.lower()}")
        if move is Move.CONTINUE:
            self.move_request(move)
        elif move in (Move.HEAD, Move.HEAD_AND_BODY):
            self.move_request(Move.ANSWERED)
        self.answer = state

    def next(self) -> None:
        """Both are complete: the next pair; IllegalMove before that."""
        request = REQUEST.get((self.request, Move.NEXT))
        answer = ANSWER.get((self.answer, Move.NEXT))
        if request is None or answer is None:
            raise IllegalMove("the next request before the end of this one")
        self.request, self.answer = request, answer

    def fail(self) -> None:
        """The peer broke the framing: nothing of the request can be read any more."""
        self.request = RequestState.FAILED
