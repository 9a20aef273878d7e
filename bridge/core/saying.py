"""Who says what every process of a service would say alike."""

from __future__ import annotations

import logging
from typing import Final

_MARK = "of_all_workers"

# `extra` of a log call whose words depend on files and settings alone: one worker says them
OF_ALL_WORKERS: Final = {_MARK: True}


def is_own_word(record: logging.LogRecord) -> bool:
    """Whether no other worker says this; a filter for all workers but one."""
    return not getattr(record, _MARK, False)
