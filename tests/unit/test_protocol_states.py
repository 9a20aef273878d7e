"""The two tables that both roles share: whole, reachable, and kept by both sides alike."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from icapd.protocol.states import (
    ANSWER,
    REQUEST,
    AnswerState,
    Exchange,
    IllegalMove,
    Move,
    RequestState,
)


def test_every_state_is_reached_and_left() -> None:
    for states, table, last in (
        (set(RequestState), REQUEST, {RequestState.FAILED}),
        (set(AnswerState), ANSWER, set()),
    ):
        assert set(table.values()) == states
        left = {state for (state, _), to in table.items() if to is not state}
        assert left == states - last


def test_every_move_is_one_of_a_request_or_an_answer() -> None:
    assert {move for _, move in REQUEST} | {move for _, move in ANSWER} == set(Move)


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(list(Move))), max_size=30))
def test_whatever_moves_a_pair_the_rules_of_rfc_3507_hold(moves: list[tuple[bool, Move]]) -> None:
    exchange, continues = Exchange(), 0
    for of_answer, move in moves:
        before = exchange.request, exchange.answer
        try:
            (exchange.move_answer if of_answer else exchange.move_request)(move)
        except IllegalMove:
            assert (exchange.request, exchange.answer) == before
            continue
        if of_answer and move is Move.CONTINUE:
            continues += 1
            assert before == (RequestState.HELD, AnswerState.IDLE)
        if exchange.request is RequestState.HELD:  # nobody is held who has an answer
            assert exchange.answer is AnswerState.IDLE
        if move is Move.NEXT:
            continues = 0
        assert continues <= 1
