"""Screen posts in plain Python: the specification and oracle of the compiled screen.

Same classes and results as `fastpath.screen`, one record at a time. Called by parity tests, by
`weir explain`, and in place of the core only where a setting names it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

from fastpath.checks import check_spec, counter_names
from fastpath.columns import Columns, Sighting
from fastpath.errors import BuildError
from fastpath.field_maps import load_field_map
from fastpath.lanes import LaneView
from fastpath.records import BatchView
from fastpath.reference.evasion import measure
from fastpath.reference.gates import Facts, age_days
from fastpath.reference.hashes import (
    ExactLists,
    identity_key,
    siphash128,
    text_digest,
)
from fastpath.reference.keywords import Keywords
from fastpath.reference.near import simhash
from fastpath.reference.near_lists import NearLists
from fastpath.reference.posts import Fields, read_post
from fastpath.reference.records import pack_sightings
from fastpath.reference.text import fold_text, normalised_text, trim_text, view_folded
from fastpath.reference.urls import find_names, find_urls, wrapped_urls
from fastpath.reference.windows import AccountWindows, Counted
from fastpath.rfc3339 import MAX_TIME_MS
from fastpath.rows import Row
from fastpath.slow_path import Rejected
from fastpath.spec import (
    CLOCK_SKEW_MS,
    FINGERPRINT_TYPES,
    FLAGS,
    MAX_MEDIA,
    MAX_URLS,
    NO_DISTANCE,
    FingerprintType,
    HashHit,
    Match,
    ScreenSpec,
    Status,
)

__all__ = ["Columns", "Screen", "ScreenState"]


@dataclass(slots=True)
class ScreenState:
    """Hold what a screen remembers of one input partition: account windows and stream time."""

    partition: int
    windows: AccountWindows

    @property
    def accounts(self) -> int:
        """Return the number of accounts held."""
        return len(self.windows.accounts)


@dataclass(frozen=True, slots=True)
class _Text:
    """Hold what follows from a post's text alone."""

    folded: LaneView
    digest: bytes
    normalised: bytes  # b"" where the text makes no sighting
    simhash: int  # 0 where the text is too short
    urls: tuple[str, ...]
    names: tuple[str, ...]  # hosts without a scheme
    names_truncated: bool


@dataclass(frozen=True, slots=True)
class _Screened:
    """Hold everything found in one accepted create or edit."""

    fields: Fields
    time: int
    text: _Text
    urls: tuple[str, ...]  # distinct canonical forms of what is led to, in order
    matches: tuple[Match, ...]
    hits: tuple[HashHit, ...]
    counted: Counted
    flags: int


class Screen:
    """Match, count and gate posts by one specification; see `fastpath.screen.Screen`."""

    def __init__(self, spec: ScreenSpec) -> None:
        check_spec(spec)
        self.spec = spec
        self._field_map = load_field_map(spec.preset, spec.field_map)
        self._keywords = Keywords(spec.keyword_lists)
        self._lists = ExactLists(spec.hash_lists, fold_text)
        self._near = NearLists(spec.hash_lists)
        self._key = identity_key(spec.deployment_key)
        self._exempt = {trim_text(fold_text(phrase)) for phrase in spec.exempt_phrases}
        self._counters: Counter[str] = Counter()
        self._read_text = lru_cache(maxsize=4_096)(self._read_text_uncached)

    def new_state(self, partition: int, placement_seed: bytes = b"\0" * 16) -> ScreenState:
        """Return the empty state of an input partition; the seed changes nothing here."""
        if len(placement_seed) != 16:
            raise BuildError("placement seed bytes", 16, len(placement_seed))
        return ScreenState(
            partition, AccountWindows(self.spec.windows, self.spec.max_window_keys, self._key)
        )

    def counters(self) -> dict[str, int]:
        """Return the monotonic counters; every name that may occur stands in it."""
        return {name: self._counters[name] for name in counter_names(self.spec)}

    def step(self, view: BatchView, state: ScreenState) -> Columns:
        """Screen the records of a view in order; never raises on data."""
        columns = Columns(len(view))
        sightings: list[Sighting] = []
        for index in range(len(view)):
            row = self._record(view, index, state, sightings)
            if row is not None:
                columns.rows.append(row)
        columns.sightings = pack_sightings(
            self.spec.topic, self.spec.bundle_digest, self.spec.sighting_partitions, sightings
        )
        self._counters["records"] += len(view)
        self._counters["sightings"] += len(sightings)
        return columns

    def _record(
        self, view: BatchView, index: int, state: ScreenState, sightings: list[Sighting]
    ) -> Row | None:
        # A broker may hand out -1 for "no timestamp"; windows take 1970 to 9999, as created_at.
        time = min(max(view.time(index), 0), MAX_TIME_MS)
        row = Row(index, view.offset(index), time, Status.REJECT)
        read = self._accepted(view.value(index), view.key(index))
        if isinstance(read, Rejected):
            row.reason, row.error = read
            self._counters["rejects"] += 1
            self._counters[f"reject.{read.reason}"] += 1
            return row
        row.post = read.post
        row.id, row.revision = read.id, read.revision
        row.account, row.account_created_at = read.account, read.account_created_at
        if self.spec.time_source == "created_at":
            row.time = read.created_at or 0
        if read.op == "delete":
            row.status = Status.DELETE
            row.text_digest = text_digest("")
            self._counters["deletes"] += 1
            return row
        row.status = Status.POST
        found = self._screen(read, row.time, state)
        sightings.extend(self._sightings(found, view.partition, row.offset))
        row.flags, row.matches, row.hits = found.flags, found.matches, found.hits
        row.windows, row.text_digest = found.counted.values, found.text.digest
        row.gates = self._gates(found)
        self._count(row)
        return row if row.flags or row.gates else None

    def _accepted(self, value: bytes | None, key: bytes | None) -> Fields | Rejected:
        read = read_post(value, self._field_map)
        if isinstance(read, Rejected):
            return read
        by_content = self.spec.time_source == "created_at"
        if by_content and read.created_at is None and read.op != "delete":
            return Rejected("field_missing", "created_at is required")
        if self.spec.check_key and key != read.account.encode():
            seen = "null" if key is None else f"{len(key)} bytes"
            return Rejected("key_mismatch", f"key: {seen} where account.id is due")
        return read

    def _read_text_uncached(self, text: str) -> _Text:
        folded = view_folded(text)
        lane = folded.data.decode()
        normalised = normalised_text(text)
        exempt = trim_text(lane) in self._exempt
        names, names_truncated = find_names(folded, self._lists.last_labels, fold_text)
        return _Text(
            folded,
            text_digest(lane),
            normalised.data if normalised.content and not exempt else b"",
            simhash(lane),
            tuple(find_urls(text)),
            tuple(names),
            names_truncated,
        )

    def _screen(self, post: Fields, time: int, state: ScreenState) -> _Screened:
        text = self._read_text(post.text)
        written = [*post.urls, *text.urls]
        wrapped = [wrapped_urls(url, fold_text) for url in written[:MAX_URLS]]
        urls = [url for steps, _ in wrapped for url in steps]
        leads = [steps[-1].canonical for steps, _ in wrapped]
        distinct = tuple(dict.fromkeys(filter(None, leads)))
        media = post.media[:MAX_MEDIA]
        hits = self._lists.find(
            [m.sha256 for m in media if m.sha256], [m.md5 for m in media if m.md5], urls, text.names
        )
        near = self._near.find(text.simhash, media)
        counted = state.windows.count(
            post.account,
            time,
            len(distinct),
            [target for target in (post.reply_to, post.repost_of) if target],
            text.digest if text.folded.data else None,
        )
        found = self._keywords.find(post.text)
        raised = {
            "late": counted.late,
            "matches_truncated": found.truncated or text.folded.truncated or near.truncated,
            "distinct_full": counted.distinct_full,
            "window_table_full": counted.table_full,
            "marks_dropped": text.folded.marks_dropped > 0,
            "duplicate_key": post.duplicate_key,
            "clock_skew": self._is_skewed(post.created_at, time),
            "urls_truncated": (
                len(written) > MAX_URLS or text.names_truncated or any(more for _, more in wrapped)
            ),
            "url_userinfo": any(url.userinfo for url in urls),
            "media_truncated": len(post.media) > MAX_MEDIA,
        }
        return _Screened(
            fields=post,
            time=time,
            text=text,
            urls=distinct,
            matches=tuple(found.matches),
            hits=tuple(
                self._hit(*hit)
                for hit in sorted([*((place, entry, 0) for place, entry in hits), *near.hits])
            ),
            counted=counted,
            flags=sum(1 << bit for bit, name in enumerate(FLAGS) if raised[name]),
        )

    def _hit(self, place: int, entry: int, distance: int) -> HashHit:
        held = self.spec.hash_lists[place]
        return HashHit(held.name, held.entries[entry], distance)

    def _is_skewed(self, created_at: int | None, time: int) -> bool:
        by_record = self.spec.time_source == "record"
        return by_record and created_at is not None and abs(created_at - time) > CLOCK_SKEW_MS

    def _gates(self, found: _Screened) -> int:
        post = found.fields
        match: Counter[str] = Counter()
        for hit in found.matches:
            match[hit.list] += hit.count
        match.update(hit.list for hit in found.hits)
        distance: dict[str, int] = {}
        for held in found.hits:
            distance[held.list] = min(held.distance, distance.get(held.list, NO_DISTANCE))
        facts = Facts(
            match=match,
            distance=distance,
            window={
                w.name: v for w, v in zip(self.spec.windows, found.counted.values, strict=True)
            },
            flags=found.flags,
            numbers={
                "age_days": age_days(post.account_created_at, found.time),
                "followers": post.followers,
                "revision": post.revision,
                "text_length": len(post.text),
                "url_count": len(post.urls),
                "hashtag_count": post.hashtags,
                "media_count": len(post.media),
                **measure(post.text)._asdict(),
            },
            score=post.scores,
            lang=post.lang,
            op=post.op,
        )
        return sum(1 << bit for bit, gate in enumerate(self.spec.gates) if facts.holds(gate))

    def _sightings(self, found: _Screened, partition: int, offset: int) -> list[Sighting]:
        post = found.fields
        keys: list[tuple[FingerprintType, bytes]] = [
            ("text", found.text.normalised),
            *(("url", url.encode()) for url in found.urls),
            *(("media", medium.key().encode()) for medium in post.media[:MAX_MEDIA]),
            ("repost", post.repost_of.encode()),
            ("device", post.device.encode()),
        ]
        return [
            Sighting(
                type=kind,
                fingerprint=siphash128(self._key, bytes([FINGERPRINT_TYPES.index(kind) + 1]) + key),
                account=post.account,
                account_created_at=post.account_created_at,
                post=post.id,
                revision=post.revision,
                time=found.time,
                text_digest=found.text.digest,
                simhash=found.text.simhash,
                partition=partition,
                offset=offset,
            )
            for kind, key in dict.fromkeys(keys)
            if key and kind in self.spec.fingerprints
        ]

    def _count(self, row: Row) -> None:
        counters = self._counters
        counters["posts"] += 1
        counters["flagged"] += bool(row.flags or row.gates)
        counters["late"] += row.flags & 1
        counters.update(f"flag.{name}" for bit, name in enumerate(FLAGS) if row.flags >> bit & 1)
        gates = range(len(self.spec.gates))
        counters.update(f"gate.{bit}" for bit in gates if row.gates >> bit & 1)
        counters.update({f"match.{match.list}" for match in row.matches})
        counters.update({f"hit.{hit.list}" for hit in row.hits})
