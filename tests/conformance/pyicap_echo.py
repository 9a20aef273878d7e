"""pyicap's server with a service that gives everything back, written as pyicap's examples are."""

from __future__ import annotations

import collections
import collections.abc
import socketserver
import sys
from typing import Any

collections.Callable = collections.abc.Callable  # type: ignore[attr-defined]

import pyicap  # noqa: E402 - needs the name above


class Handler(pyicap.BaseICAPRequestHandler):  # type: ignore[misc]
    """One connection."""

    def echo_OPTIONS(self) -> None:
        """Say what the service does."""
        self.set_icap_response(200)
        self.set_icap_header(b"Methods", b"RESPMOD, REQMOD")
        self.set_icap_header(b"Service", b"pyicap echo")
        self.set_icap_header(b"Preview", b"1024")
        self.set_icap_header(b"Transfer-Preview", b"*")
        self.set_icap_header(b"Allow", b"204")
        self.send_headers(False)

    def echo_RESPMOD(self) -> None:
        """Give the response back."""
        self._echo()

    def echo_REQMOD(self) -> None:
        """Give the request back."""
        self._echo()

    def _echo(self) -> None:
        if b"204" in self.allow:
            self._read()
            self.no_adaptation_required()
            return
        body = self._read()
        self.set_icap_response(200)
        if self.enc_res_status is not None:
            self.set_enc_status(b" ".join(self.enc_res_status))
            headers = self.enc_res_headers
        else:
            self.set_enc_request(b" ".join(self.enc_req or []))
            headers = self.enc_req_headers
        for name, values in headers.items():
            for value in values:
                self.set_enc_header(name, value)
        self.send_headers(self.has_body)
        if self.has_body:
            for piece in body:
                self.write_chunk(piece)
            self.write_chunk(b"")

    def _read(self) -> list[bytes]:
        if not self.has_body:
            return []
        pieces = self._read_run()
        if self.preview is not None and not self.ieof:
            self.cont()
            pieces += self._read_run()
        return pieces

    def _read_run(self) -> list[bytes]:
        pieces = []
        while piece := self.read_chunk():
            pieces.append(piece)
        return pieces

    def log_request(self, *_: Any) -> None:
        """No access log."""


class Server(socketserver.ThreadingMixIn, pyicap.ICAPServer):  # type: ignore[misc]
    """A thread a connection, as pyicap's own examples have it."""

    daemon_threads = True


def main() -> None:
    """Serve on the port named by the first argument."""
    Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()


if __name__ == "__main__":
    main()
