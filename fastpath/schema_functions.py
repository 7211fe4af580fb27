"""Read what other post schemas write in their own way: dates, HTML, at-URIs, CIDs, revisions.

Each function takes, for each of its arguments, the values found there, and returns values for the
target field. What it cannot read it hands on unchanged, so that the check of the field refuses it
by name; the few that are allowed to find nothing say so.
"""

from __future__ import annotations

import base64
import binascii
import html
import html.entities
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple

from fastpath.rfc3339 import epoch_ms

Values = list[object]
SchemaFunction = Callable[[list[Values]], Values]

_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_TWITTER_TIME = re.compile(
    r"[A-Z][a-z]{2} ([A-Z][a-z]{2}) ([0-9]{2}) ([0-9]{2}:[0-9]{2}:[0-9]{2}) "
    r"([+-][0-9]{2})([0-9]{2}) ([0-9]{4})"
)
# Revisions of streams that number nothing count seconds from here: they fit 31 bits until 2078.
_REVISION_START_S = 1_262_304_000  # 2010-01-01T00:00:00Z
_TID_ALPHABET = "234567abcdefghijklmnopqrstuvwxyz"
_CID_SHA256 = b"\x01\x55\x12\x20"  # CIDv1, raw bytes, sha2-256, 32 bytes follow
# No `<` inside a tag, so that a text of `<` alone costs linear time.
_TAG = re.compile(r"<(/?)([A-Za-z!?][^\s<>/]*+)([^<>]*+)>")
_HREF = re.compile(r"""(?:^|\s)href\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE)
# At most seven digits that count: more is no code point, and int() refuses thousands of digits.
_ENTITY = re.compile(
    r"&(?:#0*([0-9]{1,7})|#[xX]0*([0-9A-Fa-f]{1,6})|([A-Za-z][A-Za-z0-9]{1,31}));?"
)
# Longest name that may stand without a semicolon, with its ampersand.
_OPEN_NAME = 1 + max(len(name) for name in html.entities.html5 if not name.endswith(";"))
_LINE_ENDS = frozenset({"br", "p", "div", "li", "blockquote", "pre"})


class Condition(NamedTuple):
    """Hold an argument of the form `pointer=value`; without `=value` presence is enough."""

    values: Values
    equals: str | None

    def holds(self) -> bool:
        """Say whether the first value found equals the one asked for."""
        return bool(self.values) and (self.equals is None or self.values[0] == self.equals)


def at_uri(arguments: list[Values]) -> Values:
    """Join did, collection and record key to at://did/collection/rkey; nothing if one is absent."""
    parts = [values[0] for values in arguments if values]
    if len(parts) < len(arguments) or not all(isinstance(part, str) and part for part in parts):
        return []
    return ["at://" + "/".join(str(part) for part in parts)]


def twitter_time(arguments: list[Values]) -> Values:
    """Read `Wed Oct 10 20:19:24 +0000 2018`."""
    return [_twitter_time(value) for value in arguments[0]]


def _twitter_time(value: object) -> object:
    found = _TWITTER_TIME.fullmatch(value) if isinstance(value, str) else None
    if found is None or found.group(1) not in _MONTHS:
        return value
    _, day, clock, hours, minutes, year = found.groups()
    month = _MONTHS.index(found.group(1)) + 1
    time = epoch_ms(f"{year}-{month:02}-{day}T{clock}{hours}:{minutes}")
    return value if time is None else time


def epoch_milliseconds(arguments: list[Values]) -> Values:
    """Read epoch milliseconds, which some streams write as a string of digits."""
    return [_whole(value) for value in arguments[0]]


def epoch_seconds(arguments: list[Values]) -> Values:
    """Read epoch seconds."""
    return [v * 1_000 if type(v) is int else v for v in map(_whole, arguments[0])]


def epoch_microseconds(arguments: list[Values]) -> Values:
    """Read epoch microseconds."""
    return [v // 1_000 if type(v) is int else v for v in map(_whole, arguments[0])]


def _whole(value: object) -> object:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 18:
        return int(value)
    return value


def readable_time(arguments: list[Values]) -> Values:
    """Take RFC 3339 times; nothing for any other value, so that the next source is asked.

    For times that the author of a post writes and no server checks.
    """
    return [v for v in arguments[0] if isinstance(v, str) and epoch_ms(v) is not None]


def html_entities(arguments: list[Values]) -> Values:
    """Decode character references in text that is otherwise plain, as Twitter's is."""
    return [decode_entities(v) if isinstance(v, str) else v for v in arguments[0]]


def html_text(arguments: list[Values]) -> Values:
    """Strip tags from HTML and decode its entities; plain texts of later arguments come first."""
    marked_up = [value for value in arguments[0] if value is not None]
    plain = [v for values in arguments[1:] for v in values if isinstance(v, str) and v]
    if not marked_up:
        return ["\n".join(str(text) for text in plain)] if plain else []
    if not isinstance(marked_up[0], str):
        return marked_up
    return ["\n".join([*(str(text) for text in plain), _strip(marked_up[0])])]


def _strip(markup: str) -> str:
    return decode_entities(_TAG.sub(_line_end, markup)).strip("\n")


def _line_end(tag: re.Match[str]) -> str:
    name = tag.group(2).lower()
    ends = name in _LINE_ENDS and (tag.group(1) == "/" or name == "br")
    return "\n" if ends else ""


def decode_entities(text: str) -> str:
    """Decode the character references of HTML 5 in linear time, whatever the text holds."""
    if "&" not in text:
        return text
    pieces = text.split("&")
    kinds = set(pieces[1:])
    if 2 * len(kinds) > len(pieces):
        return _ENTITY.sub(_character, text)
    # A record may hold 87,000 references and little else; each kind is read once.
    decoded = {piece: _ENTITY.sub(_character, "&" + piece) for piece in kinds}
    return pieces[0] + "".join([decoded[piece] for piece in pieces[1:]])


def _character(reference: re.Match[str]) -> str:
    decimal, hexadecimal, name = reference.groups()
    if name is not None:
        return _named(reference.group())
    number = int(decimal) if decimal is not None else int(hexadecimal, 16)
    if 0x20 <= number < 0x7F or 0xA0 <= number < 0xD800:
        return chr(number)
    if 0x10000 <= number < 0x110000 and number & 0xFFFE != 0xFFFE:
        return chr(number)
    return _odd_character(min(number, 0x110000))


def _named(reference: str) -> str:
    """Read a name, or the longest beginning that HTML takes without a semicolon."""
    if reference[1:] in html.entities.html5:
        return html.entities.html5[reference[1:]]
    return html.unescape(reference[:_OPEN_NAME]) + reference[_OPEN_NAME:]


@lru_cache(maxsize=16_384)  # there are no more
def _odd_character(number: int) -> str:
    """Read a number that HTML may want read as another character, or as none."""
    return html.unescape(f"&#{number};")


def html_links(arguments: list[Values]) -> Values:
    """Take the targets of links in HTML, except URLs that later arguments list (mentions, tags)."""
    known = {value for values in arguments[1:] for value in values if isinstance(value, str)}
    links: Values = []
    for markup in arguments[0]:
        for tag in _TAG.finditer(markup) if isinstance(markup, str) else ():
            href = _HREF.search(tag[3]) if tag[2] in ("a", "A") else None
            if href is None or href.lastindex is None:
                continue
            link = decode_entities(href[href.lastindex]).strip()
            if link and link not in known:
                links.append(link)
    return links


def cid_sha256(arguments: list[Values]) -> Values:
    """Take the SHA-256 out of CIDv1 strings of raw blobs; nothing for CIDs of another kind."""
    return [digest for value in arguments[0] if (digest := _cid_sha256(value)) is not None]


def _cid_sha256(value: object) -> str | None:
    if not isinstance(value, str) or not value.startswith("b") or len(value) > 80:
        return None
    digits = value[1:].upper()
    try:
        image = base64.b32decode(digits + "=" * (-len(digits) % 8))
    except (binascii.Error, ValueError):
        return None
    if len(image) != 36 or not image.startswith(_CID_SHA256):
        return None
    return image[4:].hex()


def tid_revision(arguments: list[Values]) -> Values:
    """Number a revision by the time in an atproto TID: seconds since 2010, growing."""
    return [_tid_revision(value) for value in arguments[0]]


def _tid_revision(value: object) -> object:
    if not isinstance(value, str) or len(value) != 13 or set(value) - set(_TID_ALPHABET):
        return value
    number = 0
    for digit in value:
        number = number * 32 + _TID_ALPHABET.index(digit)
    return _seconds_since_start((number >> 10) // 1_000_000)


def time_revision(arguments: list[Values]) -> Values:
    """Number a revision by the RFC 3339 time of the edit: seconds since 2010, growing."""
    times = [epoch_ms(v) if isinstance(v, str) else None for v in arguments[0]]
    return [
        value if time is None else _seconds_since_start(time // 1_000)
        for value, time in zip(arguments[0], times, strict=True)
    ]


def _seconds_since_start(seconds: int) -> int:
    return max(1, seconds - _REVISION_START_S)


def count_revision(arguments: list[Values]) -> Values:
    """Number a revision by the versions before it: the length of a list of versions, less one."""
    return [max(0, len(v) - 1) if isinstance(v, list) else v for v in arguments[0]]


# By the name that field maps use. The second part bounds the number of arguments.
FUNCTIONS: Mapping[str, tuple[SchemaFunction, int, int]] = {
    "at_uri": (at_uri, 3, 3),
    "twitter_time": (twitter_time, 1, 1),
    "epoch_ms": (epoch_milliseconds, 1, 1),
    "epoch_s": (epoch_seconds, 1, 1),
    "epoch_us": (epoch_microseconds, 1, 1),
    "readable_time": (readable_time, 1, 1),
    "html_entities": (html_entities, 1, 1),
    "html_text": (html_text, 1, 4),
    "html_links": (html_links, 1, 4),
    "cid_sha256": (cid_sha256, 1, 1),
    "tid_revision": (tid_revision, 1, 1),
    "time_revision": (time_revision, 1, 1),
    "count_revision": (count_revision, 1, 1),
}
