"""What is inside a body: codings are taken off, forms are taken apart."""

from icapd.contents.unpack import Found, needs_unpacking, unpack

__all__ = ["Found", "needs_unpacking", "unpack"]
