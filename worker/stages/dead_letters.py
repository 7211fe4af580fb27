"""Write records that could not be judged, with their bytes untouched (docs/records.md)."""

from __future__ import annotations

from fastpath.records import BatchView
from worker.domain.dead_letter import Disposition, Reason
from worker.stages.protocols import Output

SCHEMA = b"1"
MAX_ERROR_BYTES = 500  # a header for people: where and what, never text of the record


def dead_letter(
    stage: str,
    view: BatchView,
    index: int,
    reason: Reason,
    disposition: Disposition,
    error: str,
    bundle_digest: str,
) -> Output:
    """Wrap record `index` of `view`; key and value are those of the original."""
    offset = view.offset(index)
    headers = (
        ("weir.dlq.schema", SCHEMA),
        ("weir.dlq.reason", reason.value.encode()),
        ("weir.dlq.disposition", disposition.value.encode()),
        ("weir.dlq.stage", stage.encode()),
        ("weir.dlq.topic", view.topic.encode()),
        ("weir.dlq.partition", str(view.partition).encode()),
        ("weir.dlq.offset", str(offset).encode()),
        ("weir.dlq.timestamp", str(view.time(index)).encode()),
        ("weir.dlq.error", error.encode("utf-8", "backslashreplace")[:MAX_ERROR_BYTES]),
        ("weir.dlq.bundle_digest", bundle_digest.encode()),
    )
    return Output(
        cause=offset,
        trigger=offset,
        topic="dlq",
        key=view.key(index),
        value=view.value(index),
        headers=headers,
    )
