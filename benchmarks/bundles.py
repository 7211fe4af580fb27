"""Write policy bundles of a stated size, the same bytes for the same description.

The bundle is an ordinary one: `screen` builds its core from it, `drain-screen` runs `weir run` on
it. Entries of its lists occur in the posts of `corpora.posts`.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any

from benchmarks import corpora
from fastpath.simhash import simhash_of

ROOT_FILE = """\
name: benchmark
revision: 1
enforcement: live
lists:
  words:   {{kind: keyword, file: words.txt, lanes: [folded], boundary: word}}
  images:  {{kind: sha256, file: images.txt}}
  links:   {{kind: url, file: links.txt}}
  domains: {{kind: domain, file: domains.txt}}
{simhash_list}windows:
  posts_1m:    {{per: account, count: posts, over: 60s}}
  posts_1h:    {{per: account, count: posts, over: 1h}}
  links_10m:   {{per: account, count: links, over: 10m}}
  targets_10m: {{per: account, count: distinct_targets, over: 10m}}
  repeats_10m: {{per: account, count: repeated_texts, over: 10m}}
  repeats_24h: {{per: account, count: repeated_texts, over: 24h}}
  copies_10m:  {{per: text, count: distinct_accounts, over: 10m}}
  links_1m:    {{per: url, count: distinct_accounts, over: 60s}}
ladders:
  default:
    strike_ttl: 90d
    steps: [{{at: 1, do: warn}}, {{at: 3, do: lock, for: 12h}}]
policies:
  content:
    ladder: default
    clause: https://example.org/rules#content
    rules:
      - {{id: words, on: post, when: matches.words.any, post_action: remove, strikes: 1}}
      - {{id: images, on: post, when: matches.images.any, post_action: remove, strikes: 1}}
      - {{id: links, on: post, when: matches.links.any, post_action: limit, strikes: 1}}
      - {{id: domains, on: post, when: "matches.domains.any && account.age_days < 400",
         post_action: limit}}
{simhash_rule}  flooding:
    ladder: default
    clause: https://example.org/rules#flooding
    rules:
      - {{id: flood, on: post, when: windows.posts_1m > {flood}, post_action: limit, strikes: 1}}
      - {{id: hour, on: post, when: "windows.posts_1h > {hour} && windows.links_10m > 40",
         post_action: limit}}
      - {{id: targets, on: post, when: windows.targets_10m > 60, post_action: label}}
      - {{id: parrot, on: post, when: "windows.repeats_10m >= 8 || windows.repeats_24h >= 20",
         post_action: limit, strikes: 1}}
  coordination:
    ladder: default
    clause: https://example.org/rules#coordination
    rules:
      - {{id: copies, on: campaign, of: text, when: windows.copies_10m >= 20, post_action: limit}}
      - {{id: brigade, on: campaign, of: url, when: windows.links_1m >= 20, post_action: limit}}
"""
SIMHASH_LIST = "  texts:   {kind: simhash, file: texts.txt, radius: 3}\n"
SIMHASH_RULE = "      - {id: texts, on: post, when: matches.texts.any, post_action: label}\n"


def write(folder: Path, patterns: Mapping[str, Any]) -> Path:
    """Write a bundle with `words`, `images`, `links`, `domains` and `texts` entries each."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = patterns.get("texts", 0)
    root = ROOT_FILE.format(
        simhash_list=SIMHASH_LIST if texts else "",
        simhash_rule=SIMHASH_RULE if texts else "",
        flood=patterns["flood"],
        hour=patterns["hour"],
    )
    (folder / "bundle.yaml").write_text(root, encoding="utf-8")
    _write(folder / "words.txt", corpora.patterns(patterns["seed"], patterns["words"]))
    for name, entry in corpora.LISTED.items():
        _write(folder / f"{name}.txt", map(entry, range(patterns[name])))
    if texts:
        (folder / "texts.txt").write_bytes(known_texts(patterns).read_bytes())
    return folder


def known_texts(patterns: Mapping[str, Any]) -> Path:
    """Return a file of SimHashes: one in 500 is of a text of the corpus, the rest are uniform."""
    seed, posts_seed, count = patterns["seed"], patterns["posts_seed"], patterns["texts"]
    what = {"simhashes": count, "seed": seed, "posts_seed": posts_seed}

    def hashes() -> Iterator[bytes]:
        chance = random.Random(seed)
        texts = islice(corpora.spliced(posts_seed), 0, None, 200)
        of_posts = filter(None, map(simhash_of, texts))
        uniform = iter(lambda: chance.getrandbits(64) | 1, None)
        chosen = islice(chain(islice(of_posts, count // 500), uniform), count)
        return (b"%016x" % each for each in dict.fromkeys(chosen))

    return corpora.kept(what, ".simhashes", lambda path: corpora.write_lines(path, hashes()))


def _write(path: Path, entries: Iterable[str]) -> None:
    corpora.write_lines(path, (entry.encode() for entry in entries))
