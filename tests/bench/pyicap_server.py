"""pyicap's server with a service that answers 204, made to run on Python 3.10 and later."""

from __future__ import annotations

import collections
import collections.abc
import socketserver
import sys
from typing import Any

collections.Callable = collections.abc.Callable  # type: ignore[attr-defined]

import pyicap  # noqa: E402 - needs the name above


class Handler(pyicap.BaseICAPRequestHandler):  # type: ignore[misc]
    """Reads the body and lets it pass."""

    def bench_OPTIONS(self) -> None:
        """Say what the service does."""
        self.set_icap_response(200)
        self.set_icap_header(b"Methods", b"RESPMOD")
        self.set_icap_header(b"Preview", b"4096")
        self.send_headers(False)

    def bench_RESPMOD(self) -> None:
        """Read the preview, and the rest where there is one; 204, or the message where it must."""
        body = self._read_body() if self.has_body else []
        if b"204" in self.allow or (self.preview is not None and self.ieof):
            self.set_icap_response(204)
            self.send_headers()
            return
        self.set_icap_response(200)
        self.set_enc_status(b" ".join(self.enc_res_status))
        for name, values in self.enc_res_headers.items():
            for value in values:
                self.set_enc_header(name, value)
        self.send_headers(self.has_body)
        for chunk in [*body, b""] if self.has_body else []:
            self.write_chunk(chunk)

    def _read_body(self) -> list[bytes]:
        chunks = self._read_chunks()
        if self.preview is not None and not self.ieof:
            self.cont()
            chunks += self._read_chunks()
        return chunks

    def _read_chunks(self) -> list[bytes]:
        return list(iter(self.read_chunk, b""))

    def log_request(self, *_: Any) -> None:
        """No access log: it would cost pyicap time."""


class Server(socketserver.ThreadingMixIn, pyicap.ICAPServer):  # type: ignore[misc]
    """A thread a connection, as pyicap's own examples have it."""

    daemon_threads = True
    request_queue_size = 512  # the library's 5 would measure refused connections


def main() -> None:
    """Serve on the port named by the first argument."""
    Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()


if __name__ == "__main__":
    main()
