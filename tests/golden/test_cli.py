"""Record what the commands say: help, results, explanations and errors, as people read them."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from tests.support.command import Ran, weir
from worker.cli.main import EXIT_INTERRUPTED, EXIT_REFUSED, app
from worker.domain import errors

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "deploy" / "example"
SAMPLE = EXAMPLE / "posts.ndjson.gz"
BUNDLE = EXAMPLE / "bundle"

Golden = Callable[[str, str], None]

COMMANDS = (
    (),
    ("scan",),
    ("explain",),
    ("check",),
    ("run",),
    ("load",),
    ("topics",),
    ("topics", "create"),
    ("topics", "check"),
    ("state",),
    ("state", "dump"),
    ("state", "verify"),
    ("state", "export"),
    ("state", "import"),
    ("doctor",),
)


def tidy(text: str, *folders: Path) -> str:
    """Leave out what differs between machines and runs: folders, padding, speed, versions."""
    for folder, name in zip(folders, ("OUT", "IN"), strict=False):
        text = text.replace(str(folder), name)
    text = text.replace(str(ROOT) + "/", "")
    text = re.sub(r"posts/s +[\d,]+", "posts/s N", text)
    text = re.sub(r"CPython [\d.]+", "CPython N", text)
    text = re.sub(r"compiled, (scalar|avx2|avx512),", "compiled, ISA,", text)
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def shown(ran: Ran, *folders: Path) -> str:
    parts = [f"exit {ran.code}\n", ran.out, f"-- standard error --\n{ran.err}" if ran.err else ""]
    return tidy("".join(parts), *folders)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command) or "weir")
def test_help(golden: Golden, command: tuple[str, ...]) -> None:
    ran = weir(*command, "--help")
    assert ran.code == 0
    assert "Examples" in ran.out
    golden(f"cli/help-{'-'.join(command) or 'weir'}.txt", tidy(ran.out))


def test_every_command_has_a_recorded_help() -> None:
    names = {info.name for info in app.registered_commands} | {
        info.name for info in app.registered_groups
    }
    assert names == {command[0] for command in COMMANDS if command}


def test_scan(golden: Golden, tmp_path: Path) -> None:
    ran = weir("scan", SAMPLE, "--bundle", BUNDLE, "--out", tmp_path)
    golden("cli/scan.txt", shown(ran, tmp_path))


def test_scan_as_json(golden: Golden, tmp_path: Path) -> None:
    ran = weir("scan", SAMPLE, "--bundle", BUNDLE, "--out", tmp_path, "--output", "json")
    assert (ran.code, ran.err) == (0, "")
    summary = orjson.loads(ran.out)
    assert summary == orjson.loads((tmp_path / "summary.json").read_bytes())
    summary |= {"seconds": 0, "posts_per_s": 0}
    golden("cli/scan.json", orjson.dumps(summary, option=orjson.OPT_INDENT_2).decode() + "\n")


POSTS = {
    "flagged": {
        "id": "p1",
        "account": {"id": "ann", "created_at": "2021-09-01T00:00:00Z", "followers": 3},
        "created_at": "2021-09-15T17:00:00Z",
        "text": "\u202eHALF\u00a0BREED, see https://Example.org/a?b=1#c @bob 123",
        "urls": ["https://example.org/a?b=1"],
        "client": {"device": "d1"},
        "scores": {"hate_speech": 0.9},
    },
    "harmless": {
        "id": "p2",
        "account": {"id": "bob"},
        "created_at": "2021-09-15T17:00:00Z",
        "text": "good morning",
    },
    "delete": {
        "id": "p1",
        "op": "delete",
        "account": {"id": "ann"},
        "created_at": "2021-09-15T18:00:00Z",
    },
    "rejected": {"id": "p3", "text": "no account"},
}


@pytest.mark.parametrize("name", POSTS)
@pytest.mark.parametrize("form", ["text", "json"])
def test_explain(golden: Golden, name: str, form: str) -> None:
    post = orjson.dumps(POSTS[name], option=orjson.OPT_INDENT_2)
    ran = weir("explain", "-", "--bundle", BUNDLE, "--output", form, stdin=post)
    assert ran.code == 0, ran.err
    ending = "txt" if form == "text" else "json"
    golden(f"cli/explain-{name}.{ending}", tidy(ran.out))


def test_explain_never_sends_control_characters_to_the_terminal() -> None:
    evil = POSTS["harmless"] | {"text": "\x1b[2Jhalf breed\x9b31m\u202e\x07"}
    ran = weir("explain", "-", "--bundle", BUNDLE, stdin=orjson.dumps(evil))
    assert ran.code == 0
    assert not set(ran.out) & {"\x1b", "\x9b", "\u202e", "\x07"}


@pytest.mark.parametrize(
    ("stdin", "said"),
    [(b" \n", "is empty"), (b'{"id":"1"}\n{"id":"2"}\n', "several lines")],
)
def test_explain_wants_one_post(stdin: bytes, said: str) -> None:
    ran = weir("explain", "-", "--bundle", BUNDLE, stdin=stdin)
    assert ran.code == 2
    assert said in ran.err


def test_check(golden: Golden) -> None:
    golden("cli/check.txt", shown(weir("check", BUNDLE)))
    golden("cli/check.json", tidy(weir("check", BUNDLE, "--output", "json").out))


def test_check_with_a_sample_counts_what_passes_each_gate(golden: Golden) -> None:
    ran = weir("check", BUNDLE, "--sample", SAMPLE)
    golden("cli/check-sample.txt", shown(ran))
    posts = gzip.decompress(SAMPLE.read_bytes()).count(b"\n")
    sample = orjson.loads(weir("check", BUNDLE, "--sample", SAMPLE, "--output", "json").out)
    deletes = posts - sample["sample"]["posts"] - sample["sample"]["dead_letters"]
    assert deletes == gzip.decompress(SAMPLE.read_bytes()).count(b'"op":"delete"')
    assert all(rule["passed"] > 0 for rule in sample["rules"] if rule["on"] == "post")


def test_check_of_a_wrong_bundle(golden: Golden, tmp_path: Path) -> None:
    (tmp_path / "bundle.yaml").write_text(
        "name: wrong\nrevision: 1\n"
        "windows: {posts_1m: {per: account, count: posts, over: 60s}}\n"
        "ladders: {default: {strike_ttl: 90d, warn_grace: 1h, steps: [{at: 1, do: warn}]}}\n"
        "policies:\n  flooding:\n    ladder: defualt\n    clause: https://example.org/rules\n"
        "    rules:\n      - {id: flood, on: post, when: 'windows.posts_1n > 30', strikes: 1}\n"
    )
    ran = weir("check", tmp_path)
    assert ran.code == 1
    golden("cli/check-wrong.txt", shown(ran, tmp_path))
    as_json = weir("check", tmp_path, "--output", "json")
    assert as_json.code == 1
    found = orjson.loads(as_json.out)
    assert not found["ok"]
    assert all(error["line"] and error["column"] for error in found["errors"])


def test_check_of_settings(golden: Golden, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = Path("weir.yaml")
    key = Path("secret-name.key")
    key.write_text("5a" * 32)
    config.write_text(
        f"slot: s1\ndeployment_key_file: {key}\nenforce: {{act_after: none}}\n"
        "kafka:\n  bootstrap_servers: a:9092,b:9092\n"
    )
    ran = weir("check", "--config", config, environment={"WEIR_INPUT__TOPIC": "toots"})
    assert ran.code == 0, ran.err
    assert str(key) not in ran.out
    assert "5a5a" not in ran.out
    golden("cli/check-settings.txt", shown(ran, tmp_path))


@pytest.mark.parametrize(
    ("name", "arguments", "code"),
    [
        ("no-command", ("frobnicate",), 2),
        ("no-argument", ("scan",), 2),
        ("no-bundle", ("scan", "posts.ndjson", "--bundle", "nowhere"), 78),
        ("no-file", ("scan", "posts.ndjson", "--bundle", BUNDLE), 2),
        ("no-config", ("run", "--stage", "all", "--config", "nowhere.yaml"), 78),
        ("no-stage", ("run",), 2),
        ("no-start", ("run", "--stage", "all", "--start", "tomorrow"), 78),
        ("nothing-to-check", ("check",), 2),
        ("no-field-map", ("scan", "-", "--bundle", BUNDLE, "--field-map", "m"), 78),
    ],
)
def test_errors(
    golden: Golden,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    arguments: tuple[str, ...],
    code: int,
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = weir(*arguments)
    assert ran.code == code
    assert "Traceback" not in ran.err
    golden(f"cli/error-{name}.txt", shown(ran, tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_doctor_without_a_config(golden: Golden) -> None:
    ran = weir("doctor", "--bundle", BUNDLE)
    assert ran.code == 0
    golden("cli/doctor.txt", shown(ran))


def test_doctor_says_what_to_mend(golden: Golden, tmp_path: Path) -> None:
    config = tmp_path / "weir.yaml"
    config.write_text("slot: s1\nbundle: nowhere\nkafka: {durability: single_node}\n")
    ran = weir("doctor", "--config", config, "--no-broker")
    assert ran.code == 1
    golden("cli/doctor-wrong.txt", shown(ran, tmp_path))
    found = orjson.loads(weir("doctor", "--config", config, "--no-broker", "--output", "json").out)
    assert not found["ok"]
    assert [
        line["fix"] for line in found["lines"] if line["level"] == "fail" and not line["fix"]
    ] == []


def test_version_is_the_package_version() -> None:
    assert re.fullmatch(r"weir \d+\.\d+\.\d+\n", weir("--version").out)


def test_page_lists_every_command_and_exit_code() -> None:
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    assert set(re.findall(r"`weir (\w+)", page.split("## Exit codes")[0])) == {
        command[0] for command in COMMANDS if command
    } | {"COMMAND"}
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    kinds = [errors.WeirError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    assert {kind.exit_code for kind in kinds} <= listed
    assert {0, 2, EXIT_REFUSED, EXIT_INTERRUPTED} <= listed
