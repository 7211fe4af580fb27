"""Turn records that the client could not read into dead letters and notices."""

from __future__ import annotations

from collections.abc import Iterator

from worker.domain.dead_letter import DeadLetter
from worker.domain.signal import Notice, Origin
from worker.stages import wire
from worker.stages.dead_letters import SCHEMA
from worker.stages.protocols import Output
from worker.transport.protocols import Headers, Quarantined


def outputs_of(
    found: Quarantined, *, stage: str, bundle_digest: str, notices: bool
) -> Iterator[Output]:
    """Yield a dead letter per piece and, for posts, one notice: enforce answers with a review.

    `notices` is set for the stage that reads posts alone; what cannot be read in Weir's own
    topics is our fault or the disk's and goes to the dead letters without one.
    """
    for letter in found.letters:
        yield Output(
            cause=found.first,
            trigger=found.first,
            topic="dlq",
            key=letter.key,
            value=letter.value,
            headers=_headers(letter, stage, bundle_digest),
        )
    if notices and found.letters:
        first = found.letters[0]
        origin = Origin(first.topic, first.partition, first.offset, max(first.timestamp, 0))
        account = wire.account_of_key(first.key)
        value = wire.encode_notice(Notice(account, None, first.reason.value, origin))
        yield Output(found.first, found.first, "signals", first.key, value)


def _headers(letter: DeadLetter, stage: str, bundle_digest: str) -> Headers:
    return (
        ("weir.dlq.schema", SCHEMA),
        ("weir.dlq.reason", letter.reason.value.encode()),
        ("weir.dlq.disposition", letter.disposition.value.encode()),
        ("weir.dlq.stage", stage.encode()),
        ("weir.dlq.topic", letter.topic.encode()),
        ("weir.dlq.partition", str(letter.partition).encode()),
        ("weir.dlq.offset", str(letter.offset).encode()),
        ("weir.dlq.timestamp", str(letter.timestamp).encode()),
        ("weir.dlq.error", letter.error.encode()),
        ("weir.dlq.bundle_digest", bundle_digest.encode()),
        *letter.headers,
    )
