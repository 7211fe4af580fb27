"""Pack ledger rows as after-images and read them back (layout: docs/state.md).

A row is one head and one entry per finding, so that what a signal changes is written and nothing
else, however long an account's history. A finding's entry holds what hangs on it: its strike,
its actions, their warnings and restrictions. All keys of an account share its slice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import orjson

from fastpath.errors import CorruptImage
from fastpath.spec import Entry
from worker.domain.action import Proposal
from worker.domain.signal import Origin
from worker.state.rows import Finding, FindingKey, Issued, Restriction, Row, Strike, Warn

_HEAD, _FINDING = 0, 1  # second element of an image, after the account


class RowImages:
    """Name and pack the rows of one ledger; `tag` tells ledgers of one topic apart."""

    def __init__(self, key: bytes, tag: bytes) -> None:
        self._key = key
        self.tag = tag
        self.key_of = lru_cache(maxsize=4_096)(self._key_of)

    def _key_of(self, account: str) -> bytes:
        """Name an account's head: keyed BLAKE2b-128; the first byte is the account's slice."""
        return self._digest(_HEAD, account.encode())

    def _digest(self, kind: int, *fields: bytes) -> bytes:
        digest = hashlib.blake2b(self.tag + bytes([kind]), digest_size=16, key=self._key)
        for field in fields:
            digest.update(len(field).to_bytes(4, "little") + field)
        return digest.digest()

    def _finding_key(self, account: str, key: FindingKey) -> bytes:
        fields = (account, *(str(part) for part in key))
        digest = self._digest(_FINDING, *(field.encode() for field in fields))
        return self.key_of(account)[:1] + digest[1:]

    def head(self, account: str, row: Row) -> Entry:
        """Pack what an account has once."""
        image = [account, _HEAD, row.last_time, row.seq, row.end, row.seen, row.touches,
                 sorted(row.last_strike.items())]  # fmt: skip
        return Entry(self.key_of(account), self.tag + orjson.dumps(image))

    def findings(self, account: str, row: Row, keys: Iterable[FindingKey]) -> Iterator[Entry]:
        """Pack some of a row's findings, as of its last judged time."""
        warns = {
            warn.action_id: [name, warn.expires_at, warn.counts_from]
            for name, state in row.ladders.items()
            for warn in state.warns
            if warn.expires_at > row.last_time
        }
        restrictions = {
            (restriction.finding.key, restriction.action_id): [
                restriction.expires_at,
                restriction.until_deleted,
            ]
            for restriction in row.restrictions
            if restriction.expires_at > row.last_time
        }
        for key in keys:
            finding = row.findings[key]
            issued = [
                [each.action_id, each.kind, each.step, each.seq, each.undone,
                 _proposal_image(each.proposal), warns.get(each.action_id),
                 restrictions.get((key, each.action_id))]
                for each in finding.issued
            ]  # fmt: skip
            origin = finding.origin
            image = [account, _FINDING, finding.policy, finding.post, finding.revision,
                     [origin.topic, origin.partition, origin.offset, origin.time],
                     finding.filed, finding.place, finding.weight, finding.parsed,
                     finding.cleared, finding.rules, _strike_image(finding.strike, row.last_time),
                     issued]  # fmt: skip
            yield Entry(self._finding_key(account, key), self.tag + orjson.dumps(image))

    def all(self, account: str, row: Row) -> list[Entry]:
        """Pack a whole row."""
        return [self.head(account, row), *self.findings(account, row, row.findings)]

    def gone(self, account: str, keys: Iterable[FindingKey]) -> Iterator[Entry]:
        """Say that findings are forgotten."""
        value = self.tag + orjson.dumps([account])
        return (Entry(self._finding_key(account, key), value, True) for key in keys)

    def gone_row(self, account: str, keys: Iterable[FindingKey]) -> Iterator[Entry]:
        """Say that a row and all its findings are gone."""
        yield Entry(self.key_of(account), self.tag + orjson.dumps([account]), True)
        yield from self.gone(account, keys)


def account_of(value: bytes) -> str:
    """Name the account of an entry's value without its tag; CorruptImage where there is none."""
    try:
        account = orjson.loads(value)[0]
    except (ValueError, IndexError, TypeError, KeyError) as error:
        raise CorruptImage(f"a ledger entry names no account: {error}") from None
    if not isinstance(account, str):
        raise CorruptImage("a ledger entry names no account")
    return account


def due_of(parts: Iterable[bytes]) -> int | None:
    """Give the stream time after which a packed row matters to nobody; None without its head."""
    for value in parts:
        image = _load(value)
        if image[1] == _HEAD:
            return max(int(image[4]), int(image[5]))
    return None


def read_row(parts: Mapping[bytes, bytes]) -> Row:
    """Read a row's packed parts; CorruptImage where they are malformed or the head is missing."""
    images = [_load(value) for value in parts.values()]
    heads = [image for image in images if image[1] == _HEAD]
    if len(heads) != 1:
        raise CorruptImage(f"{len(heads)} heads among the {len(images)} entries of one account")
    try:
        return _row(heads[0], [image for image in images if image[1] == _FINDING])
    except (ValueError, TypeError, IndexError) as error:
        raise CorruptImage(f"a ledger entry is malformed: {error}") from None


def _load(value: bytes) -> list[Any]:
    try:
        image = orjson.loads(value)
    except ValueError as error:
        raise CorruptImage(f"a ledger entry is no JSON: {error}") from None
    if not isinstance(image, list) or len(image) not in (8, 14):
        raise CorruptImage("a ledger entry is no image of a head or a finding")
    return image


def _row(head: list[Any], findings: list[list[Any]]) -> Row:
    _, _, last_time, seq, end, seen, touches, last_strike = head
    row = Row(last_time)
    row.seq, row.end, row.seen, row.touches = seq, end, seen, touches
    row.last_strike = dict(last_strike)
    warns: list[tuple[int, str, Warn]] = []
    restrictions: list[tuple[int, Restriction]] = []
    for image in sorted(findings, key=lambda image: image[7]):
        finding = _finding(row, image)
        row.findings[finding.key] = finding
        for each in image[13]:
            action_id, kind, step, number, undone, proposal, warn, restriction = each
            issued = Issued(
                action_id,
                kind,
                step,
                finding,
                None if proposal is None else Proposal(*proposal),
                undone,
                number,
            )
            row.record(issued)
            if warn is not None:
                warns.append((number, warn[0], Warn(action_id, warn[1], warn[2])))
            if restriction is not None:
                restrictions.append(
                    (number, Restriction(action_id, kind, step, finding, *restriction))
                )
    for _, ladder, made in sorted(warns, key=lambda each: each[0]):
        row.ladder(ladder).warns.append(made)
    row.restrictions = [made for _, made in sorted(restrictions, key=lambda each: each[0])]
    row.settle()
    return row


def _finding(row: Row, image: list[Any]) -> Finding:
    (_, _, policy, post, revision, origin, filed, place, weight, parsed, cleared, rules, strike,
     _) = image  # fmt: skip
    held = None
    if strike is not None:
        ladder, amount, expires_at = strike
        held = Strike(ladder, 0, expires_at)
        if amount and expires_at > row.last_time:
            held = row.ladder(ladder).add(amount, expires_at)
    return Finding(
        policy,
        post,
        revision,
        Origin(*origin),
        filed,
        weight,
        parsed,
        held,
        cleared,
        list(rules),
        place=place,
    )


def _proposal_image(proposal: Proposal | None) -> list[Any] | None:
    return None if proposal is None else [proposal.cause, proposal.kind, proposal.step]


def _strike_image(strike: Strike | None, time: int) -> list[Any] | None:
    if strike is None:
        return None
    return [strike.ladder, strike.weight if strike.expires_at > time else 0, strike.expires_at]
