"""The runner of benchmarks shows no figure that was not earned."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import corpora, record
from benchmarks.definition import Definition, DefinitionError, Goal, load, names, names_of
from benchmarks.engine_process import outputs_file, write_outputs
from benchmarks.jobs import PeerMissingError, job_of, peer
from benchmarks.machine import slug
from benchmarks.micro.recall import LANES, beyond, judged, spells, vocabulary
from benchmarks.run import Outcome, order, run, wrong
from fastpath.keywords import Keywords
from fastpath.spec import KeywordList

EXPECT = load("fold/recall", quick=True).expect


def definition(**changes: Any) -> Definition:
    return load("fold/recall", quick=True).model_copy(update=changes)


def outcome(tmp_path: Path, outputs: dict[str, list[str]], **counts: int) -> Outcome:
    """Make an outcome whose engines gave these outputs."""
    made = Outcome(definition(expect={"texts": 2}), {}, {})
    for engine, lines in outputs.items():
        written = write_outputs(outputs_file(tmp_path, engine), lines)
        passed = {"counts": {"texts": counts.get(engine, 2)}, **written}
        made.passes[engine] = [passed, copy.deepcopy(passed)]
    return made


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("quick", [False, True])
def test_every_definition_is_whole(name: str, quick: bool) -> None:
    found = load(name, quick=quick)
    own = {"weir", "exactly-once", "cold"}
    assert found.engines[0] in own, "the engine that others are compared with comes first"
    assert found.analysis.strip(), "a definition says what its figures mean"
    assert job_of(found).prepared is not None


def test_quick_definitions_are_not_compared_with_full_ones() -> None:
    assert load("fold/recall").digest != load("fold/recall", quick=True).digest


def test_what_people_say_does_not_change_the_digest() -> None:
    assert definition().digest == definition(analysis="other", goals=()).digest
    assert definition().digest != definition(corpus={"seed": 73}).digest


def test_a_family_means_all_its_members() -> None:
    assert "fold/recall" in names_of("fold")
    with pytest.raises(DefinitionError, match=r"there are: .*fold/recall"):
        names_of("fol")


def test_equal_outputs_pass_in_any_order(tmp_path: Path) -> None:
    assert not wrong(outcome(tmp_path, {"weir": ["a", "b"], "other": ["b", "a", "a"]}), tmp_path)


def test_unequal_outputs_are_named(tmp_path: Path) -> None:
    found = wrong(outcome(tmp_path, {"weir": ["a", "b"], "other": ["a", "c"]}), tmp_path)
    assert found == ["weir and other: outputs differ; 1 of weir alone, such as ['b']"
                     "; 1 of other alone, such as ['c']"]  # fmt: skip


def test_outputs_that_change_between_repeats_are_wrong(tmp_path: Path) -> None:
    made = outcome(tmp_path, {"weir": ["a"]})
    made.passes["weir"][1]["outputs_digest"] = "another"
    assert wrong(made, tmp_path) == ["weir: outputs differ between repeats"]


def test_unexpected_counts_are_wrong_in_any_repeat(tmp_path: Path) -> None:
    made = outcome(tmp_path, {"weir": ["a"]})
    made.passes["weir"][1]["counts"] = {"texts": 3}
    assert wrong(made, tmp_path) == ["weir: counted {'texts': 3}, expected {'texts': 2}"]


def test_a_wrong_count_leaves_no_figure() -> None:
    made = run(definition(expect=EXPECT | {"found": 7}), ["weir"], 1, lambda _: None)
    assert made.wrong
    document = made.document
    assert document["outputs_equal"] is False
    assert document["engines"] == {}
    assert document["goals"] == []


def test_figures_have_one_value_per_repeat() -> None:
    made = run(definition(), ["weir"], 2, lambda _: None)
    figures = made.document["engines"]["weir"]
    assert {len(values) for name, values in figures.items() if name != "p99_ms"} == {2}
    assert figures["p99_ms"] == [], "not timed by this job"
    assert made.document["counts"] == EXPECT
    recall, false_matches = made.document["goals"]
    assert recall["goal"] == "fold/recall.recall"
    assert recall["want"] == ">= 0.95"
    assert recall["met"] is True
    assert false_matches["want"] == "<= 0.0001"


def test_the_command_prints_one_document() -> None:
    done = command("run", "fold/recall", "--quick", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["name"] == "fold/recall"
    assert document["outputs_equal"] is True
    assert document["machine"]["cores"] > 0
    assert document["versions"]["weir"]


def test_the_command_names_what_is_unknown() -> None:
    done = command("run", "fold/recall", "--engines", "nothing")
    assert done.returncode == 2
    assert "no engine 'nothing'; it has weir" in done.stderr
    assert done.stdout == ""


def test_engines_take_turns() -> None:
    assert "".join(order("AB", 3)) == "ABBAAB"


def test_a_peer_without_its_package_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def without(name: str) -> None:
        raise ModuleNotFoundError("no", name="hyperscan")

    monkeypatch.setattr("benchmarks.jobs.find_spec", lambda _: object())
    monkeypatch.setattr("benchmarks.jobs.importlib.import_module", without)
    with pytest.raises(PeerMissingError, match="pip install --group bench"):
        peer("hyperscan")


@pytest.mark.parametrize(
    ("goal", "value", "met"),
    [
        (Goal(figure="x", at_least=2), 2, True),
        (Goal(figure="x", at_least=2), 1.9, False),
        (Goal(figure="x", at_most=2), 2, True),
        (Goal(figure="x", at_most=2), 2.1, False),
    ],
)
def test_a_goal_is_a_bound(goal: Goal, value: float, met: bool) -> None:
    assert goal.met_by(value) is met


def test_records_of_other_machines_or_definitions_are_refused(tmp_path: Path) -> None:
    document = run(definition(), ["weir"], 1, lambda _: None).document | {"quick": False}
    path = record.write(document, "why", tmp_path)
    assert path.parent.name == document["machine"]["slug"]
    assert "why" in path.with_suffix(".md").read_text(encoding="utf-8")
    first = record.read(path)
    assert record.latest(tmp_path) == [first]
    assert ("weir", "recall") in {row[:2] for row in record.compare(first, first)}
    for change, what in (
        ({"definition_digest": "other"}, "another definition"),
        ({"machine": {"slug": "other"}}, "another machine"),
        ({"inputs": {}}, "another inputs"),
    ):
        with pytest.raises(record.RecordError, match=what):
            record.compare(first, first | change)


def test_a_quick_run_is_no_record(tmp_path: Path) -> None:
    document = run(definition(), ["weir"], 1, lambda _: None).document
    with pytest.raises(record.RecordError, match="only a full run"):
        record.write(document, "", tmp_path)


def test_a_difference_within_both_ranges_is_none() -> None:
    def at(*values: float) -> dict[str, Any]:
        return {"name": "n", "definition_digest": "d", "machine": {"slug": "m"}, "inputs": {},
                "engines": {"weir": {"posts_per_s": list(values)}}}  # fmt: skip

    assert record.compare(at(90, 100, 110), at(95, 105, 115))[0][-1] == "none"
    assert record.compare(at(99, 100, 101), at(149, 150, 151))[0][-1] == "+50.0%"


def test_machines_have_a_short_name() -> None:
    assert slug("AMD EPYC", 2) == "amd-epyc-2-cores"


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("my friends", None),
        ("friends of @friend5", None),  # the folded lane finds it too
        ("f r i e n d s", "spelled"),
        ("frieeeeends", "spelled"),
        ("fr-iends", "spelled"),
        ("RT @femaIes", "reviewed"),
        ("RT @fema1es", "false_matches"),  # the same word, but nobody read this one
        ("@friend5", "false_matches"),
        ("f r i e n d s of @femaIes", "reviewed"),
        ("fema1es and f r i e n d s", "false_matches"),
    ],
)
def test_what_a_disguise_lane_finds_is_judged_by_its_letters(
    text: str, verdict: str | None
) -> None:
    lists = Keywords([KeywordList("words", ("friends", "females"), LANES)])
    found = judged(lists, ["nothing here", text], {("females", "femaIes")})
    assert found == ({verdict: 1} if verdict else {})


def test_a_word_of_the_vocabulary_stands_by_itself_in_lower_case() -> None:
    words = vocabulary()
    texts = corpora.sample_texts()
    assert len(words) == EXPECT["vocabulary"]
    assert all(word.isascii() and word.islower() and len(word) >= 5 for word in words)
    assert "friends" in words
    assert "femaies" not in words, "a handle, and not in lower case"
    assert any("femaIes" in text for text in texts)


def test_a_reviewed_match_is_one_that_needed_a_review() -> None:
    reviewed = load("fold/recall").options["reviewed"]
    assert reviewed
    for row in reviewed:
        assert row["why"].strip(), row
        assert not spells(row["word"], row["written"]), row
        lists = Keywords([KeywordList("words", (row["word"],), LANES)])
        found = {each[1:] for each in beyond(lists, corpora.sample_texts())}
        assert (row["word"], row["written"]) in found


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).resolve().parents[2]
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=root,
        capture_output=True,
        text=True,
    )
