"""Declare what Python sees of a row."""

from collections.abc import Mapping

from fastpath.spec import HashHit, Match, Status

class Row:
    index: int  # position in the batch view
    offset: int
    time: int  # origin time, ms
    status: Status
    reason: str | None  # one of REJECT_REASONS when rejected
    error: str  # where and what, for people; never text of the post
    flags: int
    gates: int
    matches: tuple[Match, ...]
    hits: tuple[HashHit, ...]
    windows: tuple[int, ...]  # in the order of ScreenSpec.windows
    text_digest: bytes  # BLAKE2b-128 of the folded text; of b"" where there is none
    id: str  # of the post
    revision: int
    account: str
    account_created_at: int | None  # ms
    # The post in canonical form; the compiled core reads it only when it is looked into.
    post: Mapping[str, object]
    def __init__(
        self,
        index: int,
        offset: int,
        time: int,
        status: Status,
        reason: str | None = None,
        error: str = "",
        flags: int = 0,
        gates: int = 0,
        matches: tuple[Match, ...] = (),
        hits: tuple[HashHit, ...] = (),
        windows: tuple[int, ...] = (),
        text_digest: bytes = b"",
        id: str = "",  # noqa: A002  # as the member is called
        revision: int = 0,
        account: str = "",
        account_created_at: int | None = None,
        post: Mapping[str, object] | None = None,
    ) -> None: ...
    def members(self) -> tuple[object, ...]: ...
