"""Keep the rows of one partition's accounts, from the first signal to the end of their time.

A row ends when nothing in it can matter any more; docs/ledger.md says when. Rows leave as
after-images and come back as they were (`worker.state.ledger_images`); a restored one is read
when its account is next seen.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import chain

from fastpath.changelog import SLICES
from fastpath.spec import Entry
from worker.state.ledger_images import RowImages, account_of, due_of, read_row
from worker.state.rows import DAY_MS, NEVER, Row

# A row past its end is forgotten once stream time is this far past it; above every restart and
# backlog, so that an account's late record still finds the row that its own time has not ended.
RETIRE_SLACK_MS = 7 * DAY_MS
_BUCKET_MS = 3_600_000  # rows are filed for retirement by the hour of their end
_RETIRED_PER_RECORD = 4  # rows looked at per record: bounded work, faster than rows can come

_Packed = dict[bytes, bytes]  # key -> image of the head and of each finding


class Ledger:
    """Hold the rows of one partition.

    Whether a row is there is decided by its account's own time (`end`) and, `RETIRE_SLACK_MS`
    later, by stream time; when its memory is freed cannot be observed. `key` is the deployment
    key, `tag` one byte that tells the ledgers of a state topic apart.
    """

    def __init__(self, key: bytes = b"", tag: bytes = b"L") -> None:
        self._images = RowImages(key, tag)
        self._slices: list[dict[str, Row | _Packed]] = [{} for _ in range(SLICES)]
        self.stream_time = -NEVER
        self._filed: dict[int, list[str]] = {}  # hour of retirement -> accounts
        self._hours: list[int] = []  # heap over the keys of _filed
        self._refile = False  # accounts came and went in a restore
        self._changed: dict[str, None] = {}  # accounts whose row was in use since the last drain
        self._gone: list[Entry] = []  # since then

    def __len__(self) -> int:
        return sum(len(rows) for rows in self._slices)

    def rows(self) -> Iterator[tuple[str, Row]]:
        """Walk over the rows that read as present."""
        for account in [account for rows in self._slices for account in rows]:
            row = self._row(account)
            if row is not None and not self._retired(row):
                yield account, row

    def advance(self, time: int) -> None:
        """Move stream time forward and free a bounded number of ended rows."""
        if time > self.stream_time:
            self.stream_time = time
        if self._refile:
            self._file_all()
        for _ in range(_RETIRED_PER_RECORD):
            if not self._hours or (self._hours[0] + 1) * _BUCKET_MS > self.stream_time:
                return
            self._retire_one()

    def find(self, account: str, time: int) -> Row | None:
        """Give the row that an account has at a time, with its clock moved there; or None."""
        row = self._row(account)
        if row is None:
            return None
        last_time = max(time, row.last_time)
        if last_time >= row.end or self._retired(row):
            return None
        row.last_time = last_time
        row.seen = self.stream_time
        self._changed[account] = None
        return row

    def open(self, account: str, time: int) -> Row:
        """Give the row of an account, new if it has none."""
        row = self.find(account, time)
        if row is None:
            ended = self._row(account)
            if ended is not None:
                self._say_gone(account, ended)
            row = self._rows_of(account)[account] = Row(time)
            row.seen = self.stream_time
            self._changed[account] = None
            if ended is None:
                self._file(account, _due(row))
        return row

    def changes(self) -> list[Entry]:
        """Drain the entries of what changed since the last call, deletes first."""
        gone, changed = self._gone, self._changed
        self._gone, self._changed = [], {}
        entries: list[Entry] = []
        for account in changed:
            row = self._rows_of(account).get(account)
            if isinstance(row, Row):
                gone.extend(self._images.gone(account, row.forgotten))
                entries.append(self._images.head(account, row))
                entries.extend(self._images.findings(account, row, row.changed))
                row.settle()
        return [*gone, *entries]

    def snapshot(self, slice_: int) -> Iterator[Entry]:
        """Give the entries of a slice's rows that read as present."""
        for account, held in self._slices[slice_].items():
            if isinstance(held, Row):
                if not self._retired(held):
                    yield from self._images.all(account, held)
            elif self._packed_due(held) > self.stream_time:
                yield from (Entry(key, self._images.tag + value) for key, value in held.items())

    def set_time(self, time: int) -> None:
        """Move stream time forward in a restore, which frees nothing."""
        self.stream_time = max(self.stream_time, time)

    def restore(self, key: bytes, value: bytes, deleted: bool) -> None:
        """Apply one entry (`value` without its tag); CorruptImage where it is malformed."""
        self._refile = True
        account = account_of(value)
        rows = self._slices[key[0]]
        held = rows.get(account)
        if held is None:
            held = rows[account] = {}
        elif isinstance(held, Row):
            packed = self._images.all(account, held)
            held = rows[account] = {entry.key: entry.value[1:] for entry in packed}
        if not deleted:
            held[key] = value
            return
        held.pop(key, None)
        if not held:
            del rows[account]

    def clear(self, slice_: int) -> None:
        """Forget the rows of a slice."""
        self._slices[slice_].clear()
        self._refile = True

    def _rows_of(self, account: str) -> dict[str, Row | _Packed]:
        return self._slices[self._images.key_of(account)[0]]

    def _row(self, account: str) -> Row | None:
        rows = self._rows_of(account)
        held = rows.get(account)
        if isinstance(held, dict):
            held = rows[account] = read_row(held)
        return held

    def _retired(self, row: Row) -> bool:
        return self.stream_time >= _due(row)

    def _packed_due(self, held: _Packed) -> int:
        due = due_of(held.values())
        return -NEVER if due is None else due + RETIRE_SLACK_MS

    def _say_gone(self, account: str, row: Row) -> None:
        self._gone.extend(self._images.gone_row(account, [*row.findings, *row.forgotten]))

    def _file(self, account: str, due: int) -> None:
        hour = due // _BUCKET_MS
        accounts = self._filed.get(hour)
        if accounts is None:
            accounts = self._filed[hour] = []
            heapq.heappush(self._hours, hour)
        accounts.append(account)

    def _file_all(self) -> None:
        """File every account for a look now; each look files it anew for when it is due."""
        hour = self.stream_time // _BUCKET_MS - 1
        self._filed = {hour: list(chain.from_iterable(self._slices))}
        self._hours = [hour] if self._filed[hour] else []
        self._refile = False

    def _retire_one(self) -> None:
        accounts = self._filed[self._hours[0]]
        account = accounts.pop()
        if not accounts:
            del self._filed[heapq.heappop(self._hours)]
        held = self._rows_of(account).get(account)
        if isinstance(held, dict) and (due := self._packed_due(held)) > self.stream_time:
            self._file(account, due)  # most rows are never seen again: leave it packed
            return
        row = self._row(account)
        if row is None:
            return
        if self._retired(row):
            self._say_gone(account, row)
            del self._rows_of(account)[account]
        else:
            self._file(account, _due(row))


def _due(row: Row) -> int:
    """Give the stream time at which a row is forgotten.

    A row that was made by a record far behind stream time may have ended already; it stays for
    the slack all the same, so that the same record delivered again finds what it has led to.
    """
    return max(row.end, row.seen) + RETIRE_SLACK_MS
