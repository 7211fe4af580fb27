"""Read and write the JSON records that travel between stages (docs/records.md).

Writers fix the order of keys, so equal values are equal bytes. Readers ignore unknown fields
and refuse a wrong one with `MalformedRecordError`, which names the field and never its text.
"""

from __future__ import annotations

import orjson

from fastpath.spec import MAX_TIME_MS, MIN_TIME_MS
from worker.domain.campaign import Campaign
from worker.domain.dead_letter import Reason
from worker.domain.signal import (
    DECISIONS,
    RECEIPT_STATUSES,
    RECORD_VERSION,
    AccountRef,
    CampaignEvidence,
    Delete,
    Evidence,
    FingerprintRef,
    MatchEvidence,
    Notice,
    Origin,
    Person,
    PostName,
    PostRef,
    Receipt,
    Review,
    Signal,
    SignalRecord,
)
from worker.stages.fields import MAX_ID_BYTES, Fields, MalformedRecordError

MAX_REASON_BYTES = 4_000  # a person's reason, as UTF-8


def parse(value: bytes | None) -> Fields:
    """Parse the bytes of a record of version 1; raises MalformedRecordError."""
    if value is None:
        raise MalformedRecordError(Reason.JSON_INVALID, "the record has no value")
    try:
        record = Fields(orjson.loads(value))
    except orjson.JSONDecodeError as error:
        raise MalformedRecordError(Reason.JSON_INVALID, f"not JSON at byte {error.pos}") from error
    record.integer("v", RECORD_VERSION, RECORD_VERSION)
    return record


def placed_time(time: int) -> int:
    """Bound a time that a sender chose, so that every record derived from it can be written."""
    return min(max(time, MIN_TIME_MS), MAX_TIME_MS)


def account_of_key(key: bytes | None) -> str | None:
    """Read an account from a record key; None where there is none or it is no UTF-8 id."""
    if key is None or not 1 <= len(key) <= MAX_ID_BYTES:
        return None
    try:
        return key.decode()
    except UnicodeDecodeError:
        return None


def account_key(account: str | None) -> bytes | None:
    """Write an account as a record key."""
    return None if account is None else account.encode()


def origin_record(origin: Origin) -> dict[str, object]:
    """Show an origin as it is written: a dict is encoded in a third of the time of a class."""
    return {
        "topic": origin.topic,
        "partition": origin.partition,
        "offset": origin.offset,
        "time": origin.time,
    }


def evidence_record(evidence: Evidence) -> dict[str, object]:
    """Show evidence as it is written, for the same reason."""
    return {
        "matches": [
            {
                "list": match.list,
                "pattern": match.pattern,
                "lane": match.lane,
                "span": match.span,
                "count": match.count,
                "distance": match.distance,
            }
            for match in evidence.matches
        ],
        "windows": evidence.windows,
        "flags": evidence.flags,
        "campaign": evidence.campaign,
    }


def encode_signal(signal: Signal) -> bytes:
    """Write a rule that held."""
    return orjson.dumps(
        {
            "v": RECORD_VERSION,
            "kind": "signal",
            "account": {"id": signal.account.id, "created_at": signal.account.created_at},
            "post": {
                "id": signal.post.id,
                "revision": signal.post.revision,
                "digest": signal.post.digest,
            },
            "origin": origin_record(signal.origin),
            "policy": signal.policy,
            "rule": signal.rule,
            "mode": signal.mode,
            "bundle": signal.bundle,
            "evidence": evidence_record(signal.evidence),
        }
    )


def encode_delete(delete: Delete) -> bytes:
    """Write that a post is gone."""
    return orjson.dumps(
        {
            "v": RECORD_VERSION,
            "kind": "delete",
            "account": {"id": delete.account},
            "post": {"id": delete.post},
            "origin": delete.origin,
        }
    )


def encode_notice(notice: Notice) -> bytes:
    """Write that a person must look at a record."""
    return orjson.dumps(
        {
            "v": RECORD_VERSION,
            "kind": "notice",
            "reason": notice.reason,
            "account": None if notice.account is None else {"id": notice.account},
            "post": notice.post,
            "origin": notice.origin,
        }
    )


def encode_review(review: Review) -> bytes:
    """Write a person's decision as screen forwards it."""
    return orjson.dumps(
        {
            "v": RECORD_VERSION,
            "kind": "review",
            "account": {"id": review.account},
            "action_id": review.action_id,
            "post": review.post,
            "decision": review.decision,
            "policy": review.policy,
            "by": review.by,
            "reason": review.reason,
            "time": review.time,
            "origin": review.origin,
        }
    )


def encode_receipt(receipt: Receipt) -> bytes:
    """Write an executor's word as screen forwards it."""
    return orjson.dumps(
        {
            "v": RECORD_VERSION,
            "kind": "receipt",
            "account": {"id": receipt.account},
            "action_id": receipt.action_id,
            "status": receipt.status,
            "at": receipt.at,
            "origin": receipt.origin,
        }
    )


def encode_campaign(campaign: Campaign) -> bytes:
    """Write a campaign that opens."""
    return orjson.dumps(
        {
            "v": RECORD_VERSION,
            "kind": "campaign",
            "fingerprint": campaign.fingerprint,
            "policy": campaign.policy,
            "rule": campaign.rule,
            "mode": campaign.mode,
            "opened_at": campaign.opened_at,
            "accounts": campaign.accounts,
            "sightings": campaign.sightings,
            "sketch": campaign.sketch,
            "members": campaign.members,
            "posts": campaign.posts,
            "bundle": campaign.bundle,
        }
    )


def decode_signal_record(value: bytes | None) -> SignalRecord:
    """Read any record of `weir.signals`; raises MalformedRecordError."""
    record = parse(value)
    kind = record.one_of("kind", ("signal", "delete", "notice", "review", "receipt"))
    origin = _origin(record.object("origin"))
    if kind == "signal":
        return _signal(record, origin)
    if kind == "notice":
        account = record.object("account").id("id") if record.has("account") else None
        post = _post(record.object("post")) if record.has("post") else None
        return Notice(account, post, record.text("reason"), origin)
    account_id = record.object("account").id("id")
    if kind == "delete":
        return Delete(account_id, record.object("post").id("id"), origin)
    if kind == "review":
        return read_review(record, account_id, origin)
    return read_receipt(record, account_id, origin)


def read_review(record: Fields, account: str, origin: Origin) -> Review:
    """Read a person's decision; it names an action or a post, and `act` names its policy."""
    action_id = record.id("action_id") if record.has("action_id") else None
    post = _post_name(record.object("post")) if record.has("post") else None
    if action_id is None and post is None:
        raise MalformedRecordError(Reason.FIELD_MISSING, "action_id or post is missing")
    decision = record.one_of("decision", DECISIONS)
    policy = record.id("policy") if record.has("policy") or decision == "act" else None
    by = record.object("by")
    reason = record.text("reason")
    if len(reason.encode()) > MAX_REASON_BYTES:
        raise MalformedRecordError(
            Reason.FIELD_TYPE, f"reason must have at most {MAX_REASON_BYTES} bytes"
        )
    person = Person(by.id("id"), by.id("role"))
    time = record.time("time")
    return Review(account, action_id, post, decision, policy, person, reason, time, origin)


def read_receipt(record: Fields, account: str, origin: Origin) -> Receipt:
    """Read an executor's word."""
    status = record.one_of("status", RECEIPT_STATUSES)
    return Receipt(account, record.id("action_id"), status, record.time("at"), origin)


def _origin(fields_: Fields) -> Origin:
    return Origin(
        fields_.text("topic"),
        fields_.integer("partition"),
        fields_.integer("offset"),
        fields_.time("time"),
    )


def _post(post: Fields) -> PostRef:
    return PostRef(post.id("id"), post.integer("revision"), post.text("digest"))


def _post_name(post: Fields) -> PostName:
    revision = post.integer("revision") if post.has("revision") else None
    return PostName(post.id("id"), revision)


def _signal(record: Fields, origin: Origin) -> Signal:
    account = record.object("account")
    created_at = account.integer("created_at") if account.has("created_at") else None
    return Signal(
        AccountRef(account.id("id"), created_at),
        _post(record.object("post")),
        origin,
        record.id("policy"),
        record.id("rule"),
        record.one_of("mode", ("live", "shadow")),
        record.text("bundle"),
        _evidence(record.object("evidence")),
    )


def _evidence(evidence: Fields) -> Evidence:
    items = evidence.items("matches")
    matches = tuple([_match(Fields(item, evidence, "matches")) for item in items])
    flags = tuple(evidence.items("flags"))
    if flags and not all(isinstance(flag, str) for flag in flags):
        raise MalformedRecordError(Reason.FIELD_TYPE, "evidence.flags must hold strings")
    campaign = _campaign(evidence.object("campaign")) if evidence.has("campaign") else None
    return Evidence(matches, evidence.counts("windows"), flags, campaign)


def _match(match: Fields) -> MatchEvidence:
    span = match.items("span")
    if span and [type(end) for end in span] != [int, int]:
        raise MalformedRecordError(
            Reason.FIELD_TYPE, f"{match.name('span')} must hold two integers"
        )
    return MatchEvidence(
        match.text("list"),
        match.text("pattern"),
        match.optional_text("lane"),
        (span[0], span[1]) if span else None,
        match.integer("count"),
        match.integer("distance") if match.has("distance") else None,
    )


def _campaign(campaign: Fields) -> CampaignEvidence:
    fingerprint = campaign.object("fingerprint")
    sketch = campaign.raw("sketch")
    if not isinstance(sketch, bool):
        raise MalformedRecordError(
            Reason.FIELD_TYPE, f"{campaign.name('sketch')} must be true or false"
        )
    return CampaignEvidence(
        FingerprintRef(fingerprint.text("type"), fingerprint.text("key")),
        campaign.integer("opened_at"),
        campaign.integer("closed_at"),
        campaign.integer("accounts"),
        campaign.integer("sightings"),
        sketch,
    )
