"""Searches the logs of records from their end, without an index."""

from bridge.core.history.filter import HistoryFilter
from bridge.core.history.search import Found, search_log

__all__ = ["Found", "HistoryFilter", "search_log"]
