"""Find URLs and names of hosts, and bring them to the form under which they are compared.

The white space and quotes that end a URL are listed here and in the compiled module; what
`fastpath.url_data` knows is shared.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from fastpath.lanes import LaneView
from fastpath.reference.text import WORD
from fastpath.spec import MAX_NAMES, MAX_WRAPS
from fastpath.url_data.tracking import NAMES, PREFIXES

Fold = Callable[[str], str]

WHITE_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
QUOTES = "\"'`\xab\xbb\u2018\u2019\u201c\u201d"
TRAILING = ".,;:!?)]}'\""
_FOUND = re.compile(f"[hH](?:[tT][tT]|[xX][xX])[pP][sS]?://[^{WHITE_SPACE}{QUOTES}<>]*")
_SCHEME = re.compile(r"[hH](?:[tT][tT]|[xX][xX])[pP]([sS]?)://")
_DOTS = re.compile(r"[\[({](?:\.|dot)[\])}]|\u3002")  # as people write a dot to hide a link
MAX_LABEL = 63  # code points; a longer label is no name, and stays as it is
_DECIMAL, _OCTAL, _HEX = (re.compile(f"[{digits}]+") for digits in ("0-9", "0-7", "0-9a-f"))
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_ASCII_ESCAPE = re.compile(r"%([0-7][0-9A-Fa-f])")
_UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
LOWER = str.maketrans(_UPPER, _UPPER.lower())

# Names of hosts as people write them, over the bytes of the folded lane.
MAX_NAME = 253  # bytes of a name in the DNS; of a longer one the end is looked up
_LABELS = re.compile(b"\x01+")  # over 1 for each byte of a letter, mark, digit, connector or hyphen
_HIDDEN = rb"[\[({](?:\.|dot)[\])}]"
_DOT = re.compile(rb"\.|\xe3\x80\x82|" + _HIDDEN)
_JOINT = re.compile(_DOT.pattern + rb"| (?:\.|dot) | " + _HIDDEN + rb" ?|" + _HIDDEN + rb" ")
_INSIDE = b"@/\\=&%#"  # before a name: it is part of an address, a path, a query or a hashtag


class Url(NamedTuple):
    """Show what is compared of one URL."""

    canonical: str  # the trimmed original where it is no http(s) URL with a host
    host: str = ""
    page: str = ""  # the canonical form up to its query
    target: str = ""  # the URL that its query carries, decoded; as written there
    userinfo: bool = False


def find_urls(text: str) -> list[str]:
    """Return the http and https URLs of a text, in order, trailing punctuation left out."""
    found = []
    for hit in _FOUND.finditer(text):
        url = hit.group().rstrip(TRAILING)
        scheme = _SCHEME.match(url)
        if scheme is not None and len(url) > scheme.end():
            found.append(url)
    return found


def _normal_escapes(part: str) -> str:
    def normal(escape: re.Match[str]) -> str:
        character = chr(int(escape.group(1), 16))
        return character if character in _UNRESERVED else escape.group().upper()

    return _ESCAPE.sub(normal, part)


def canonical_host(host: str, fold: Fold) -> str:
    """Return a host as it is compared.

    Escapes are decoded; letters are lower case, others folded; `[.]`, `(dot)`, U+3002 and their
    like are dots; labels outside ASCII become A-labels (RFC 3492); an IPv4 address in any form
    that browsers take becomes four decimal numbers.
    """
    host = _normal_escapes(host)
    host = _DOTS.sub(".", host.translate(LOWER) if host.isascii() else fold(host))
    host = ".".join(_a_label(label) for label in host.split("."))
    address = _ipv4(host)
    return host if address is None else ".".join(str(byte) for byte in address.to_bytes(4, "big"))


def _a_label(label: str) -> str:
    if label.isascii() or len(label) > MAX_LABEL:
        return label
    return "xn--" + label.encode("punycode").decode()


def _ipv4(host: str) -> int | None:
    """Read an IPv4 address as the URL Standard does (section 3.5), None where it is none."""
    parts = host.removesuffix(".").split(".")
    numbers = [_number(part) for part in parts]
    if len(parts) > 4:
        return None
    address = 0
    for place, number in enumerate(numbers):
        last = place == len(numbers) - 1
        if number is None or number >= (256 ** (5 - len(numbers)) if last else 256):
            return None
        address += number if last else number * 256 ** (3 - place)
    return address


def _number(part: str) -> int | None:
    """Read a decimal, octal (0...) or hexadecimal (0x...) number."""
    if part.startswith("0x"):
        return int(part[2:] or "0", 16) if _HEX.fullmatch(part[2:] or "0") else None
    if len(part) > 1 and part.startswith("0"):
        return int(part, 8) if _OCTAL.fullmatch(part) else None
    return int(part) if _DECIMAL.fullmatch(part) else None


def canonical_url(url: str, fold: Fold) -> Url:
    """Return the canonical form of a URL and its parts.

    Follows RFC 3986 sections 5.2.4 and 6.2; a backslash before the query reads as a slash, as
    browsers read it. Parameters that only track are left out.
    """
    trimmed = url.strip(WHITE_SPACE)
    scheme = _SCHEME.match(trimmed)
    if scheme is None:
        return Url(trimmed)
    secure = bool(scheme.group(1))
    rest, _, _ = trimmed[scheme.end() :].partition("#")
    hierarchy, mark, query = rest.partition("?")
    authority, slash, path = hierarchy.replace("\\", "/").partition("/")
    _, user, place = authority.rpartition("@")
    host, port = _host_and_port(place)
    host = canonical_host(host, fold)
    if not host:
        return Url(trimmed)
    port = "" if port == ("443" if secure else "80") else port
    page = (
        f"http{'s' if secure else ''}://{host}{':' if port else ''}{port}"
        f"{_without_dots(_normal_escapes(slash + path) or '/')}"
    )
    kept = [each for each in _normal_escapes(query).split("&") if not _tracks(each)]
    return Url(page + mark * bool(kept) + "&".join(kept), host, page, _carried(query), bool(user))


def _tracks(parameter: str) -> bool:
    name = parameter.partition("=")[0].translate(LOWER)
    return name in NAMES or name.startswith(PREFIXES)


def _carried(query: str) -> str:
    """Return the URL that the first such parameter of a query is, or has for its value."""
    at = 0
    for parameter in query.split("&"):
        if _SCHEME.match(_decoded(parameter)):
            return _decoded(query[at:])
        value = _decoded(parameter.partition("=")[2])
        if _SCHEME.match(value):
            return value
        at += len(parameter) + 1
    return ""


def _decoded(part: str) -> str:
    """Decode escapes of ASCII."""
    return _ASCII_ESCAPE.sub(lambda escape: chr(int(escape.group(1), 16)), part)


def wrapped_urls(url: str, fold: Fold) -> tuple[list[Url], bool]:
    """Return a URL and those that it wraps, outermost first; true where more are inside.

    Redirectors carry where they lead to in their query; nothing is fetched.
    """
    steps = [canonical_url(url, fold)]
    while steps[-1].target:
        inside = canonical_url(steps[-1].target, fold)
        if not inside.host:
            break
        if len(steps) > MAX_WRAPS:
            return steps, True
        steps.append(inside)
    return steps, False


def _host_and_port(authority: str) -> tuple[str, str]:
    """Split a port of digits off; one with other characters stays with the host."""
    host, colon, port = authority.rpartition(":")
    if not colon or port.strip("0123456789"):
        return authority, ""
    return host, port.lstrip("0") or ("0" if port else "")


def _without_dots(path: str) -> str:
    """Remove dot segments (RFC 3986, 5.2.4) from a path that begins with a slash."""
    kept: list[str] = []
    segments = path[1:].split("/")
    for place, segment in enumerate(segments):
        last = place == len(segments) - 1
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
            continue
        if last:
            kept.append("")
    return "/" + "/".join(kept)


def parent_domains(host: str, longest: int) -> list[str]:
    """Return a host without a final dot and each domain above it, up to `longest` characters."""
    host = host.removesuffix(".")
    starts = [0, *(place + 1 for place, character in enumerate(host) if character == ".")]
    return [host[start:] for start in starts if len(host) - start <= longest]


def find_names(folded: LaneView, lasts: Collection[str], fold: Fold) -> tuple[list[str], bool]:
    """Return the hosts that a text names without a scheme, and whether there are too many.

    `evil.com`, `evil[.]com`, `evil (dot) com`, `evil . com`, `evil dot com`: labels of letters,
    marks, digits, connectors and hyphens, with a dot between each two. Only names whose last
    label is among `lasts` count, and only the first MAX_NAMES places where one ends. Letters of a
    script without spaces belong to labels, though not to words.
    """
    data = folded.data
    inside = b"".join(
        bytes([ord(each) in WORD or each == "-"]) * len(each.encode()) for each in data.decode()
    )
    labels = [hit.span() for hit in _LABELS.finditer(inside)]
    found: list[str] = []
    places = 0
    for last, (start, end) in enumerate(labels):
        if (
            _joined(data, labels, last, -1, _JOINT) is None
            or _joined(data, labels, last, 1, _DOT) is not None
            or data[end : end + 1] == b"@"
            or canonical_host(data[start:end].decode(), fold) not in lasts
        ):
            continue
        if places == MAX_NAMES:
            return found, True
        places += 1
        name = _name_until(data, labels, last)
        if name:
            found.append(canonical_host(name, fold))
    return found, False


def _name_until(data: bytes, labels: Sequence[tuple[int, int]], last: int) -> str:
    """Return the name that ends with a label, "" where it is part of something else."""
    name = b""
    place: int | None = last
    while place is not None:
        start, end = labels[place]
        if len(name) + end - start > MAX_NAME:
            return name[1:].decode()
        name = b"." + data[start:end] + name
        place = _joined(data, labels, place, -1, _JOINT)
    inside = start > 0 and data[start - 1] in _INSIDE and data[:start][-3:] != b"://"
    return "" if inside else name[1:].decode()


def _joined(
    data: bytes, labels: Sequence[tuple[int, int]], place: int, way: int, joint: re.Pattern[bytes]
) -> int | None:
    """Return the label before (-1) or after (1) another that a dot joins it to."""
    for other in (place + way, place + 2 * way):  # a dot that is spelled is a label itself
        if 0 <= other < len(labels):
            first, second = sorted((place, other))
            if joint.fullmatch(data, labels[first][1], labels[second][0]):
                return other
    return None
