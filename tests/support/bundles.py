"""Write small bundles for tests: one that is right, and that one with a change."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

BUNDLE = """\
name: platform-safety
revision: 7
enforcement: live
exempt: {accounts: lists/exempt.txt, phrases: lists/phrases.txt}
lists:
  incitement: {kind: keyword, file: lists/incitement.txt, lanes: [folded], boundary: word}
  news_quote: {kind: keyword, file: lists/news_quote.txt}
  spam_domains: {kind: domain, file: lists/domains.txt}
  bad_links: {kind: url, file: lists/links.txt}
  images: {kind: sha256, file: lists/images.csv}
windows:
  posts_1m: {per: account, count: posts, over: 60s}
  copies_10m: {per: text, count: distinct_accounts, over: 10m}
  copies_1h: {per: text, count: distinct_accounts, over: 1h}
  device_24h: {per: device, count: distinct_accounts, over: 24h}
ladders:
  default:
    strike_ttl: 90d
    warn_grace: 1h
    steps:
      - {at: 1, do: warn}
      - {at: 2, do: lock, for: 12h, until: post_deleted}
      - {at: 4, do: lock, for: 7d}
      - {at: 5, do: suspend}
policies:
  violence:
    ladder: default
    severe: true
    clause: https://example.org/rules#violence
    rules:
      - id: incitement
        on: post
        when: "matches.incitement.count >= 1 && !matches.news_quote.any"
        post_action: remove
        strikes: 3
      - id: images
        on: post
        when: matches.images.any || matches.bad_links.any
        post_action: remove
  flooding:
    ladder: default
    cooldown: 10m
    clause: https://example.org/rules#spam
    rules:
      - id: flood
        on: post
        when: windows.posts_1m > 30 || matches.spam_domains.any
        post_action: limit
        strikes: 1
  coordination:
    ladder: default
    clause: https://example.org/rules#coordination
    rules:
      - id: copypasta
        on: campaign
        of: text
        when: windows.copies_10m >= 20
        members: account.age_days < 30
        post_action: limit
        strikes: 1
      - {id: farm, on: campaign, of: device, when: windows.device_24h > 5, post_action: review}
      - {id: slow, on: campaign, of: text, when: windows.copies_1h > 50, post_action: label}
limits: {suspend_per_hour: 500, remove_per_hour: 20000}
"""

LISTS = {
    "lists/exempt.txt": "newsroom\n",
    "lists/phrases.txt": "happy new year\n",
    "lists/incitement.txt": "# what calls for violence\nstorm the hall\nburn it down\n",
    "lists/news_quote.txt": "police said\n",
    "lists/domains.txt": "evil.example\n",
    "lists/links.txt": "https://evil.example/a\n",
    "lists/images.csv": "sha256,source\n" + "ab" * 32 + ",desk\n",
}


def write_bundle(
    folder: Path,
    changes: Mapping[str, str] | None = None,
    files: Mapping[str, str | bytes | None] | None = None,
) -> Path:
    """Write the bundle with texts of bundle.yaml replaced and files changed (None: left out)."""
    text = BUNDLE
    for old, new in (changes or {}).items():
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in the bundle"
        text = text.replace(old, new)
    contents: dict[str, str | bytes | None] = {"bundle.yaml": text, **LISTS, **(files or {})}
    for name, content in contents.items():
        if content is None:
            continue
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder
