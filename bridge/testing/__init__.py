"""A test harness: an emulated KATA, both doors as programs, and a client, for tests of others.

`bridge.testing.plugin` gives them as pytest fixtures (docs/harness.md). What is heavy is loaded
when a name is first used, since pytest loads the plugin at each start.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from bridge.testing.ports import free_port
from bridge.testing.processes import HarnessError, Program, accepts, wait_until

if TYPE_CHECKING:
    from bridge.emulator import EICAR
    from bridge.testing.doors import IcapdServer
    from bridge.testing.folder import Delivery, FolderBridge
    from bridge.testing.kata import KataEmulator
    from bridge.testing.site import Site
    from icapd.client import Answer, IcapClient

__all__ = [
    "EICAR",
    "Answer",
    "Delivery",
    "FolderBridge",
    "HarnessError",
    "IcapClient",
    "IcapdServer",
    "KataEmulator",
    "Program",
    "Site",
    "accepts",
    "free_port",
    "wait_until",
]

_HOMES = {
    "EICAR": "bridge.emulator",
    "Answer": "icapd.client",
    "Delivery": "bridge.testing.folder",
    "FolderBridge": "bridge.testing.folder",
    "IcapClient": "icapd.client",
    "IcapdServer": "bridge.testing.doors",
    "KataEmulator": "bridge.testing.kata",
    "Site": "bridge.testing.site",
}


def __getattr__(name: str) -> object:
    """A name that is not loaded yet; ImportError where a package of the harness is missing."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(_HOMES[name]), name)
    except ImportError as error:
        raise ImportError(f"{error}; install katabridge[harness].") from None
