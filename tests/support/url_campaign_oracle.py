"""Say which shares of one URL are a campaign, from the rules of time alone; no code of Weir.

The rule: at least `accounts` distinct accounts share one URL within a window. A window of length
T has ticks of T/8; every run of 8 ticks that holds enough accounts signals all its shares.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple


class Share(NamedTuple):
    url: str
    account: str
    post: str
    time_ms: int


class Signal(NamedTuple):
    account: str
    post: str
    url: str


def campaign_signals(
    shares: Iterable[Share], *, accounts: int = 5, over_ms: int = 60_000
) -> set[Signal]:
    tick_ms = over_ms // 8
    by_url: dict[str, dict[int, list[Share]]] = defaultdict(lambda: defaultdict(list))
    for share in shares:
        by_url[share.url][share.time_ms // tick_ms].append(share)
    signals = set()
    for ticks in by_url.values():
        for first in {tick - back for tick in ticks for back in range(8)}:
            run = [share for tick in range(first, first + 8) for share in ticks.get(tick, ())]
            if len({share.account for share in run}) >= accounts:
                signals.update(Signal(s.account, s.post, s.url) for s in run)
    return signals
