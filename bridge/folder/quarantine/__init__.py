"""What lies in quarantine, and what a person does with it."""

from bridge.folder.quarantine.acts import Result, Verb, delete, release
from bridge.folder.quarantine.carrying import Carrier, RefusedError
from bridge.folder.quarantine.entries import Entry, State, read_entry
from bridge.folder.quarantine.names import pick
from bridge.folder.quarantine.plans import unfinished
from bridge.folder.quarantine.recovery import recover
from bridge.folder.quarantine.rescan import rescan
from bridge.folder.quarantine.roots import Quarantine, quarantines
from bridge.folder.quarantine.walk import Found, Listing, find_all

__all__ = [
    "Carrier",
    "Entry",
    "Found",
    "Listing",
    "Quarantine",
    "RefusedError",
    "Result",
    "State",
    "Verb",
    "delete",
    "find_all",
    "pick",
    "quarantines",
    "read_entry",
    "recover",
    "release",
    "rescan",
    "unfinished",
]
