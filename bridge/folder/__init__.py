"""The folder door: a file dropped into `input` ends in `output`, `quarantine`, or stays."""

from bridge.folder.watch import FolderWatcher

__all__ = ["FolderWatcher"]
