"""Hold every transport to moving bytes: what was flushed is read back, in order, unchanged."""

from __future__ import annotations

import pytest

from tests.contract.harness import Pipe, offsets, read, values
from worker.domain.errors import Fatal

VALUES = [b'{"n":%d,"pad":"%s"}' % (n, b"x" * (n * 7 % 90)) for n in range(40)]
ODD = [b"\x00\xff\xfe not UTF-8", b'{"tab":"\\t"}', b"{}" + b" " * 300, "\u2028\u0085".encode()]


def test_values_come_back_in_order_byte_for_byte(pipe: Pipe) -> None:
    sink = pipe.sink()
    for value in VALUES + ODD:
        sink.send(pipe.topic, None, value, partition=0)
    assert sink.flush(10) == len(VALUES) + len(ODD)
    pipe.publish()

    reader = pipe.reader()
    views = read(reader, len(VALUES) + len(ODD))
    assert values(views) == VALUES + ODD
    found = offsets(views)
    assert found == list(range(found[0], found[0] + len(found)))
    reader.close(5)


@pytest.mark.parametrize("max_records", [1, 3, 1_000])
def test_polls_respect_max_records_and_say_where_they_are(pipe: Pipe, max_records: int) -> None:
    sink = pipe.sink()
    for value in VALUES:
        sink.send(pipe.topic, None, value, partition=0)
    sink.flush(10)
    pipe.publish()

    reader = pipe.reader()
    seen: list[bytes | None] = []
    while len(seen) < len(VALUES):
        polled = reader.poll(0.2, max_records)
        views = [item for item in polled.items if not isinstance(item, tuple)]
        assert sum(len(view) for view in views) <= max_records
        seen += values(views)
        if views:
            (position,) = polled.positions.values()
            assert position == offsets(views)[-1] + 1
    assert seen == VALUES
    assert reader.poll(0.1, max_records).items == ()
    reader.close(5)


def test_flush_counts_what_was_sent_since_the_last_one(pipe: Pipe) -> None:
    sink = pipe.sink()
    assert sink.flush(10) == 0
    sink.send(pipe.topic, None, b"{}", partition=0)
    sink.send(pipe.topic, None, b"{}", partition=0)
    assert sink.flush(10) == 2
    assert sink.flush(10) == 0


def test_topic_that_does_not_exist_is_refused(pipe: Pipe) -> None:
    sink = pipe.sink()
    with pytest.raises(Fatal):
        sink.send("not-there", b"k", b"{}")
