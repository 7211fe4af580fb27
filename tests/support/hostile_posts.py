"""Name records of the largest size that are meant to cost a reader of posts more than their size.

Each is (name, preset, bytes). What they attack stands in the name.
"""

from __future__ import annotations

from collections.abc import Iterator

from fastpath.spec import MAX_RECORD_BYTES

_POST = b'{"id":"1","account":{"id":"u"},"text":"t",%b}'
_TOOT = b'{"id":"1","account":{"id":"u"},"content":"%b","mentions":[%b]}'
_TWEET = b'{"data":{"id":"1","author_id":"%b","text":"t"},"includes":{"users":[%b]}}'
_TWEET_V1 = b'{"id_str":"1","user":{"id_str":"u"},"text":"%b"}'


def _filled(frame: bytes, unit: bytes, joint: bytes = b"") -> bytes:
    """Repeat a unit as often as the record has room for it."""
    room = MAX_RECORD_BYTES - len(frame) + 2
    return frame.replace(b"%b", joint.join([unit] * ((room + len(joint)) // len(unit + joint))), 1)


def hostile_posts() -> Iterator[tuple[str, str, bytes]]:
    """Yield every case."""
    size = MAX_RECORD_BYTES
    bare = {
        "open arrays": b"[" * size,
        "open objects": b'{"a":' * (size // 5),
        "quotes": b'"' * size,
        "backslashes": b"\\" * size,
        "blanks": b" " * size,
        "digits": b"1" * size,
        "zeros": b"\0" * size,
        "continuations": b"\x80" * size,
        "string without end": b'{"id":"' + b"x" * (size - 7),
        "escapes without end": b'{"id":"' + b"\\\\" * (size // 2 - 4),
    }
    yield from ((name, "generic", value) for name, value in bare.items())
    members = {
        "quotes in text": (b'"x":"%b"', b'\\"', b""),
        "surrogate pairs": (b'"x":"%b"', b"\\ud83d\\ude00", b""),
        "nuls": (b'"lang":"%b"', b"\\u0000", b""),
        "four-byte letters": (b'"lang":"%b"', b"\xf0\x9f\x98\x80", b""),
        "empty strings": (b'"urls":[%b]', b'""', b","),
        "escaped strings": (b'"urls":[%b]', b'"\\n"', b","),
        "empty media": (b'"media":[%b]', b"{}", b","),
        "empty media beside a key that repeats": (b'"y":1,"y":1,"media":[%b]', b"{}", b","),
        "empty media under a text that repeats": (b'"text":"u","media":[%b]', b"{}", b","),
        "media of nulls": (b'"media":[%b]', b"null", b","),
        "one-digit numbers": (b'"x":[%b]', b"1", b","),
        "blanks between": (b'"x":[%b]', b"1   \n\t ", b","),
        "empty arrays": (b'"x":[%b]', b"[]", b","),
        "one unread key": (b"%b", b'"x":1', b","),
        "keys with one beginning": (b"%b", b'"accountx":1', b","),
        "keys of nothing": (b"%b", b'"":1', b","),
        "nested to the limit": (b'"x":[%b]', b"[" * 20 + b"]" * 20, b","),
        "exponents": (b'"x":[%b]', b"1e99", b","),
    }
    for name, (frame, unit, joint) in members.items():
        yield name, "generic", _filled(_POST.replace(b"%b", frame, 1), unit, joint)
    scores = b",".join(b'"%05x":1' % number for number in range(size // 11))
    yield "scores", "generic", _POST % (b'"scores":{%b}' % scores)[: size - 60]
    half = size // 2 - 100
    link = b"<a href=x>"
    mention = b'{"url":"y"}'
    pairs = _TOOT % (link * (half // 10), b",".join([mention] * (half // 12)))
    yield "links times mentions", "mastodon", pairs
    yield (
        "links times escaped mentions", "mastodon",
        _TOOT % (link * (half // 10), b",".join([b'{"url":"\\n"}'] * (half // 13))),
    )  # fmt: skip
    for name, unit in {
        "tags without end": b"<a",
        "attributes": b"<a href=",
        "opened": b"<",
        "closed": b"</p>",
        "references": b"&amp;",
        "references without end": b"&#1",
        "ampersands": b"&",
        "hrefs": b" href",
    }.items():
        yield name, "mastodon", _TOOT % (b"<a " + unit * ((size - 90) // len(unit)), b"")
    each_its_own = b"".join(b"&#%d" % (1_000_000 + n) for n in range((size - 90) // 9))
    yield "references each of its own", "mastodon", _TOOT % (b"<a " + each_its_own, b"")
    unknown = b"".join(b"&a%05d%b" % (n, b"x" * 26) for n in range((size - 90) // 33))
    yield "names each of its own", "mastodon", _TOOT % (b"<a " + unknown, b"")
    yield "references of a tweet", "twitter_v1", _filled(_TWEET_V1, b"&lt;")
    user = b'{"id":"0"}'
    yield (
        "an escaped author times users", "twitter_v2",
        _TWEET % (b"\\n" * (half // 2), b",".join([user] * (half // 11))),
    )  # fmt: skip
    inner = b'{\\"id\\":\\"1\\",\\"account\\":{\\"id\\":\\"u\\"},\\"content\\":\\"%b\\"}'
    payload = b'{"event":"update","payload":"%b"}' % inner
    yield "a payload of escapes", "mastodon", _filled(payload, b"\\\\n")
