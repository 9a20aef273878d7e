"""Feeds the server without I/O whatever libFuzzer thinks of; ends at the first broken invariant.

    python -m tests.fuzz CORPUS_FOLDER [libFuzzer options, such as -max_total_time=60]

The first byte of an input says how it is cut into pieces. Without an own corpus start from
`python -m tests.fuzz --seeds FOLDER`, which writes one file for each valid conversation.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["icapd.protocol"]):
    import icapd.protocol  # noqa: F401

from tests.support.driver import run
from tests.support.seeds import seeds


def one(data: bytes) -> None:
    """One input: its first byte is the size of the pieces, 0 for whole."""
    if not data:
        return
    size, stream = data[0], data[1:]
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)] if size else [stream]
    run(pieces)


def main() -> None:
    """Write the seeds, or fuzz."""
    if sys.argv[1:2] == ["--seeds"]:
        folder = Path(sys.argv[2])
        for number, seed in enumerate(seeds()):
            for size in (0, 1, 17):
                (folder / f"{number:03d}-{size}").write_bytes(bytes([size]) + seed)
        return
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
