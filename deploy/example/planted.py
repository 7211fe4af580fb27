"""Make up the behaviours that the sample's data does not hold; every account here is `syn_…`.

Each function yields (milliseconds after the start, post) and shows one thing that the example
bundle looks for, or one thing that it must leave alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
OLD = -2_000 * DAY  # account ages, relative to the start of the sample
YOUNG = -9 * DAY

# Phrases and domains that the lists of the example bundle hold.
INCITEMENT = ("burn their houses down", "bring your rifles to the square", "hang them all")
HARASSMENT = ("subhuman trash", "go kill yourself", "nobody would miss you")
SPAM_DOMAINS = ("free-phones.example", "double-your-coins.example")
COMMON_PHRASE = "Happy birthday!"
NEWSROOM = "syn_newsroom"  # exempt account

Planted = Iterator[tuple[int, dict[str, Any] | bytes]]


def post(name: str, account: str, created: int = OLD, **fields: Any) -> dict[str, Any]:
    """Start a post of a made-up account; `created` is milliseconds after the sample's start."""
    return {
        "id": f"syn-{name}",
        "account": {"id": f"syn_{account}", "created_at": created, "followers": 40},
        **fields,
    }


def incitement() -> Planted:
    """One account incites twice, one hides it from plain search, one only reports it."""
    first, second, third = INCITEMENT
    yield 2 * HOUR, post("incite-1", "agitator", text=f"Tonight we {first}. Who is with me?")
    yield 3 * HOUR, post("incite-2", "agitator", text=f"{second.upper()}!!! All of you.")
    yield 26 * HOUR, post("incite-3", "agitator", text=f"I said {third} and I meant it")
    wide = "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in third)
    yield 5 * HOUR, post("incite-4", "wide_letters", text=f"you know what to do: {wide}")
    spaced = first.replace("burn", "b\u00adurn").replace("houses", "hou\u200bses")
    yield 6 * HOUR, post("incite-5", "zero_width", text=f"let us {spaced} tomorrow")
    quote = f'According to court documents, the accused had written "{second}" days before.'
    yield 7 * HOUR, post("quote-1", "reporter", text=quote, lang="en")
    yield 8 * HOUR, post("incite-6", "newsroom", text=f"Live: crowd chants '{third}' downtown")


def harassment() -> Planted:
    """One account climbs the ladder: warned, left in peace for the grace, locked, suspended."""
    one, two, three = HARASSMENT
    climb = [(0, one), (20 * MINUTE, two), (90 * MINUTE, three), (3 * HOUR, one)]
    climb += [(6 * HOUR, two), (9 * HOUR, three), (12 * HOUR, one), (30 * HOUR, two)]
    for step, (after, term) in enumerate(climb):
        text = f"@syn_target{step} {term}, I mean it"
        reply = {"reply_to": f"syn-target-{step}", "lang": "en"}
        yield HOUR + after, post(f"harass-{step}", "bully", text=text, **reply)
    yield 4 * HOUR, post("quote-2", "columnist", text=f'Police say she was told "{two}" daily.')
    once = post("harass-once", "hothead", text=f"{three.title()}. Seriously.")
    yield 10 * HOUR, once
    yield 10 * HOUR + 30 * SECOND, once  # the same post delivered again


def repentance() -> Planted:
    """Edits that make a post worse or better, and an offending post that its author deletes."""
    one, two, _ = HARASSMENT
    clean = post("edit-worse", "editor", text="lovely weather today")
    yield 11 * HOUR, clean
    worse = f"lovely weather today, {one}"
    yield 11 * HOUR + MINUTE, {**clean, "op": "edit", "revision": 1, "text": worse}
    harsh = post("edit-better", "softener", text=f"{two} please")
    yield 12 * HOUR, harsh
    yield 12 * HOUR + 5 * MINUTE, {**harsh, "op": "edit", "revision": 1, "text": "sorry, bad day"}
    for step, after in enumerate((0, 2 * HOUR)):
        regret = post(f"regret-{step}", "regretful", text=f"you are {one}")
        yield 13 * HOUR + after, regret
    for step in (0, 1):
        gone = {"id": f"syn-regret-{step}", "op": "delete", "account": {"id": "syn_regretful"}}
        yield 16 * HOUR + step * MINUTE, gone


def spam() -> Planted:
    """Listed domains: as a link, below a subdomain, in the text, and in odd spelling."""
    phones, coins = SPAM_DOMAINS
    links = [
        {"urls": [f"https://{phones}/claim?id=1"], "text": "They are giving them away"},
        {"urls": [f"https://promo.{phones}/x"]},
        {"text": f"I made 4,000 in a day: HTTPS://WWW.{coins.upper()}/join."},
        {"urls": [f"http://user@{coins}:80/a/../b"]},
    ]
    for step in range(12):
        account = f"spammer_{step % 4}"
        at = 14 * HOUR + step * 47 * MINUTE
        yield at, post(f"spam-{step}", account, YOUNG, **links[step % 4])


def flood() -> Planted:
    """One account posts 70 times in three minutes, another repeats one text, a third is brisk."""
    for step in range(70):
        text = f"breaking number {step}: {step * 7919 % 1_000} more reasons to look at this"
        yield 17 * HOUR + step * 2_500, post(f"flood-{step}", "flooder", text=text)
    for step in range(24):
        text = "Vote vote VOTE for the goldfish party"
        yield 18 * HOUR + step * 20 * SECOND, post(f"repeat-{step}", "parrot", text=text)
    for step in range(20):
        text = f"live ticker, minute {step}"
        yield 19 * HOUR + step * MINUTE, post(f"ticker-{step}", "ticker", text=text)


def copypasta() -> Planted:
    """Forty young accounts share one text within eight minutes; old ones and wishes stay out."""
    for step in range(40):
        mention, number = f"@friend{step}", 100 + step
        shout = "THE COUNT IS FAKE" if step % 2 else "the count is fake"
        text = f"{mention} {shout}, {number} boxes were swapped! https://syn{step}.example/p"
        at = 20 * HOUR + step * 11 * SECOND
        yield at, post(f"paste-{step}", f"paste_{step}", YOUNG + step * HOUR, text=text)
    for step in range(6):
        text = f"@friend the count is fake, {step} boxes were swapped! https://syn.example/p"
        yield 20 * HOUR + step * MINUTE, post(f"paste-old-{step}", f"veteran_{step}", text=text)
    for step in range(30):
        at = 21 * HOUR + step * 9 * SECOND
        yield at, post(f"wish-{step}", f"wisher_{step}", YOUNG, text=COMMON_PHRASE)


def one_device() -> Planted:
    """Twenty-five accounts run from one device over ten hours, ten more share a library's."""
    for step in range(25):
        client = {"device": "dev-syn-farm"}
        text = f"my honest opinion number {step} about the debate"
        at = 22 * HOUR + step * 24 * MINUTE
        yield at, post(f"farm-{step}", f"farm_{step}", YOUNG, text=text, client=client)
    for step in range(4):
        client = {"device": "dev-syn-library"}
        at = 22 * HOUR + step * HOUR
        yield at, post(f"reader-{step}", f"reader_{step}", text=f"day {step} here", client=client)


def brigade() -> Planted:
    """Fifteen accounts push one link within 45 seconds, in three spellings of the same URL."""
    spellings = (
        "https://petition.example/sign",
        "HTTPS://Petition.Example:443/sign",
        "https://petition.example/./sign#now",
    )
    for step in range(15):
        at = 36 * HOUR + step * 3 * SECOND
        url = spellings[step % 3]
        yield at, post(f"brigade-{step}", f"brigade_{step}", YOUNG, urls=[url])


def unreadable() -> Planted:
    """Lines that are no posts: each must become a dead letter with its bytes untouched."""
    lines = [
        b'{"id": "syn-broken", "account": {"id": "syn_broken"}, "text": "cut off he',
        b'{"id": "syn-no-account", "created_at": "2021-09-15T20:00:00Z", "text": "whose?"}',
        b'{"id": "syn-empty", "account": {"id": "syn_empty"}, "created_at": 1631736000000}',
        b'{"id": "syn-no-time", "account": {"id": "syn_no_time"}, "text": "when?"}',
        b'{"id": 18446744073709551616, "account": {"id": "syn_wide"}, "text": "which?"}',
        b'{"id": "syn-nan", "account": {"id": "syn_nan"}, "text": "x", "scores": {"a": NaN}}',
        b'{"id": "syn-bool", "account": {"id": true}, "text": "true is no id"}',
        b'{"id": "syn-latin", "account": {"id": "syn_latin"}, "text": "caf\xe9"}',
        b'{"id": "syn-half", "account": {"id": "syn_half"}, "text": "\\ud83d alone"}',
        b'{"id": "syn-deep", "extra": ' + b"[" * 40 + b"]" * 40 + b"}",
        b'["not", "a", "post"]',
    ]
    for step, line in enumerate(lines):
        yield 24 * HOUR + step * HOUR, line + b"\n"


def planted_lines(start_ms: int) -> Iterator[tuple[int, dict[str, Any] | bytes]]:
    """Yield (time in ms, post or raw line) of all behaviours, absolute from `start_ms`."""
    behaviours = (incitement, harassment, repentance, spam, flood, copypasta, one_device, brigade)
    for behaviour in (*behaviours, unreadable):
        for after, line in behaviour():
            at = start_ms + after
            yield at, line if isinstance(line, bytes) else _placed(line, start_ms, at)


def _placed(line: dict[str, Any], start_ms: int, at: int) -> dict[str, Any]:
    """Make the times of a planted post absolute, in the key order of the canonical form."""
    account = dict(line["account"])
    if "created_at" in account:
        account["created_at"] += start_ms
    head = {name: line[name] for name in ("id", "op", "revision") if name in line}
    rest = {name: value for name, value in line.items() if name not in (*head, "account")}
    return {**head, "account": account, "created_at": at, **rest}
