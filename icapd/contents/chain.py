"""All decoders of one body, one behind the other, and how much they may give."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from icapd.contents.decoders import (
    PIECE,
    BrotliDecoder,
    Decoder,
    DeflateDecoder,
    GzipDecoder,
    UndecodableError,
)
from icapd.contents.zstd import ZstdDecoder

_MAKE: dict[str, Callable[[], Decoder]] = {
    "gzip": GzipDecoder,
    "deflate": DeflateDecoder,
    "br": BrotliDecoder,
    "zstd": ZstdDecoder,
}
_ALWAYS = 1 << 20  # so much may come out whatever the ratio: small pages compress well
_PIECE_COST = 256  # an empty member or frame is work, too


class DecodingError(Exception):
    """A body that does not decode, or to too much. The text is one sentence."""


@dataclass(frozen=True, slots=True)
class Bound:
    """What may come out of `encoded` bytes: `max_size` bytes, `max_ratio` times as much."""

    encoded: int
    max_size: int
    max_ratio: int

    def check(self, size: int, coding: str) -> None:
        """DecodingError where `size` bytes are too many."""
        if size > self.max_size:
            raise DecodingError(f"its {coding} decodes to more than {self.max_size} bytes")
        if size > max(_ALWAYS, self.max_ratio * self.encoded):
            raise DecodingError(
                f"its {coding} decodes to more than {self.max_ratio} times its size"
                " (icap.contents.max_ratio)"
            )


class Chain:
    """Decodes the codings of a body, named in the order of decoding.

    Every layer is held to the bound: one between may be a bomb that the next one makes small.
    """

    def __init__(self, codings: Sequence[str], bound: Bound) -> None:
        self._names = list(codings)
        self._decoders = [_MAKE[name]() for name in codings]
        self._sizes = [0] * len(self._decoders)
        self._bound = bound
        self.work = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Decoded pieces of at most 128 KiB, made one at a time; DecodingError.

        Empty ones are pauses: between them little is done. `work` counts the bytes that went in
        and came out, at any layer, and something for each piece.
        """
        for at in range(0, len(data), PIECE):
            self.work += min(PIECE, len(data) - at)
            yield from self._feed(0, data[at : at + PIECE])

    def _feed(self, layer: int, data: bytes) -> Iterator[bytes]:
        if layer == len(self._decoders):
            yield data
            return
        name = self._names[layer]
        try:
            for piece in self._decoders[layer].feed(data):
                self.work += len(piece) + _PIECE_COST
                self._sizes[layer] += len(piece)
                self._bound.check(self._sizes[layer], name)
                yield from self._feed(layer + 1, piece)
        except UndecodableError:
            raise DecodingError(f"the body does not decode wholly as {name}") from None
        yield b""

    def finish(self) -> None:
        """All was fed; DecodingError where a layer has not come to its end."""
        for name, decoder in zip(self._names, self._decoders, strict=True):
            if not decoder.is_whole:
                raise DecodingError(f"the body ends before its {name} does")
