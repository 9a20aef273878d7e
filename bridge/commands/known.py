"""`kata-bridge known`: what is known of single contents, and a person's word on them."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from bridge.commands.options import add_config, duration
from bridge.commands.terminal import complain
from bridge.core import (
    Settings,
    StartError,
    StoreError,
    Verdict,
    allow_hash,
    checked_hash,
    forget_hash,
    local_time,
    open_verdicts,
    printable,
    read_settings,
    show_hash,
)

if TYPE_CHECKING:
    from bridge.commands import Commands

_ALLOW_SECONDS = 30 * 86400.0


def add(commands: Commands) -> None:
    """Give the command its options."""
    parser = commands.add_parser(
        "known",
        help="show, allow or forget what is known of a content",
        description="Verdicts by sha256. `allow` calls a content clean whatever KATA says; "
        "`forget` has it judged anew. Running daemons follow within five seconds.",
    )
    parser.add_argument("what", choices=("show", "allow", "forget"))
    parser.add_argument("hash", metavar="HASH", help="sha256 in hex")
    parser.add_argument(
        "--for", type=duration, dest="seconds", metavar="TIME", help="with allow; 30d if not given"
    )
    add_config(parser)
    parser.add_argument("--json", action="store_true", help="with show: a JSON object")
    parser.set_defaults(run=run, unsaid=2)


def run(options: argparse.Namespace) -> int:
    """0 done, 1 nothing is known or the store fails, 2 configuration or usage."""
    if options.seconds is not None and options.what != "allow":
        complain("known", "--for goes with allow.")
        return 2
    settings = read_settings(options.config, check_only=False)
    if isinstance(settings, int):
        return settings
    try:
        return asyncio.run(_run(settings, options))
    except ValueError as error:
        complain("known", f"{error}.")
        return 2
    except (StartError, StoreError) as error:
        complain("known", str(error))
        return 1


async def _run(settings: Settings, options: argparse.Namespace) -> int:
    sha256 = checked_hash(options.hash)
    store = open_verdicts(settings)
    try:
        if options.what == "show":
            return _show(sha256, await show_hash(store, sha256), as_json=options.json)
        if options.what == "allow":
            verdict = await allow_hash(store, sha256, options.seconds or _ALLOW_SECONDS)
            sys.stdout.write(f"{sha256}: passes until {local_time(verdict.expires)}\n")
            return 0
        was_known = await forget_hash(store, sha256)
        words = "is judged anew" if was_known else "was not known"
        sys.stdout.write(f"{sha256}: {words}\n")
        return 0 if was_known else 1
    finally:
        await store.close()


def _show(sha256: str, verdict: Verdict | None, *, as_json: bool) -> int:
    if as_json:
        sys.stdout.write(json.dumps(asdict(verdict) if verdict else None) + "\n")
    elif verdict is None:
        sys.stdout.write(f"{sha256}: not known\n")
    else:
        rows = {
            "outcome": verdict.kind,
            "threat": verdict.threat,
            "technology": verdict.technology,
            "importance": verdict.importance,
            "said by": verdict.rule or "KATA",
            "since": local_time(verdict.time),
            "until": local_time(verdict.expires),
            "scan": verdict.scan_id,
            "md5": verdict.md5,
        }
        for name, value in {"sha256": sha256, **rows}.items():
            if value:
                sys.stdout.write(f"{name:12}{printable(value)}\n")
    return 0 if verdict else 1
