"""Every diagnostic as people read it: one recorded text per mistake."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.bundles import write_bundle
from worker.policy.bundle import check_bundle
from worker.policy.render import render_diagnostics


class Case(NamedTuple):
    changes: Mapping[str, str] = {}
    files: Mapping[str, str | bytes | None] = {}


WHEN = '"matches.incitement.count >= 1 && !matches.news_quote.any"'
COPIES = "when: windows.copies_10m >= 20"
STEPS = "- {at: 1, do: warn}"
DIGEST = "ab" * 32


def when(condition: str) -> Case:
    return Case({WHEN: condition})


def campaign(condition: str) -> Case:
    return Case({COPIES: "when: " + condition})


def listed(name: str, content: str | bytes) -> Case:
    return Case(files={f"lists/{name}": content})


INCITEMENT = "{kind: keyword, file: lists/incitement.txt, lanes: [folded], boundary: word}"
COPY = "meet us at 10:30 at the hall and bring all of your friends"


def pdq(setting: str, content: str = f"pdq,quality\n{DIGEST},80\n") -> Case:
    changes = {"kind: sha256": f"kind: pdq, {setting}"}
    return Case(changes, {"lists/images.csv": content})


def simhash(setting: str, content: str) -> Case:
    changes = {
        "images: {kind: sha256, file: lists/images.csv": (
            f"images: {{kind: simhash, {setting}, file: lists/texts.txt"
        )
    }
    return Case(changes, {"lists/texts.txt": content})


CASES = {
    # Entries that are valid and probably not meant
    "domain-suffix": listed("domains.txt", "co.uk\ngithub.io\nevil.co.uk\n"),
    "domain-covered": listed("domains.txt", "a.b.evil.example\nevil.example\n"),
    # YAML
    "yaml-bracket": Case({"[folded]": "[folded"}),
    "yaml-colon": Case({"posts, over: 60s": "posts, over: 60s: 1"}),
    "yaml-quote": when('"matches.incitement.any'),
    "yaml-tab": Case({"revision: 7": "\trevision: 7"}),
    "yaml-twice": Case({"revision: 7": "revision: 7\nname: again"}),
    "yaml-tag": Case({"revision: 7": "revision: !eight 8"}),
    "yaml-bang": when("!matches.incitement.any && flags.late"),
    "yaml-alias": Case({"revision: 7": "revision: *other"}),
    "yaml-key": Case({"revision: 7": "revision: 7\n8: x"}),
    "yaml-control": Case({"revision: 7": "revision: \x07"}),
    "yaml-empty": Case(files={"bundle.yaml": ""}),
    "yaml-list": Case(files={"bundle.yaml": "- name: x\n"}),
    "yaml-latin1": Case(files={"bundle.yaml": b"name: caf\xe9\n"}),
    "yaml-deep": Case(files={"bundle.yaml": "a: " + "[" * 80 + "]" * 80}),
    "bundle-missing": Case(files={"bundle.yaml": None}),
    # schema
    "unknown-key": Case({"enforcement: live": "enforcment: live"}),
    "unknown-key-nested": Case({"    warn_grace: 1h": "    warn_gracee: 1h"}),
    "unknown-key-rule": Case(
        {"post_action: limit\n        strikes: 1\n  c": "action: limit\n        strikes: 1\n  c"}
    ),
    "missing-key": Case({"name: platform-safety\n": ""}),
    "missing-key-rule": Case({f"        when: {WHEN}\n": ""}),
    "type-text": Case({"name: platform-safety": "name: 12"}),
    "type-number": Case({"revision: 7": 'revision: "7"'}),
    "type-bool": Case({"severe: true": 'severe: "yes"'}),
    "type-mapping": Case(
        {"limits: {suspend_per_hour: 500, remove_per_hour: 20000}": "limits: none"}
    ),
    "type-list": Case({"lanes: [folded]": "lanes: folded"}),
    "value-missing": Case({"revision: 7": "revision:"}),
    "number-low": Case({"revision: 7": "revision: 0"}),
    "number-negative": Case({"suspend_per_hour: 500": "suspend_per_hour: -1"}),
    "choice": Case({"enforcement: live": "enforcement: lve"}),
    "choice-action": Case({"post_action: review": "post_action: suspend"}),
    "radius-exact": Case({"kind: sha256": "kind: sha256, radius: 3"}),
    "radius-far": pdq("radius: 32"),
    "radius-negative": pdq("radius: -1"),
    "quality-kind": Case({"kind: sha256": "kind: sha256, min_quality: 50"}),
    "quality-high": pdq("min_quality: 101"),
    "pdq-plain": pdq("min_quality: 60", f"pdq,quality\n{DIGEST},59\n{'cd' * 32},60\n"),
    "pdq-quality": pdq("radius: 31", f"pdq,quality\n{DIGEST},good\n"),
    "url-covered": listed("links.txt", "https://evil.example/a\nhttps://evil.example/a?b=c\n"),
    "pdq-short": pdq("radius: 31", f"pdq\n{DIGEST[:-2]}\n"),
    "simhash-far": simhash("radius: 8", "0123456789abcdef\n"),
    "simhash-short": simhash("radius: 3", "storm the hall now\n"),
    "simhash-none": simhash("radius: 3", "0000000000000000\n"),
    "simhash-twice": simhash("radius: 3", f"{COPY}\n{COPY.replace('10:30', '9:15').upper()}\n"),
    "lane": Case({"lanes: [folded]": "lanes: [folded, skelton]"}),
    "name-of-list": Case({"  bad_links: {": "  bad-links: {"}),
    "name-of-policy": Case({"  flooding:": "  Flood ing:"}),
    "name-of-rule": Case({"id: flood\n": "id: Flood!\n"}),
    "duration": Case({"strike_ttl: 90d": "strike_ttl: 90 days"}),
    "duration-number": Case({"cooldown: 10m": "cooldown: 600"}),
    "duration-range": Case({"cooldown: 10m": "cooldown: 0s"}),
    "window-short": Case({"over: 60s": "over: 5s"}),
    "window-long": Case({"over: 60s": "over: 400d"}),
    "window-ticks": Case({"over: 60s": "over: 8001ms"}),
    "several": Case({"enforcement: live": "enforcment: live", "revision: 7": "revision: x"}),
    # references and meaning
    "ladder-unknown": Case({"    ladder: default\n    cooldown: 10m": "    ladder: defualt\n"}),
    "window-account-distinct": Case({"count: posts": "count: distinct_accounts"}),
    "window-text-posts": Case(
        {"copies_10m: {per: text, count: distinct_accounts": "copies_10m: {per: text, count: posts"}
    ),
    "lanes-of-domains": Case({"kind: domain,": "kind: domain, lanes: [raw],"}),
    "lanes-without-folded": Case({"lanes: [folded]": "lanes: [raw, squeezed]"}),
    "squeezed-short": Case(
        {"lanes: [folded]": "lanes: [folded, squeezed]"},
        {"lists/incitement.txt": "burn it\nkill\nк и л л\n"},
    ),
    "skeleton-long": Case(
        {"lanes: [folded]": "lanes: [folded, skeleton]"}, {"lists/incitement.txt": "m" * 600}
    ),
    "insist-unsqueezed": Case({"lanes: [folded]": "lanes: [folded], insist: true"}),
    "insist-domains": Case({"kind: domain,": "kind: domain, insist: true,"}),
    "lanes-twice": Case({"lanes: [folded]": "lanes: [folded, folded]"}),
    "steps-order": Case({"at: 4, do: lock": "at: 2, do: lock"}),
    "step-warn-for": Case({STEPS: "- {at: 1, do: warn, for: 1h}"}),
    "step-suspend-until": Case({"do: suspend": "do: suspend, until: post_deleted"}),
    "step-lock-endless": Case({"do: lock, for: 7d": "do: lock"}),
    "ladder-unwarned": Case({f"      {STEPS}\n": ""}),
    "strikes-unladdered": Case({"    ladder: default\n    severe: true\n": "    severe: true\n"}),
    "ground-illegal": Case({"    severe: true": "    severe: true\n    ground: illegal"}),
    "ground-terms": Case({"    severe: true": "    severe: true\n    legal_ground: StGB 130"}),
    "rule-twice": Case({"id: images": "id: incitement"}),
    "rule-idle": Case(
        {"when: windows.device_24h > 5, post_action: review": "when: windows.device_24h > 5"}
    ),
    "post-of": Case({"id: flood\n": "id: flood\n        of: text\n"}),
    "campaign-untyped": Case({"of: device, ": ""}),
    "campaign-ungated": Case({"of: device, ": "of: device, ungated: true, "}),
    "unread": when("windows.posts_1m > 2"),
    # conditions
    "cel-name": when('"matches.incitment.count >= 1"'),
    "cel-name-late": when('"matches.incitement.any && account.age_day < 3"'),
    "cel-name-half": when("matches.incitement"),
    "cel-name-suffix": when("matches.incitement.some"),
    "cel-name-far": when("weather == 'fine'"),
    "cel-flag": when("flags.lates && matches.incitement.any"),
    "cel-function": when("sise(post.urls) > 2"),
    "cel-arity": when("size(post.urls, 2) > 2"),
    "cel-type": when('"matches.incitement.count >= ' + "'1'" + '"'),
    "cel-type-double": when("windows.posts_1m > 1.5"),
    "cel-type-score": when("scores.toxicity > 1"),
    "cel-type-not": when('"!matches.incitement.count"'),
    "cel-type-and": when("matches.incitement.count && matches.news_quote.any"),
    "cel-method": when("post.text_length.startsWith('x')"),
    "cel-int": when("windows.posts_1m"),
    "cel-end": when('"windows.posts_1m > 3 &&"'),
    "cel-equals": when("post.lang = 'en'"),
    "cel-and": when("windows.posts_1m > 3 and matches.incitement.any"),
    "cel-token": when("windows.posts_1m > 3 § 4"),
    "cel-range": when("windows.posts_1m > 99999999999999999999"),
    "cel-pattern": when(r"flags.late && post.text.matches('[a-')"),
    "cel-deep": when("(" * 70 + "flags.late" + ")" * 70),
    "cel-nested": when("!(" * 15 + "flags.late" + ")" * 15),
    "cel-single-quoted": when("'post.lang == ''en'' && windows.posts > 3'"),
    "cel-escapes": when(r'"post.text == \"\u00fc\" && windows.posts > 3"'),
    "cel-folded": when(">-\n          windows.posts_1m > 3\n          && windows.posts > 3"),
    "cel-literal": when("|\n          windows.posts_1m > 3 &&\n            windows.posts > 3\n"),
    "cel-plain-lines": when("windows.posts_1m > 3 &&\n          windows.posts > 3"),
    "cel-wide": when("\"post.text == '投稿の本文' && windows.posts > 3\""),
    "post-reads-campaign": when("windows.copies_10m > 3"),
    "ungated": when("post.text.contains('x')"),
    "ungated-least": when("windows.posts_1m >= 0"),
    "ungated-needless": Case({"id: flood\n": "id: flood\n        ungated: true\n"}),
    "never": when("windows.posts_1m < 0 && matches.incitement.any && matches.news_quote.any"),
    "campaign-reads-post": campaign("windows.posts_1m > 3"),
    "campaign-falling": campaign("windows.copies_10m < 20"),
    "campaign-equal": campaign("windows.copies_10m == 20"),
    "campaign-not": campaign('"!(windows.copies_10m >= 20)"'),
    "campaign-two": campaign("windows.copies_10m > fingerprint.sightings"),
    "campaign-computed": campaign("windows.copies_10m % 2 > 0"),
    "campaign-unwindowed": campaign("fingerprint.sightings > 3"),
    "campaign-lengths": campaign("windows.copies_10m > 3 && windows.copies_1h > 9"),
    "campaign-type": campaign("windows.device_24h > 3"),
    "members-window": Case({"account.age_days < 30": "windows.copies_10m > 3"}),
    "members-type": Case({"account.age_days < 30": "account.age_days"}),
    # lists
    "list-missing": Case(files={"lists/domains.txt": None}),
    "list-folder": Case({"file: lists/domains.txt": "file: list/domains.txt"}),
    "list-outside": Case({"file: lists/domains.txt": "file: ../domains.txt"}),
    "list-latin1": listed("incitement.txt", b"fine\ncaf\xe9\n"),
    "list-empty": listed("news_quote.txt", "# nothing yet\n\n"),
    "list-twice": listed("incitement.txt", "Burn it down\nstorm it\nburn it DOWN\n"),
    "list-folds-away": listed("incitement.txt", "storm it\n\u200d\u200d\n"),
    "list-long": listed("incitement.txt", "x" * 1_100 + "\n"),
    "list-csv": Case({"file: lists/news_quote.txt": "file: lists/images.csv"}),
    "list-options": Case(
        {"spam_domains: {kind: domain,": "spam_domains: {kind: domain, report: all,"}
    ),
    "list-report": Case({"boundary: word}": "boundary: word, report: longest}"}),
    "list-exceptions": Case({"boundary: word}": "boundary: word, exceptions: lists/no.txt}"}),
    "list-spaces": listed("incitement.txt", "burn it down\nburn \t it  down\n"),
    "entry-lanes": Case(
        {
            "file: lists/incitement.txt,": "file: lists/incitement.csv,",
            "lanes: [folded],": "lanes: [folded, squeezed],",
        },
        {
            "lists/incitement.csv": "keyword,lanes\nburn it down,squeezed\nriot,folded raw\n"
            "kill,\nmob,folded\n"
        },
    ),
    "regex-wrong": Case(
        {INCITEMENT: "{kind: regex, file: lists/incitement.txt}"},
        {"lists/incitement.txt": "burn (it|them)\n(?=a)storm\n  [a-z]+\nKill\nb*\n"},
    ),
    "regex-options": Case(
        {
            "lanes: [folded], boundary: word}": "lanes: [folded, raw], boundary: word}",
            "incitement: {kind: keyword": "incitement: {kind: regex",
        },
    ),
    "regex-ungated": Case(
        {INCITEMENT: "{kind: regex, file: lists/incitement.txt, ungated: true}"},
        {"lists/incitement.txt": "burn (it|them) down\n"},
    ),
    "ungated-keywords": Case({"boundary: word}": "boundary: word, ungated: true}"}),
    "csv-column": listed("images.csv", f"hash,source\n{DIGEST},desk\n"),
    "csv-headless": listed("images.csv", "# nothing\n"),
    "csv-quote": listed("images.csv", f'sha256\n{DIGEST}\n"{DIGEST}\n'),
    "digest-hex": listed("images.csv", f"sha256\n{DIGEST[:-1]}g\n"),
    "digest-md5": listed("images.csv", f"sha256\n{DIGEST[:32]}\n"),
    "digest-short": listed("images.csv", f"source,sha256\ndesk,{DIGEST[:-1]}\n"),
    "digest-twice": listed("images.csv", f"sha256\n{DIGEST}\n{DIGEST.upper()}\n"),
    "domain-url": listed("domains.txt", "evil.example\nhttps://worse.example/path\n"),
    "domain-star": listed("domains.txt", "*.evil.example\n"),
    "domain-space": listed("domains.txt", "evil example\n"),
    "domain-single": listed("domains.txt", "com\n"),
    "domain-twice": listed("domains.txt", "evil.example\nEvil.Example\n"),
    "url-scheme": listed("links.txt", "evil.example/a\n"),
    "url-space": listed("links.txt", "https://evil.example/a b\n"),
    "url-twice": listed("links.txt", "https://evil.example/%61\nHTTPS://EVIL.example:443/a#x\n"),
    "account-long": listed("exempt.txt", "x" * 300 + "\n"),
    "many-errors": listed("domains.txt", "no domain\n" * 30),
}


@pytest.mark.parametrize("name", CASES)
def test_diagnostic_reads_as_recorded(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    golden: Callable[[str, str], None],
) -> None:
    monkeypatch.chdir(tmp_path)
    case = CASES[name]
    write_bundle(tmp_path / "bundle", case.changes, case.files)

    report = check_bundle(Path("bundle"))

    assert report.diagnostics or report.warnings, "the mistake went unnoticed"
    assert (report.bundle is None) is bool(report.diagnostics)
    parts = [render_diagnostics(report.diagnostics)] if report.diagnostics else []
    if report.warnings:
        parts.append(render_diagnostics(report.warnings, "warning"))
    golden(f"diagnostics/{name}.txt", "\n\n".join(parts) + "\n")


def test_every_recorded_text_belongs_to_a_case() -> None:
    recorded = {path.stem for path in (Path(__file__).parent / "diagnostics").glob("*.txt")}
    assert recorded == set(CASES)
