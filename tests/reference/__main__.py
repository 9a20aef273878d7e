"""Whether docs/configuration.md is what the settings say; `--write` makes it so."""

from __future__ import annotations

import argparse
import sys

from tests.reference.page import PAGE, PageError, filled


def main() -> int:
    """0: it is, 1: it is not, or cannot be made."""
    parser = argparse.ArgumentParser(prog="python -m tests.reference", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the tables anew")
    write = parser.parse_args().write
    text = PAGE.read_text()
    try:
        new = filled(text)
    except PageError as error:
        print(f"tests.reference: {error}.", file=sys.stderr)
        return 1
    if write:
        PAGE.write_text(new)
    elif new != text:
        print(f"{PAGE} is not what the settings say: make docs.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
