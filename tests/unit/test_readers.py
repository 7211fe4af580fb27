"""What a screen finds out about every post is what something in its specification reads."""

from __future__ import annotations

from typing import cast

import pytest

from fastpath.columns import Evasion
from fastpath.readers import FactsRead, facts_read
from fastpath.spec import (
    FINGERPRINT_TYPES,
    Atom,
    AtomColumn,
    Gate,
    HashKind,
    HashList,
    KeywordList,
    ScreenSpec,
    WindowCount,
    WindowSpec,
)

NOTHING = FactsRead(*[False] * len(FactsRead._fields))
EVERY_SIGHTING = {"digest", "simhash"}  # stand in each entry, whatever the fingerprint


def gate(column: AtomColumn) -> Gate:
    atom = Gate("atom", Atom(column, "", ">=", 1))
    return Gate("or", parts=(Gate("and"), Gate("and", parts=(atom,))))


def window(count: WindowCount) -> tuple[WindowSpec, ...]:
    return (WindowSpec("w", count, 8_000),)


def entries(kind: HashKind) -> tuple[HashList, ...]:
    return (HashList("h", kind, ()),)


CASES = [
    (ScreenSpec(), set()),
    (ScreenSpec(keyword_lists=(KeywordList("k", ("a",)),), gates=(gate("match"),)), set()),
    (ScreenSpec(gates=(gate("url_count"), gate("flag"), gate("age_days"))), set()),
    (ScreenSpec(gates=(gate("text_length"),)), {"length"}),
    *[
        (ScreenSpec(gates=(gate(cast(AtomColumn, column)),)), {"evasion"})
        for column in Evasion._fields
    ],
    (ScreenSpec(windows=window("posts")), {"account"}),
    (ScreenSpec(windows=window("links")), {"account", "links", "urls"}),
    (ScreenSpec(windows=window("distinct_targets")), {"account", "targets"}),
    (ScreenSpec(windows=window("repeated_texts")), {"account", "digest"}),
    (ScreenSpec(hash_lists=entries("domain")), {"urls"}),
    (ScreenSpec(hash_lists=entries("url")), {"urls"}),
    (ScreenSpec(hash_lists=entries("simhash")), {"simhash"}),
    *[(ScreenSpec(hash_lists=entries(kind)), set()) for kind in ("sha256", "md5", "pdq")],
    *[
        (ScreenSpec(fingerprints=(kind,)), EVERY_SIGHTING)
        for kind in FINGERPRINT_TYPES
        if kind != "url"
    ],
    (ScreenSpec(fingerprints=("url",)), EVERY_SIGHTING | {"links", "urls"}),
]


@pytest.mark.parametrize(("spec", "due"), CASES)
def test_a_fact_is_read_where_something_reads_it(spec: ScreenSpec, due: set[str]) -> None:
    assert facts_read(spec) == NOTHING._replace(**dict.fromkeys(due, True))
