"""How near memory is to its end: gauges in, level out."""

NORMAL, ELEVATED, CRITICAL = 0, 1, 2
LEVELS = ("normal", "elevated", "critical")


def percent(used, whole):
    """``used`` as whole percent of ``whole``, 100 at the most."""
    if whole <= 0 or used >= whole:
        return 100
    return max(used, 0) * 100 // whole


def level(segments_used, segments, heap_used, floor, budget, elevated, critical):
    """NORMAL, ELEVATED or CRITICAL: the larger of two gauges, against limits in percent.

    The first gauge is the fill of the conversations' segments; the second is the heap used above
    ``floor`` (what is used after boot, with the connections open and no conversation) against
    what the budget leaves above it. Bytes.
    """
    gauge = max(percent(segments_used, segments), percent(heap_used - floor, budget - floor))
    if gauge >= critical:
        return CRITICAL
    return ELEVATED if gauge >= elevated else NORMAL
