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
        """Read the preview, and the rest where there is one, and answer 204."""
        if self.has_body:
            while self.read_chunk():
                pass
            if self.preview and not self.ieof:
                self.cont()
                while self.read_chunk():
                    pass
        self.no_adaptation_required()

    def log_request(self, *_: Any) -> None:
        """No access log: it would cost pyicap time."""


class Server(socketserver.ThreadingMixIn, pyicap.ICAPServer):  # type: ignore[misc]
    """A thread a connection, as pyicap's own examples have it."""

    daemon_threads = True


def main() -> None:
    """Serve on the port named by the first argument."""
    Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()


if __name__ == "__main__":
    main()
