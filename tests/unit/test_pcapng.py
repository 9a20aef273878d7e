"""pcapng files and the TCP connections in them, read by a reader of the tests' own."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from bridge.core import Address, TcpFlow, merge_captured
from bridge.core.capture.pcapng import file_head, packet, packets
from bridge.core.capture.tcp import MOST_DATA
from tests.support.pcapng import ACK, FIN, RST, SYN, said, segments

CLIENT, SERVER = Address("10.1.2.3", 40001), Address("10.1.2.4", 1344)
V6 = Address("2001:db8::1", 40001), Address("2001:db8::2", 1344)
HEAD = file_head("katabridge", "icapd", "bodies: none")


def talk(flow: TcpFlow) -> bytes:
    blocks = [*flow.open(1_000_000, "came over TLS"), *flow.data(1_000_001, True, b"odd")]
    blocks += [*flow.data(1_000_002, False, b"answer"), *flow.close(1 << 40, by_client=False)]
    return HEAD + b"".join(blocks)


@pytest.mark.parametrize(("client", "server"), [(CLIENT, SERVER), V6])
def test_a_connection_is_one_from_its_handshake_to_its_end(
    client: Address, server: Address
) -> None:
    found = segments(talk(TcpFlow(client, server)))
    assert [each.flags & (SYN | FIN | ACK) for each in found] == [
        *(SYN, SYN | ACK, ACK, ACK, ACK),
        *(FIN | ACK, FIN | ACK, ACK),
    ]
    assert (found[0].source, found[0].target) == (client.host, server.host)
    assert found[0].options == {1: b"came over TLS"}
    assert (said(found, 1344, by_client=True), said(found, 1344, by_client=False)) == (
        b"odd",
        b"answer",
    )
    # each side has acknowledged all that the other sent, its SYN and FIN too
    assert found[-2].acknowledged == len(b"answer") + 2
    assert found[-1].acknowledged == len(b"odd") + 2
    assert (found[0].time, found[-1].time) == (1_000_000, 1 << 40)


def test_a_cut_connection_ends_with_a_reset() -> None:
    flow = TcpFlow(CLIENT, SERVER)
    found = segments(HEAD + b"".join([*flow.open(1), *flow.reset(2, by_client=False)]))
    assert found[-1].flags == RST | ACK
    assert found[-1].ports == (1344, 40001)


def test_addresses_of_two_kinds_and_odd_ones_are_written_all_the_same() -> None:
    mixed = segments(HEAD + b"".join(TcpFlow(CLIENT, V6[1]).open(1)))
    assert mixed[0].source == "::ffff:a01:203"
    odd = segments(HEAD + b"".join(TcpFlow(Address("unknown", 0), SERVER).open(1)))
    assert odd[0].source == "::"


@pytest.mark.parametrize("keep", [0, 1, MOST_DATA, MOST_DATA + 5, None])
def test_what_is_cut_keeps_its_length(keep: int | None) -> None:
    flow, data = TcpFlow(CLIENT, SERVER), b"z" * (2 * MOST_DATA + 7)
    blocks = [*flow.open(1), *flow.data(2, True, data, keep), *flow.data(3, True, b"next")]
    found = segments(HEAD + b"".join(blocks))[3:]
    assert [each.length for each in found] == [MOST_DATA, MOST_DATA, 7, 4]
    kept = data if keep is None else data[:keep]
    assert b"".join(each.data for each in found) == kept + b"next"
    assert said(segments(HEAD + b"".join(blocks)), 1344, by_client=True) == kept + b"next"


def test_sequence_numbers_begin_anew_after_the_largest() -> None:
    flow = TcpFlow(CLIENT, SERVER)
    blocks = list(flow.open(1))
    flow._sent[0] = 0xFFFFFFFE
    blocks += [*flow.data(2, True, b"four"), *flow.data(3, True, b"more")]
    assert [each.sequence for each in segments(HEAD + b"".join(blocks))[3:]] == [0xFFFFFFFE, 2]


def test_a_sum_that_is_all_ones_is_no_zero() -> None:
    def checksum(data: bytes) -> int:
        return segments(HEAD + b"".join(TcpFlow(CLIENT, SERVER).data(1, True, data)))[0].checksum

    missing = checksum(b"\0\0")  # to 0xFFFF
    assert checksum(missing.to_bytes(2, "big")) == 0
    assert checksum((missing - 1).to_bytes(2, "big")) == 1
    assert checksum((missing + 1).to_bytes(2, "big")) == 0xFFFE


def test_what_is_not_whole_ends_a_file() -> None:
    blocks = [packet(7, b"one", 3), packet(8, b"second", 60)]
    whole = HEAD + b"".join(blocks)
    for size in range(len(HEAD) + len(blocks[0]), len(whole)):
        (only,) = packets(io.BytesIO(whole[:size]))
        assert only == (7, blocks[0])
    damaged = whole.replace(blocks[1][-4:], b"\1\2\3\4")
    assert len(list(packets(io.BytesIO(damaged)))) < 2
    assert list(packets(io.BytesIO(b"\xff" * 100))) == []


def test_what_several_processes_captured_becomes_one_in_the_order_of_time(tmp_path: Path) -> None:
    parts = {"a-1": (1, 4, 4, 9), "b-2": (2, 4, 8), "c-3": ()}
    for name, times in parts.items():
        blocks = b"".join(packet(time, name.encode(), 60) for time in times)
        (tmp_path / f"capture-77-{name}.part").write_bytes(blocks)
    (tmp_path / "capture-78-d-4.part").write_bytes(packet(3, b"of another", 60))
    target = io.BytesIO()
    merged = merge_captured(tmp_path, "77", target, 1 << 20, ("katabridge", "bodies: none"))
    target.seek(0)
    assert [each.time for each in packets(target)] == [1, 2, 4, 4, 4, 8, 9]
    assert merged == (7, len(target.getvalue()))


def test_no_more_is_put_together_than_was_asked_for(tmp_path: Path) -> None:
    block = packet(1, b"x" * 100, 100)
    (tmp_path / "capture-77-a-1.part").write_bytes(block * 10)
    target = io.BytesIO()
    most = len(HEAD) + 3 * len(block) + 50
    merged = merge_captured(tmp_path, "77", target, most, ("katabridge", "bodies: none"))
    assert merged == (3, len(target.getvalue()))
    assert len(target.getvalue()) <= most
