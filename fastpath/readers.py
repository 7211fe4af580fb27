"""Say which of a post's facts anybody reads, so that a screen finds out no others.

A fact is read by a list, a window, a fingerprint or a gate. What makes a row of a post by itself,
its flags, is found out always.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from fastpath.columns import Evasion
from fastpath.spec import Gate, ScreenSpec

_URL_LISTS = ("domain", "url")


class FactsRead(NamedTuple):
    """Name what is found out about every post where it is true."""

    account: bool  # its identity, and where its windows stand
    targets: bool  # identities of what it replies to and reposts
    links: bool  # identities of the distinct URLs that it leads to
    urls: bool  # canonical forms; where nobody reads them, only of URLs that may raise a flag
    digest: bool  # of its folded text
    simhash: bool
    length: bool  # of its text, in code points
    evasion: bool  # the counts of fastpath.evasion


def facts_read(spec: ScreenSpec) -> FactsRead:
    """Return what a specification reads of every post; asked once, when a screen is built."""
    counts = {window.count for window in spec.windows}
    kinds = {held.kind for held in spec.hash_lists}
    columns = _columns(spec.gates)
    links = "links" in counts or "url" in spec.fingerprints
    return FactsRead(
        account=bool(counts),
        targets="distinct_targets" in counts,
        links=links,
        urls=links or not kinds.isdisjoint(_URL_LISTS),
        digest="repeated_texts" in counts or bool(spec.fingerprints),
        simhash="simhash" in kinds or bool(spec.fingerprints),
        length="text_length" in columns,
        evasion=not columns.isdisjoint(Evasion._fields),
    )


def _columns(gates: Iterable[Gate]) -> set[str]:
    """Return the columns that any atom of some gates reads."""
    read: set[str] = set()
    for gate in gates:
        read |= _columns(gate.parts) if gate.atom is None else {gate.atom.column}
    return read
