"""`kata-bridge quarantine`: what lies in quarantine, and what is to become of it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from bridge.commands import quarantine_acts, quarantine_list
from bridge.commands.options import add_config, count, duration
from bridge.commands.terminal import complain
from bridge.core import OutcomeKind, read_settings
from bridge.folder.quarantine import Verb, quarantines

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.commands import Commands

_MOST_SHOWN = 1000


def add(commands: Commands) -> None:
    """Give the command its options."""
    parser = commands.add_parser(
        "quarantine",
        help="list, release, delete or rescan files in quarantine",
        description="Files in the quarantines of all folders. Exit code: 0 done, 1 something was "
        "refused or not found, 2 usage, configuration, or KATA did not judge.",
    )
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")
    listing = _verb(verbs, "list", "show what lies there, newest first", quarantine_list.run)
    listing.set_defaults(unsaid=2)
    listing.add_argument(
        "--limit",
        type=count,
        metavar="N",
        help=f"how many at most; a table has {_MOST_SHOWN} if not given, 0 is all",
    )
    for verb, words in _WORDS.items():
        act = _verb(verbs, verb, words, quarantine_acts.run)
        act.set_defaults(verb=verb)
        act.add_argument("names", nargs="*", metavar="CASE|PATH", help="which files")
        act.add_argument("--all", action="store_true", help="all that the filters let through")
        if verb is not Verb.RESCAN:
            act.add_argument("--yes", action="store_true", help="do not ask")


_WORDS = {
    Verb.RELEASE: "bring files to the output although they were not judged clean",
    Verb.DELETE: "remove files, and notes without a file",
    Verb.RESCAN: "have KATA judge files anew; what it finds nothing in goes to the output",
}


def _verb(
    verbs: Commands, name: str, words: str, run: Callable[..., int]
) -> argparse.ArgumentParser:
    parser = verbs.add_parser(name, help=words, description=f"{words[0].upper()}{words[1:]}.")
    add_config(parser)
    parser.add_argument("--folder", metavar="NAME", help="only of this folder")
    kinds = [kind.value for kind in OutcomeKind]
    parser.add_argument("--outcome", choices=kinds, metavar="OUTCOME", help="only with this one")
    parser.add_argument(
        "--since", type=duration, metavar="TIME", help="only what came within it, as in 24h"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.set_defaults(run=lambda options: _run(options, run), limit=None)
    return parser


def _run(options: argparse.Namespace, run: Callable[..., int]) -> int:
    settings = read_settings(options.config, check_only=False)
    if isinstance(settings, int):
        return settings
    names = [folder.name for folder in settings.folders]
    if options.folder is not None and options.folder not in names:
        known = ", ".join(names) or "none"
        complain("quarantine", f"no folder is called {options.folder}; there are: {known}.")
        return 2
    if options.limit is None:
        options.limit = 0 if options.json else _MOST_SHOWN
    places = [place for place in quarantines(settings) if options.folder in (None, *place.folders)]
    return run(settings, places, options)
