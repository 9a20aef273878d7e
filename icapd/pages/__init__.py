"""Pages that users see instead of an object.

`Pages` makes them, `Reader` says for whom. What is on them comes from `conf/templates`, and from
`icap.pages.dir` before that.
"""

from icapd.pages.facts import Ending, Facts, OpenPage, Page, Stage
from icapd.pages.pages import Pages
from icapd.pages.reader import Reader, Wants

__all__ = ["Ending", "Facts", "OpenPage", "Page", "Pages", "Reader", "Stage", "Wants"]
