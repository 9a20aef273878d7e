"""What is inside a body: codings are taken off, forms are taken apart."""

from icapd.contents.codings import unfolded
from icapd.contents.fields import media_types
from icapd.contents.unpack import Found, needs_unpacking, unpack

__all__ = ["Found", "media_types", "needs_unpacking", "unfolded", "unpack"]
