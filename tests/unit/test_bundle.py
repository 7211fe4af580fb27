"""What a loaded bundle holds, and what its digest depends on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpath.spec import GATE_TRUE, Gate
from tests.support.bundles import LISTS, write_bundle
from worker.domain.errors import PolicyError
from worker.policy.bundle import Bundle, BundleRefused, check_bundle, load_bundle
from worker.policy.files import digest
from worker.policy.schema import bundle_schema
from worker.policy.source import Document

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "deploy" / "example" / "bundle"


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return load_bundle(write_bundle(tmp_path))


def test_rules_in_force_are_numbered_in_file_order(bundle: Bundle) -> None:
    assert [(r.name, r.index) for r in bundle.post_rules] == [
        ("violence/incitement", 0),
        ("violence/images", 1),
        ("flooding/flood", 2),
    ]
    assert [(r.name, r.index, r.of) for r in bundle.campaign_rules] == [
        ("coordination/copypasta", 0, "text"),
        ("coordination/farm", 1, "device"),
        ("coordination/slow", 2, "text"),
    ]
    assert [bundle.run_ms(rule) for rule in bundle.campaign_rules] == [
        600_000,
        86_400_000,
        3_600_000,
    ]


def test_rules_switched_off_are_checked_and_not_numbered(tmp_path: Path) -> None:
    changes = {"post_action: remove\n        strikes: 3": "mode: off\n        strikes: 3"}
    bundle = load_bundle(write_bundle(tmp_path, changes))
    rule = bundle.find_rule("violence", "incitement")
    assert rule is not None
    assert (rule.mode, rule.index) == ("off", -1)
    assert [r.name for r in bundle.post_rules] == ["violence/images", "flooding/flood"]
    assert [r.index for r in bundle.post_rules] == [0, 1]

    wrong = {**changes, "matches.incitement.count >= 1": "matches.incite.count >= 1"}
    assert check_bundle(write_bundle(tmp_path, wrong)).bundle is None


def test_every_live_rule_is_shadow_under_observe(tmp_path: Path) -> None:
    changes = {"enforcement: live\n": "", "id: flood\n": "id: flood\n        mode: off\n"}
    bundle = load_bundle(write_bundle(tmp_path, changes))
    assert bundle.enforcement == "observe"
    modes = {rule.name: rule.mode for p in bundle.policies.values() for rule in p.rules}
    assert modes.pop("flooding/flood") == "off"
    assert set(modes.values()) == {"shadow"}


def test_cooldown_is_the_longest_window_that_the_rules_read(bundle: Bundle) -> None:
    cooldowns = {name: policy.cooldown_ms for name, policy in bundle.policies.items()}
    assert cooldowns == {"violence": 0, "flooding": 600_000, "coordination": 86_400_000}


def test_ladder_gives_the_highest_step_at_or_below_a_total(bundle: Bundle) -> None:
    ladder = bundle.policies["violence"].ladder
    assert ladder is not None
    steps = [ladder.step_at(total) for total in range(7)]
    assert steps[0] is None
    assert [step.at for step in steps[1:] if step is not None] == [1, 2, 2, 4, 5, 5]
    assert (ladder.strike_ttl_ms, ladder.warn_grace_ms) == (90 * 86_400_000, 3_600_000)


def test_policies_carry_a_statement_of_reasons(bundle: Bundle) -> None:
    policy = bundle.policies["violence"]
    assert (policy.severe, policy.ground, policy.legal_ground) == (True, "terms", None)
    assert policy.clause in policy.explanation
    assert policy.redress == ("complaint", "out_of_court", "court")


def test_screen_spec_holds_what_the_rules_read(bundle: Bundle) -> None:
    spec = bundle.screen_spec(deployment_key=b"k" * 32, topic="in", sighting_partitions=4)
    assert [each.name for each in spec.keyword_lists] == ["incitement", "news_quote"]
    assert [(each.name, each.kind) for each in spec.hash_lists] == [
        ("spam_domains", "domain"),
        ("bad_links", "url"),
        ("images", "sha256"),
    ]
    assert [each.name for each in spec.windows] == ["posts_1m"]
    assert spec.gates == tuple(rule.when.gate for rule in bundle.post_rules)
    assert spec.fingerprints == ("text", "device")
    assert spec.exempt_phrases == ("happy new year",)
    assert spec.bundle_digest.hex() == bundle.digest
    assert bundle.exempt_accounts == {"newsroom"}
    assert bundle.limits == {"suspend": 500, "remove": 20_000}


def test_a_rule_may_ask_to_see_every_post(tmp_path: Path) -> None:
    changes = {"windows.posts_1m > 30 || matches.spam_domains.any": "post.text.contains('x')"}
    changes["id: flood\n"] = "id: flood\n        ungated: true\n"
    report = check_bundle(write_bundle(tmp_path, changes))
    assert report.bundle is not None
    rule = report.bundle.find_rule("flooding", "flood")
    assert rule is not None
    assert rule.when.gate == GATE_TRUE == Gate("and")
    assert {each.gate for each in report.rules if each.rule == rule} == {"true"}


def test_refusal_is_a_policy_error_with_every_diagnostic(tmp_path: Path) -> None:
    changes = {"windows.posts_1m > 30": "windows.posts > 30", "at: 4, do": "at: 2, do"}
    with pytest.raises(PolicyError) as caught:
        load_bundle(write_bundle(tmp_path, changes))
    assert isinstance(caught.value, BundleRefused)
    lines = [each.line for each in caught.value.diagnostics]
    assert len(lines) == 2
    assert lines == sorted(lines)
    assert str(caught.value).count("\n") == 1


def test_digest_depends_on_contents_and_not_on_place_or_other_files(tmp_path: Path) -> None:
    first = load_bundle(write_bundle(tmp_path / "a"))
    shutil.copytree(tmp_path / "a", tmp_path / "deep" / "b")
    (tmp_path / "deep" / "b" / "NOTES.md").write_text("not read")
    assert load_bundle(tmp_path / "deep" / "b").digest == first.digest
    changed = {"lists/domains.txt": LISTS["lists/domains.txt"] + "# a comment\n"}
    assert load_bundle(write_bundle(tmp_path / "c", files=changed)).digest != first.digest


names = st.text("ab/é", min_size=1, max_size=6)


@given(contents=st.dictionaries(names, st.binary(max_size=8), max_size=5), seed=st.randoms())
def test_digest_does_not_depend_on_the_order_of_files(contents, seed) -> None:  # type: ignore[no-untyped-def]
    shuffled = list(contents.items())
    seed.shuffle(shuffled)
    assert digest(dict(shuffled)) == digest(contents)


@given(
    first=st.dictionaries(names, st.binary(max_size=6), max_size=3),
    second=st.dictionaries(names, st.binary(max_size=6), max_size=3),
)
def test_different_files_have_different_digests(first, second) -> None:  # type: ignore[no-untyped-def]
    assert (digest(first) == digest(second)) is (first == second)


def test_the_digest_of_a_known_bundle_stays() -> None:
    """Records name bundles by digest for years: the computation must never change."""
    assert digest({"bundle.yaml": b"name: x\n", "lists/a.txt": b"word\n"}) == (
        "f2b5bb91b7a8761165f53eae9848adc92afee2923703ca6cc3783a9a9d10cc86"
    )


def test_a_list_outside_the_bundle_is_refused_through_a_link_too(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "bundle", files={"lists/domains.txt": None})
    (tmp_path / "secret.txt").write_text("evil.example\n")
    (folder / "lists" / "domains.txt").symlink_to(tmp_path / "secret.txt")
    (found,) = check_bundle(folder).diagnostics
    assert "link out of the bundle" in found.message


def test_links_in_a_loop_and_folders_are_no_lists(tmp_path: Path) -> None:
    names = {"lists/domains.txt": None, "lists/links.txt": None}
    folder = write_bundle(tmp_path / "bundle", files=names)
    (folder / "lists" / "domains.txt").symlink_to(folder / "lists" / "domains.txt")
    (folder / "lists" / "links.txt").mkdir()
    found = [each.message for each in check_bundle(folder).diagnostics]
    assert len(found) == 2
    assert "lists/domains.txt" in found[0]
    assert "lists/links.txt` cannot be read" in found[1]


@pytest.mark.parametrize(
    ("lanes", "kept"), [("folded", 1), ("raw", 3), ("raw, folded", 3), ("folded, raw", 3)]
)
def test_keywords_that_fold_alike_stay_apart_in_the_raw_lane(
    tmp_path: Path, lanes: str, kept: int
) -> None:
    files = {"lists/incitement.txt": "Stop\nstop\nSTOP\nstop\n"}
    report = check_bundle(write_bundle(tmp_path, {"lanes: [folded]": f"lanes: [{lanes}]"}, files))
    assert report.bundle is not None
    assert len(report.bundle.keyword_lists[0].patterns) == kept
    assert len(report.warnings) == 4 - kept


def test_nested_aliases_do_not_explode(tmp_path: Path) -> None:
    bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
    for name, before in zip("bcdefgh", "abcdefg", strict=True):
        bomb += f"{name}: &{name} [{', '.join(['*' + before] * 10)}]\n"
    (found,) = check_bundle(write_bundle(tmp_path, files={"bundle.yaml": bomb})).diagnostics
    assert "too deep or holds too much" in found.message


def test_the_example_bundle_loads_without_a_warning() -> None:
    report = check_bundle(EXAMPLE)
    assert report.diagnostics == ()
    assert report.warnings == ()
    assert report.bundle is not None
    assert {rule.of for rule in report.bundle.campaign_rules} == {"text", "device", "url"}
    for path in sorted((EXAMPLE / "lists").iterdir()):
        comments = [line for line in path.read_text().splitlines() if line.startswith("#")]
        assert "source:" in "\n".join(comments).lower(), f"{path.name} names no source"


def test_the_schema_in_docs_is_current_and_accepts_the_examples(tmp_path: Path) -> None:
    recorded = (ROOT / "docs" / "bundle.schema.json").read_text(encoding="utf-8")
    assert recorded == bundle_schema(), "refresh docs/bundle.schema.json: weir check --schema"
    validator = jsonschema.Draft202012Validator(json.loads(recorded))
    for folder in (EXAMPLE, write_bundle(tmp_path)):
        text = (folder / "bundle.yaml").read_text(encoding="utf-8")
        validator.validate(Document("bundle.yaml", text).data)
        refused = {**Document("bundle.yaml", text).data, "enforcment": "live"}
        assert not validator.is_valid(refused)


@settings(max_examples=150)
@given(data=st.data())
def test_checking_reports_and_never_raises(tmp_path_factory, data: st.DataObject) -> None:  # type: ignore[no-untyped-def]
    """Cut, repeat or overwrite a piece of the bundle: errors have places, nothing else happens."""
    folder = write_bundle(tmp_path_factory.getbasetemp() / "mutated")
    path = folder / "bundle.yaml"
    text = path.read_text()
    start = data.draw(st.integers(0, len(text)))
    end = min(len(text), start + data.draw(st.integers(0, 30)))
    piece = data.draw(st.one_of(st.just(text[end : end + 40]), st.text(max_size=12)))
    path.write_text(text[:start] + piece + text[end:], encoding="utf-8")

    report = check_bundle(folder)

    assert (report.bundle is None) is bool(report.diagnostics)
    for each in report.diagnostics:
        source = Path(each.file).read_bytes().decode("utf-8-sig")
        lines = source.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        assert each.line == 0 or 1 <= each.column <= len(lines[each.line - 1]) + 1
        assert each.line == 0 or each.source_line == lines[each.line - 1]


def test_the_lanes_that_see_through_disguise_load(tmp_path: Path) -> None:
    changes = {"lanes: [folded]": "lanes: [folded, squeezed], insist: true"}
    report = check_bundle(write_bundle(tmp_path, changes, {"lists/incitement.txt": "kill\n"}))
    assert report.diagnostics == ()
    assert report.bundle is not None
    held = next(each for each in report.bundle.keyword_lists if each.name == "incitement")
    assert (held.lanes, held.insist, held.patterns) == (("folded", "squeezed"), True, ("kill",))
