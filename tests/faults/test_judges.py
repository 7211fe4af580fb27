"""The judges of the fault suite see what they are for: each is shown a run with one flaw."""

from __future__ import annotations

import gzip
import struct
from copy import deepcopy
from pathlib import Path
from typing import ClassVar

import orjson
import pytest
from kafka.record.default_records import DefaultRecordBatchBuilder

from tests.faults import dump, oracle, record, stream
from tests.faults.segments import outcomes
from tests.faults.state_log import follow
from tests.support.deployment import ROOT, Deployment, Read
from tests.support.scan_run import scan
from worker.settings import StageName
from worker.state import transfer
from worker.state.restore import Tail
from worker.state.state_writer import StateWriter
from worker.state.transfer import Moved

BUNDLE = ROOT / "deploy" / "example" / "bundle"
KEY = bytes.fromhex("5a" * 32)


class Run:
    """Hold a scan of a short stream as the topics of a run would hold it."""

    def __init__(self, folder: Path) -> None:
        lines = list(stream.posts(seed=5, count=6_000))
        posts = folder / "posts.ndjson.gz"
        posts.write_bytes(gzip.compress(b"\n".join(lines) + b"\n", 1))
        key = folder / "key"
        key.write_text(KEY.hex())
        found = scan(posts, BUNDLE, folder / "out", deployment_key_file=key)
        self.posts = [Read(0, number, 0, b"", line, ()) for number, line in enumerate(lines, 1)]
        self.signals = [
            Read(0, number, 0, b"", orjson.dumps(each), ())
            for number, each in enumerate(found.signals)
        ]
        self.actions = [
            Read(0, number, 0, b"", orjson.dumps(each), ())
            for number, each in enumerate([*found.actions, *found.shadow])
        ]
        self.letters = [
            Read(0, number, 0, b"", b"", _coordinates(each["origin"]["line"]))
            for number, each in enumerate(found.dead_letters)
        ]
        self.expected = oracle.Expected(self.posts, BUNDLE)

    def screened(self, signals: list[Read], letters: list[Read] | None = None) -> list[str]:
        return oracle.check_screen(self.expected, signals, letters or self.letters)

    def acted(self, actions: list[Read]) -> list[str]:
        return oracle.check_actions(self.signals, actions, BUNDLE, KEY, 1)


def _coordinates(line: int) -> tuple[tuple[str, bytes], ...]:
    return (("weir.dlq.partition", b"0"), ("weir.dlq.offset", str(line).encode()))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run(tmp_path_factory.mktemp("run"))


def test_a_run_without_a_flaw_passes(run: Run) -> None:
    assert run.screened(run.signals) == []
    assert oracle.check_campaigns(run.expected, run.signals, ()) == []
    assert len(run.actions) > 500
    assert len(run.letters) > 5
    assert any(read.json["policy"] == "flooding" for read in run.signals if "policy" in read.json)


def test_actions_without_a_flaw_pass(run: Run) -> None:
    assert run.acted(run.actions) == []


@pytest.mark.parametrize("kind", ["signal", "delete", "notice"])
def test_a_lost_and_a_repeated_signal_are_seen(run: Run, kind: str) -> None:
    at = next(i for i, read in enumerate(run.signals) if read.json["kind"] == kind)
    assert "1 missing, 0 too many" in run.screened(run.signals[:at] + run.signals[at + 1 :])[0]
    assert "0 missing, 1 too many" in run.screened([*run.signals, run.signals[at]])[0]


def test_a_window_that_counts_wrong_is_seen(run: Run) -> None:
    signals = list(run.signals)
    at = next(i for i, read in enumerate(signals) if b'"posts_1m":' in (read.value or b""))
    counted = signals[at].json
    counted["evidence"]["windows"]["posts_1m"] += 1
    signals[at] = signals[at]._replace(value=orjson.dumps(counted))
    assert "1 missing, 1 too many" in run.screened(signals)[0]


def test_signals_out_of_order_are_seen(run: Run) -> None:
    first, second, *rest = run.signals
    assert "another order" in run.screened([second, first, *rest])[0]


def test_a_lost_and_a_repeated_dead_letter_are_seen(run: Run) -> None:
    assert "dead letters: 1 missing" in run.screened(run.signals, run.letters[1:])[0]
    assert "1 too many" in run.screened(run.signals, [*run.letters, run.letters[0]])[0]


def test_a_lost_and_a_repeated_action_are_seen(run: Run) -> None:
    assert "1 missing, 0 too many" in run.acted(run.actions[1:])[0]
    assert "1 repeated action ids" in run.acted([*run.actions, run.actions[0]])[0]


@pytest.mark.parametrize("field", ["account_seq", "strikes_before", "strikes_after"])
def test_a_ledger_that_counts_wrong_is_seen(run: Run, field: str) -> None:
    wrong = run.actions[0].json
    wrong[field] += 1
    actions = [run.actions[0]._replace(value=orjson.dumps(wrong)), *run.actions[1:]]
    assert "1 missing, 1 too many" in run.acted(actions)[0]


def _state(*, hidden: bool = False, decided: bool = False) -> list[tuple[int, bytes | None]]:
    """Write a state of two claims; `hidden` adds one that the claimant of the second did not see,
    `decided` a delta upon that one."""
    writer = StateWriter(Tail())
    values = [value for _, value in writer.claim("a", 1, 1, 0)]
    for number in range(1, 6):
        values += [value for _, value in writer.delta(number * 10, 0, bytes(32), b"")]
        values += [value for _, value in writer.slice(number, b"")]
    if hidden:
        other = StateWriter(deepcopy(writer.tail))
        values += [value for _, value in other.claim("c", 2, 1, 50)]
        if decided:
            values += [value for _, value in other.delta(60, 0, bytes(32), b"")]
    values += [value for _, value in writer.claim("b", 2, 1, 50)]
    values += [value for _, value in writer.delta(60, 0, bytes(32), b"")]
    return list(enumerate(values))


def test_a_whole_state_is_followed_to_its_end() -> None:
    log = follow(_state())
    assert (log.broken, log.epoch, log.seq, log.in_next) == ([], 2, 6, 60)
    assert (log.claims, log.deltas, log.slices) == (2, 6, 5)


def test_a_claim_that_could_not_see_one_before_it_may_repeat_its_epoch() -> None:
    assert (follow(_state(hidden=True)).broken, follow(_state(hidden=True)).claims) == ([], 3)
    assert "claim 2 after 2..2" in follow(_state(hidden=True, decided=True)).broken[0]


@pytest.mark.parametrize(("claims", "holds"), [(1, True), (2, False)])
def test_who_claims_behind_a_delta_counts_on_from_its_epoch(claims: int, holds: bool) -> None:
    """Two hidden claims of epochs 2 and 3, then a delta of a claimant of epoch 2 that saw neither;
    it claims again as epoch 3, never as 4."""
    seen = StateWriter(Tail())
    values = seen.claim("a", 1, 1, 0)
    hidden = StateWriter(deepcopy(seen.tail))
    values += hidden.claim("b", 2, 1, 0) + hidden.claim("b", 3, 1, 0)
    values += seen.claim("a", 3, 1, 0) + seen.delta(10, 0, bytes(32), b"")
    seen.tail.epoch += claims - 1
    values += seen.claim("a", 4, 1, 10)
    assert (follow(enumerate(value for _, value in values)).broken == []) is holds


def test_an_import_is_followed_and_a_lost_slice_of_it_is_seen() -> None:
    lists = transfer.records_of(Moved(0, 1, 0, ()), 70, bytes(32), "import")
    records = [value for each in lists for _, value in each]
    log = follow(enumerate(records), imported=True)
    assert (log.broken, log.began, log.in_next, log.seq) == ([], 70, 70, 2)
    assert "without all" in follow(enumerate(records[1:]), imported=True).broken[0]
    assert follow(enumerate(records)).broken, "nothing else may begin so"


@pytest.mark.parametrize("lost", [0, 1, 3, 9, 11])
def test_a_lost_record_of_the_state_is_seen(lost: int) -> None:
    records = _state()
    del records[lost]
    assert follow(records).broken


@pytest.mark.parametrize("repeated", [0, 1, 5, 11, 12])
def test_a_repeated_record_of_the_state_is_seen(repeated: int) -> None:
    records = _state()
    records.append(records[repeated])
    assert follow(records).broken


def test_a_changed_byte_of_the_state_is_seen() -> None:
    records = _state()
    offset, value = records[5]
    assert value is not None
    records[5] = offset, value[:20] + bytes([value[20] ^ 1]) + value[21:]
    assert follow(records).broken


def _batch(first: int, producer: int, count: int, control: int | None = None) -> bytes:
    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=0, is_transactional=1, producer_id=producer, producer_epoch=3,
        base_sequence=0, batch_size=1 << 20,
    )  # fmt: skip
    for number in range(count):
        key = b"k" if control is None else struct.pack(">hh", 0, control)
        builder.append(number, timestamp=0, key=key, value=b"v", headers=[])
    made = bytearray(builder.build())
    struct.pack_into(">q", made, 0, first)
    if control is not None:
        made[22] |= 0x20
    return bytes(made)


def test_transactions_are_followed_to_their_markers(tmp_path: Path) -> None:
    parts = [_batch(0, 1, 3), _batch(3, 2, 2), _batch(5, 1, 1, control=1), _batch(6, 3, 1)]
    parts += [_batch(7, 2, 1, control=0), _batch(8, 2, 2), _batch(10, 2, 1, control=1)]
    (tmp_path / "00000000000000000000.log").write_bytes(b"".join(parts) + bytes(100))
    found = outcomes(tmp_path)
    assert found.committed == {0, 1, 2, 8, 9}
    assert (found.aborted, found.open) == ({3, 4}, {6})
    assert (found.commits, found.aborts) == (2, {(2, 3)})


def test_the_stream_is_the_same_for_the_same_seed_alone() -> None:
    one, again, other = (list(stream.posts(seed, 20_000)) for seed in (1, 1, 2))
    assert len(one) == 20_000
    assert one == again
    assert one != other


def test_the_record_sums_up_its_runs(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    for seed in (1, 2):
        kills, stops = {"after_send[0]": 3}, {"after_poll": seed}
        record.add({"seed": seed, "posts": 10, "kills": kills, "stops": stops}, path)
    told = record.totals(record.read(path))
    assert "2 runs: posts 20," in told
    assert "kills 6, stops 3" in told
    assert "after_send[0] 6" in told


class Recorded:
    """Stand in for the reader of state topics."""

    values_of: ClassVar[dict[str, list[bytes]]] = {}

    def __init__(self, _settings: object, name: str) -> None:
        self._values = self.values_of.get(name, [])

    def values(self, _number: int) -> list[bytes]:
        return self._values

    def close(self) -> None:
        pass


def test_state_is_that_of_a_sequential_run_or_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dump, "_Reader", Recorded)
    deployment = Deployment("127.0.0.1:1", tmp_path, BUNDLE, partitions=1)
    posts = [line for line in stream.posts(1, 300) if line.startswith(b'{"id"')]
    keys = [orjson.loads(line)["account"]["id"].encode() for line in posts]
    read = [
        Read(0, at, 1_700_000_000_000 + at, key, line, ())
        for at, (key, line) in enumerate(zip(keys, posts, strict=True))
    ]
    settings, topic = deployment.settings(), deployment.settings().topic("posts")
    stage, table = dump._sequential(settings, "screen", topic, 0, read, 1)
    writer = StateWriter(Tail())
    records = writer.claim("a", 1, 1, 0)
    records += writer.delta(len(read), stage.stream_time(table), bytes(32), stage.changes(table))
    monkeypatch.setitem(Recorded.values_of, "screen", [value for _, value in records])
    nothing: list[Read] = []
    others: dict[StageName, list[Read]] = {"correlate": nothing, "enforce": nothing}
    assert dump.check_state(deployment, {"screen": read, **others}) == []
    twice = [*read, read[-1]._replace(offset=len(read))]
    (wrong,) = dump.check_state(deployment, {"screen": twice, **others})
    assert wrong.startswith(f"I9: {deployment.name}.state.screen-0: 1 entries missing")
