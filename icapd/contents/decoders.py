"""Decoders of one content coding each, without I/O: encoded bytes in, bounded pieces out."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Protocol

import brotli

PIECE = 64 * 1024  # what a decoder is asked for at a time; brotli and zstd give up to twice that
_FIRST_SLICE = 512
_GZIP, _ZLIB, _RAW = 31, 15, -15


class UndecodableError(Exception):
    """Bytes that are not what their coding demands."""


class Decoder(Protocol):
    """Decodes one coding."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Decoded pieces of at most 128 KiB, made one at a time, some empty; UndecodableError.

        The iterator must be used up before more is fed.
        """

    @property
    def is_whole(self) -> bool:
        """Whether what was fed so far ends where the coding may end."""


class GzipDecoder:
    """gzip (RFC 1952), any number of members one after another."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP)
        self._begun = False  # the member at hand
        self._members = 0
        self._slice = PIECE

    def feed(self, data: bytes) -> Iterator[bytes]:
        """See `Decoder`. A member copies what follows it: after one, slices begin small."""
        at = 0
        while at < len(data):
            part = data[at : at + self._slice]
            at += len(part)
            self._slice = min(2 * self._slice, PIECE)
            while part:
                self._begun = True
                yield from _inflate(self._member, part)
                yield b""  # a member that holds nothing is work, too
                part = self._rest()

    def _rest(self) -> bytes:
        """What follows a member that has ended."""
        if not self._member.eof:
            return b""
        rest = self._member.unused_data
        self._member = zlib.decompressobj(_GZIP)
        self._begun, self._slice = False, _FIRST_SLICE
        self._members += 1
        return rest

    @property
    def is_whole(self) -> bool:
        """At the end of a member."""
        return self._members > 0 and not self._begun


class DeflateDecoder:
    """deflate in its zlib wrapping (RFC 1950), or raw (RFC 1951) as some servers send it.

    The first two bytes tell, as they do for browsers.
    """

    def __init__(self) -> None:
        self._head = b""
        self._stream = zlib.decompressobj(_ZLIB)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """See `Decoder`."""
        if len(self._head) < 2:
            data, self._head = self._head + data, (self._head + data)[:2]
            if len(self._head) < 2:
                return
            if not _is_zlib(self._head):
                self._stream = zlib.decompressobj(_RAW)
        for at in range(0, len(data), PIECE):
            yield from _inflate(self._stream, data[at : at + PIECE])
            if self._stream.unused_data:  # of a later call, too
                raise UndecodableError

    @property
    def is_whole(self) -> bool:
        """At the end of the one stream."""
        return self._stream.eof


def _is_zlib(head: bytes) -> bool:
    """CMF and FLG of RFC 1950 2.2."""
    return head[0] & 15 == 8 and head[0] >> 4 <= 7 and int.from_bytes(head, "big") % 31 == 0


def _inflate(stream: zlib._Decompress, data: bytes) -> Iterator[bytes]:
    """All that `data` gives, piece by piece, up to the end of the stream."""
    try:
        piece = stream.decompress(data, PIECE)
        while piece:
            yield piece
            if stream.eof:
                return
            piece = stream.decompress(stream.unconsumed_tail, PIECE)
    except zlib.error as error:
        raise UndecodableError from error


class BrotliDecoder:
    """br (RFC 7932)."""

    def __init__(self) -> None:
        self._stream = brotli.Decompressor()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """See `Decoder`. The library itself refuses bytes after the end."""
        for at in range(0, len(data), PIECE):
            yield from self._pieces(data[at : at + PIECE])

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        piece = self._process(data)
        while piece:  # it may hold back output even when it could take more
            yield piece
            piece = self._process(b"")
        if not self._stream.can_accept_more_data():
            raise UndecodableError

    def _process(self, data: bytes) -> bytes:
        try:
            piece: bytes = self._stream.process(data, output_buffer_limit=PIECE)
        except brotli.error as error:
            raise UndecodableError from error
        return piece

    @property
    def is_whole(self) -> bool:
        """At the end of the one stream."""
        return bool(self._stream.is_finished())
