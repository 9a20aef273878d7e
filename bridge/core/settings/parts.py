"""What one of several workers may have of a limit that is meant for the whole service. Pure."""

from __future__ import annotations

import math

_DEVIATIONS = 4  # of a binomial distribution: passed by one in 30,000


def exact_part(whole: int, workers: int, worker: int, *, least: int = 1) -> int:
    """The part of worker 0, 1, … of something that the service itself deals out.

    The parts add up to `whole`, unless somebody would get less than `least`.
    """
    return max(least, whole // workers + (worker < whole % workers))


def uneven_part(whole: int, workers: int) -> int:
    """The part of each worker of something that the kernel deals out by chance: connections.

    More than `whole / workers`, by as much as chance may bring to one of them while the service
    as a whole has no more than `whole`.
    """
    mean = whole / workers
    return min(whole, math.ceil(mean + _DEVIATIONS * math.sqrt(mean)))
