"""What hears along on connections while `kata-bridge capture` wants it."""

from icapd.taps.taps import Taps

__all__ = ["Taps"]
