"""Make rows as the screen does: what names a post stands beside its canonical form."""

from __future__ import annotations

from typing import Any

from fastpath.rows import Row
from fastpath.spec import Status


def row_of(post: dict[str, Any], **fields: Any) -> Row:
    """Return the row of an accepted post."""
    return Row(
        **{"index": 0, "offset": 0, "status": Status.POST, **fields},
        id=post["id"],
        revision=post["revision"],
        account=post["account"]["id"],
        account_created_at=post["account"].get("created_at"),
        post=post,
    )
