"""What was judged before: a store shared by processes, with a front in memory."""

from bridge.core.verdicts.front import VerdictFront
from bridge.core.verdicts.sqlite import SqliteVerdicts
from bridge.core.verdicts.store import Verdict, VerdictStore

__all__ = ["SqliteVerdicts", "Verdict", "VerdictFront", "VerdictStore"]
