"""What was judged before: a store shared by processes, with a front in memory."""

from bridge.core.verdicts.front import VerdictFront
from bridge.core.verdicts.memory import MemoryVerdicts
from bridge.core.verdicts.opening import open_store
from bridge.core.verdicts.sqlite import SqliteVerdicts
from bridge.core.verdicts.store import Claim, StoreError, Verdict, VerdictStore, Watch

__all__ = [
    "Claim",
    "MemoryVerdicts",
    "SqliteVerdicts",
    "StoreError",
    "Verdict",
    "VerdictFront",
    "VerdictStore",
    "Watch",
    "open_store",
]
