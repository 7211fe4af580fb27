"""Hold a scan to one result for one input, however it is read, and to plain words on bad input."""

from __future__ import annotations

import base64
import dataclasses
import gzip
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from tests.support.command import Ran, weir
from worker import runtime
from worker.engine.scan import RESULTS
from worker.settings_load import load_settings
from worker.transport.files import PostFile

EXAMPLE = Path(__file__).resolve().parents[2] / "deploy" / "example"
SAMPLE = EXAMPLE / "posts.ndjson.gz"
BUNDLE = EXAMPLE / "bundle"
NAMES = sorted([*(f"{name}.ndjson" for name in RESULTS), "summary.json"])

Files = dict[str, bytes]


def results(folder: Path) -> Files:
    """Read every result; the two timings of the summary are checked and left out."""
    assert sorted(path.name for path in folder.iterdir()) == NAMES
    found = {path.name: path.read_bytes() for path in folder.iterdir()}
    summary = orjson.loads(found["summary.json"])
    assert summary.pop("seconds") >= 0
    assert summary.pop("posts_per_s") >= 0
    found["summary.json"] = orjson.dumps(summary)
    return found


def scan_in_chunks(posts: Path, out: Path, chunk_bytes: int) -> Files:
    flags = {"enforce.act_after": "none", "bundle": BUNDLE}
    job = runtime.build_scan(load_settings(flags=flags).settings, str(posts), out)
    job.posts.close(0)
    posts_in_chunks = PostFile(str(posts), chunk_bytes=chunk_bytes)
    dataclasses.replace(job, posts=posts_in_chunks).run()
    return results(out)


@pytest.fixture(scope="module")
def sample() -> bytes:
    return gzip.decompress(SAMPLE.read_bytes())


@pytest.fixture(scope="module")
def plain(sample: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plain") / "posts.ndjson"
    path.write_bytes(sample)
    return path


@pytest.fixture(scope="module")
def whole(plain: Path, tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Give the results of the sample read in one piece."""
    return scan_in_chunks(plain, tmp_path_factory.mktemp("whole") / "out", 1 << 30)


@pytest.mark.parametrize("chunk_bytes", [1, 1_000, 100_000])
def test_bytes_do_not_depend_on_where_blocks_end(
    plain: Path, whole: Files, tmp_path: Path, chunk_bytes: int
) -> None:
    assert scan_in_chunks(plain, tmp_path / "out", chunk_bytes) == whole


def test_gzip_and_plain_give_the_same_bytes(whole: Files, tmp_path: Path) -> None:
    assert weir("scan", SAMPLE, "--bundle", BUNDLE, "--out", tmp_path).code == 0
    assert results(tmp_path) == whole


@pytest.mark.parametrize("compressed", [False, True])
def test_standard_input_gives_the_same_bytes_but_for_its_name(
    sample: bytes, whole: Files, tmp_path: Path, compressed: bool
) -> None:
    data = gzip.compress(sample) if compressed else sample
    ran = weir("scan", "-", "--bundle", BUNDLE, "--out", tmp_path, stdin=data)
    assert ran.code == 0, ran.err
    found = {
        name: data.replace(b'"stdin"', b'"posts.ndjson"')
        for name, data in results(tmp_path).items()
    }
    actions, expected = (decided(files.pop("actions.ndjson")) for files in (found, dict(whole)))
    assert actions == expected
    assert found == {name: data for name, data in whole.items() if name != "actions.ndjson"}


def decided(data: bytes) -> list[dict[str, object]]:
    """Read actions; where no post id parsed, coordinates with the input's name make the id."""
    actions = [orjson.loads(line) for line in data.splitlines()]
    for action in actions:
        if action["post"] is None:
            assert action.pop("action_id")
    return actions


def test_a_second_scan_replaces_the_first(whole: Files, tmp_path: Path) -> None:
    for _ in range(2):
        assert weir("scan", SAMPLE, "--bundle", BUNDLE, "--out", tmp_path).code == 0
    assert results(tmp_path) == whole


def test_summary_adds_up(whole: Files) -> None:
    summary = orjson.loads(whole["summary.json"])
    lines = {name: whole[f"{name}.ndjson"].count(b"\n") for name in RESULTS}
    assert summary["dead_letters"] == lines["dlq"] > 0
    assert sum(summary["actions"].values()) == lines["actions"] > 0
    assert summary["campaigns"] == lines["campaigns"] > 0
    signals = [orjson.loads(line)["kind"] for line in whole["signals.ndjson"].splitlines()]
    assert sum(summary["signals"].values()) == signals.count("signal") > 0
    assert 0 < sum(summary["shadow"].values()) >= lines["shadow"] > 0


POST = {
    "id": "1",
    "account": {"id": "ann", "created_at": "2019-01-01T00:00:00Z"},
    "created_at": "2021-09-15T17:00:00Z",
    "text": "hello",
}


def post(**changes: object) -> bytes:
    return orjson.dumps(POST | changes)


def run(tmp_path: Path, data: bytes, *more: object) -> tuple[Ran, Path]:
    path = tmp_path / "in.ndjson"
    path.write_bytes(data)
    out = tmp_path / "out"
    return weir("scan", path, "--bundle", BUNDLE, "--out", out, *more), out


def letters(out: Path) -> list[dict[str, object]]:
    return [orjson.loads(line) for line in (out / "dlq.ndjson").read_bytes().splitlines()]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"id":"1","text":"\xff\xfe"}', "encoding_invalid"),
        (b'{"id":', "json_invalid"),
        (b"[" * 100 + b"]" * 100, "json_too_deep"),
        (b'{"id":"1","text":"no account"}', "field_missing"),
        (post(created_at=None), "field_missing"),
        (post(id=["1"]), "field_type"),
        (post(id="x" * 257), "id_out_of_range"),
        (post(text="y" * (300 * 1024)), "record_too_large"),
    ],
)
def test_bad_line_is_a_dead_letter_with_its_bytes_and_its_line(
    tmp_path: Path, line: bytes, reason: str
) -> None:
    ran, out = run(tmp_path, post(id="0") + b"\n\n" + line + b"\n" + post(id="2") + b"\n")
    assert ran.code == 0, ran.err
    assert letters(out) == [
        {
            "reason": reason,
            "raw": base64.b64encode(line).decode(),
            "origin": {"file": "in.ndjson", "line": 3},
        }
    ]
    summary = orjson.loads((out / "summary.json").read_bytes())
    assert (summary["posts"], summary["dead_letters"]) == (3, 1)


def test_last_line_needs_no_newline_and_lines_may_end_as_on_windows(tmp_path: Path) -> None:
    ran, out = run(tmp_path, post(id="0") + b"\r\n" + post(id="1"))
    assert ran.code == 0
    summary = orjson.loads((out / "summary.json").read_bytes())
    assert (summary["posts"], summary["dead_letters"]) == (2, 0)


@pytest.mark.parametrize(
    "data", [b"", b"\n\n", gzip.compress(b"")], ids=["nothing", "blank", "gzip"]
)
def test_input_without_posts_is_an_empty_result_and_a_warning(tmp_path: Path, data: bytes) -> None:
    ran, out = run(tmp_path, data)
    assert ran.code == 0
    assert "in.ndjson holds no post" in ran.err
    found = results(out)
    assert all(found[f"{name}.ndjson"] == b"" for name in RESULTS)
    assert orjson.loads(found["summary.json"])["posts"] == 0


def test_posts_of_another_form_are_dead_letters_and_a_hint(tmp_path: Path) -> None:
    ran, out = run(tmp_path, b'{"status_id":1}\n{"status_id":2}\n')
    assert ran.code == 0
    assert "no line was a post (field_missing)" in ran.err
    assert "--preset" in ran.err
    assert len(letters(out)) == 2


def test_field_map_reads_posts_of_another_form(tmp_path: Path) -> None:
    field_map = tmp_path / "map.yaml"
    field_map.write_text(
        "id: /status_id\naccount.id: /by\ncreated_at: /at\ntext: [/body, /title]\n"
    )
    line = b'{"status_id":1,"by":"ann","at":1631725200000,"title":"half breed"}\n'
    ran, out = run(tmp_path, line, "--field-map", field_map)
    assert ran.code == 0, ran.err
    assert letters(out) == []
    assert orjson.loads((out / "summary.json").read_bytes())["posts"] == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "id: /i\ntxet: /t\n",
            "map.yaml:2: txet: '/t': wrong field map target 'txet'; did you mean",
        ),
        ('{"id": "/i",\n "text": "t"}', "map.yaml:2: text: 't': wrong field map pointer 't'"),
        ("text: 5\n", "map.yaml:1: text: 5: wrong field map sources of text 5"),
        ("- id\n", "found a list"),
        ("id\n", "found 'id'"),
    ],
    ids=["field", "pointer", "type", "list", "word"],
)
def test_a_wrong_field_map_is_refused_where_it_is_wrong(
    tmp_path: Path, text: str, said: str
) -> None:
    field_map = tmp_path / "map.yaml"
    field_map.write_text(text)
    ran, _ = run(tmp_path, b"{}\n", "--field-map", field_map)
    assert ran.code == 78
    assert said in ran.err.replace("\n", " ")


def test_field_map_stands_over_a_preset_and_leaves_its_other_fields(tmp_path: Path) -> None:
    field_map = tmp_path / "map.yaml"
    field_map.write_text("account.id: /data/data/user\ntext: /data/data/body\n")
    line = (
        b'{"send_time":"2021-09-15T14:20:00Z","data":{"action_id":7,"action_name":"post",'
        b'"data":{"user":"ann","body":"half breed"}}}\n'
    )
    ran, out = run(tmp_path, line, "--preset", "osprey", "--field-map", field_map)
    assert ran.code == 0, ran.err
    assert letters(out) == []
    ran, out = run(tmp_path, line, "--preset", "osprey")
    assert [letter["reason"] for letter in letters(out)] == ["field_missing"]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.mkdir(), "is a directory"),
        (lambda path: path.write_bytes(gzip.compress(b"x" * 999)[:-9]), "broken gzip data"),
    ],
)
def test_input_that_cannot_be_read_is_a_usage_error_without_results(
    tmp_path: Path, make: object, said: str
) -> None:
    path = tmp_path / "in.ndjson"
    make(path)  # type: ignore[operator]
    out = tmp_path / "out"
    ran = weir("scan", path, "--bundle", BUNDLE, "--out", out)
    assert ran.code == 2
    assert f"error: {path}" in ran.err
    assert said in ran.err
    assert "Traceback" not in ran.err
    assert not out.exists() or list(out.iterdir()) == []


def test_input_that_breaks_half_way_leaves_the_older_result(
    sample: bytes, whole: Files, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert weir("scan", SAMPLE, "--bundle", BUNDLE, "--out", out).code == 0
    path = tmp_path / "half.ndjson.gz"
    path.write_bytes(gzip.compress(sample)[:-100_000])
    ran = weir("scan", path, "--bundle", BUNDLE, "--out", out)
    assert ran.code == 2
    assert results(out) == whole


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (("--bundle", "nowhere"), 78, "there is no file"),
        (("--act-after", "yesterday"), 2, "a time is RFC 3339"),
        (("--act-after", "2021-01-01T00:00:00"), 2, "needs its offset"),
        (("--correlate-lateness", "10"), 2, "unit"),
        (("--preset", "friendster"), 2, "friendster"),
        (("--field-map", "nowhere.yaml"), 78, "nowhere.yaml"),
        (("--deployment-key-file", "nowhere.key"), 78, "nowhere.key"),
    ],
)
def test_wrong_options_are_one_message(
    tmp_path: Path, more: tuple[str, ...], code: int, said: str
) -> None:
    ran, out = run(tmp_path, post() + b"\n", *more)
    assert ran.code == code
    assert said in ran.err
    assert "Traceback" not in ran.err
    assert not out.exists()


def test_act_after_turns_decisions_on_older_posts_into_reviews(
    whole: Files, tmp_path: Path
) -> None:
    more = ("--act-after", "2030-01-01T00:00:00Z", "--output", "json")
    ran = weir("scan", SAMPLE, "--bundle", BUNDLE, "--out", tmp_path, *more)
    actions = orjson.loads(ran.out)["actions"]
    # A delete still ends what waited for it; nothing waits here.
    assert set(actions) == {"review"}
    assert set(orjson.loads(whole["summary.json"])["actions"]) > {"review", "warn"}


def test_deployment_key_names_the_same_decisions_otherwise(whole: Files, tmp_path: Path) -> None:
    key = tmp_path / "deployment.key"
    key.write_text("5a" * 32)
    out = tmp_path / "out"
    assert (
        weir("scan", SAMPLE, "--bundle", BUNDLE, "--out", out, "--deployment-key-file", key).code
        == 0
    )

    def decisions(data: bytes) -> tuple[list[tuple[str, str]], set[str]]:
        actions = [orjson.loads(line) for line in data.splitlines()]
        named = [(each["kind"], each["account_id"]) for each in actions]
        return named, {each["action_id"] for each in actions}

    ours, published = (decisions(found["actions.ndjson"]) for found in (results(out), whole))
    assert ours[0] == published[0]
    assert not ours[1] & published[1]


PEAK = """
import resource, sys
sys.argv = ["weir", "scan", sys.argv[1], "--bundle", sys.argv[2], "--out", sys.argv[3]]
from worker.cli.main import main
try:
    main()
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
"""


def peak_kib(posts: Path, out: Path) -> int:
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(posts), str(BUNDLE), str(out)],
        capture_output=True,
        text=True,
        check=True,
        cwd=EXAMPLE.parents[1],
    )
    return int(done.stderr.split()[-1])


def test_peak_memory_does_not_grow_with_the_input(
    sample: bytes, plain: Path, tmp_path: Path
) -> None:
    """Ten times the sample, same accounts, times shifted: at most 1.2 times the memory.

    Measured 1.10: what grows are the ledger rows of accounts and the bytes of one block.
    """
    posts = [line for line in sample.splitlines() if line.startswith(b'{"id":"') and is_post(line)]
    times = [created(line) for line in posts]
    span = max(times) - min(times) + 3_600_000
    ten = tmp_path / "ten.ndjson"
    with ten.open("wb") as file:
        for turn in range(10):
            for line, time in zip(posts, times, strict=True):
                again = orjson.loads(line)
                again |= {"id": f"{again['id']}-{turn}", "created_at": time + turn * span}
                file.write(orjson.dumps(again) + b"\n")
    once = peak_kib(plain, tmp_path / "once")
    assert peak_kib(ten, tmp_path / "ten") <= 1.2 * once


def is_post(line: bytes) -> bool:
    try:
        return "created_at" in orjson.loads(line)
    except orjson.JSONDecodeError:
        return False


def created(line: bytes) -> int:
    from fastpath.rfc3339 import epoch_ms

    value = orjson.loads(line)["created_at"]
    time = epoch_ms(value) if isinstance(value, str) else value
    assert isinstance(time, int)
    return time
