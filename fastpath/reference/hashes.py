"""Hash and find URLs in plain Python: SipHash, canonical URLs, domains, exact lists.

BLAKE2b comes from hashlib. The white space and quotes that end a URL are listed here and in the
compiled module; nothing else is shared.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

from fastpath.spec import HashList

Fold = Callable[[str], str]

_MASK = 2**64 - 1
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
_UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LOWER = str.maketrans(_UPPER, _UPPER.lower())


def text_digest(folded: str) -> bytes:
    """Return the unkeyed BLAKE2b-128 (RFC 7693) of a folded lane."""
    return hashlib.blake2b(folded.encode(), digest_size=16).digest()


def identity_key(deployment_key: bytes) -> bytes:
    """Derive the 16-byte SipHash key of every identity from the deployment key."""
    return hashlib.blake2b(b"weir identity", digest_size=16, key=deployment_key).digest()


def _rotate(value: int, bits: int) -> int:
    return ((value << bits) | (value >> (64 - bits))) & _MASK


def _sip_round(v: list[int]) -> None:
    v[0] = (v[0] + v[1]) & _MASK
    v[1] = _rotate(v[1], 13) ^ v[0]
    v[0] = _rotate(v[0], 32)
    v[2] = (v[2] + v[3]) & _MASK
    v[3] = _rotate(v[3], 16) ^ v[2]
    v[0] = (v[0] + v[3]) & _MASK
    v[3] = _rotate(v[3], 21) ^ v[0]
    v[2] = (v[2] + v[1]) & _MASK
    v[1] = _rotate(v[1], 17) ^ v[2]
    v[2] = _rotate(v[2], 32)


@lru_cache(maxsize=65_536)
def siphash128(key: bytes, data: bytes) -> bytes:
    """Return SipHash-2-4 with 128 bits (Aumasson and Bernstein, reference implementation)."""
    k0, k1 = int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little")
    v = [
        k0 ^ 0x736F6D6570736575,
        k1 ^ 0x646F72616E646F6D ^ 0xEE,
        k0 ^ 0x6C7967656E657261,
        k1 ^ 0x7465646279746573,
    ]
    whole = len(data) & ~7
    blocks = [int.from_bytes(data[at : at + 8], "little") for at in range(0, whole, 8)]
    blocks.append(int.from_bytes(data[whole:], "little") | (len(data) & 0xFF) << 56)
    for block in blocks:
        v[3] ^= block
        _sip_round(v)
        _sip_round(v)
        v[0] ^= block
    v[2] ^= 0xEE
    for _ in range(4):
        _sip_round(v)
    first = v[0] ^ v[1] ^ v[2] ^ v[3]
    v[1] ^= 0xDD
    for _ in range(4):
        _sip_round(v)
    second = v[0] ^ v[1] ^ v[2] ^ v[3]
    return first.to_bytes(8, "little") + second.to_bytes(8, "little")


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
    host = _DOTS.sub(".", host.translate(_LOWER) if host.isascii() else fold(host))
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


def canonical_url(url: str, fold: Fold) -> tuple[str, str]:
    """Return the canonical form of a URL and its host.

    Not http or https, or without a host: the form is the trimmed original, the host "".
    Follows RFC 3986 sections 5.2.4 and 6.2; a backslash before the query reads as a slash, as
    browsers read it.
    """
    trimmed = url.strip(WHITE_SPACE)
    scheme = _SCHEME.match(trimmed)
    if scheme is None:
        return trimmed, ""
    secure = bool(scheme.group(1))
    rest, _, _ = trimmed[scheme.end() :].partition("#")
    hierarchy, mark, query = rest.partition("?")
    authority, slash, path = hierarchy.replace("\\", "/").partition("/")
    host, port = _host_and_port(authority.rpartition("@")[2])
    host = canonical_host(host, fold)
    if not host:
        return trimmed, ""
    port = "" if port == ("443" if secure else "80") else port
    return (
        f"http{'s' if secure else ''}://{host}{':' if port else ''}{port}"
        f"{_without_dots(_normal_escapes(slash + path) or '/')}{mark}{_normal_escapes(query)}",
        host,
    )


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


class ExactLists:
    """Look values up in the exact lists of a screen."""

    def __init__(self, lists: Sequence[HashList], fold: Fold) -> None:
        self.lists = tuple(lists)
        self._fold = fold
        self._entries: list[dict[str, int]] = []
        for hash_list in self.lists:
            keys = [self._key(hash_list.kind, entry) for entry in hash_list.entries]
            first: dict[str, int] = {}
            for place, key in enumerate(keys):
                if key:
                    first.setdefault(key, place)
            self._entries.append(first)
        names = [name for held, entries in zip(self.lists, self._entries, strict=True)
                 if held.kind == "domain" for name in entries]  # fmt: skip
        self._longest_domain = max(map(len, names), default=0)

    def _key(self, kind: str, entry: str) -> str:
        if kind == "domain":
            return canonical_host(entry.strip(WHITE_SPACE), self._fold).removesuffix(".")
        if kind == "url":
            return canonical_url(entry, self._fold)[0]
        return entry.strip(WHITE_SPACE).translate(_LOWER)

    def _domains(self, host: str) -> list[str]:
        return parent_domains(host, self._longest_domain) if self._longest_domain else []

    def find(
        self, sha256: Iterable[str], md5: Iterable[str], urls: Iterable[tuple[str, str]]
    ) -> list[tuple[int, int]]:
        """Return (list, entry) of every hit, by list, then by entry, each once."""
        urls = list(urls)
        domains = {domain for _, host in urls if host for domain in self._domains(host)}
        values = {
            "sha256": set(sha256),
            "md5": set(md5),
            "domain": domains,
            "url": {canonical for canonical, _ in urls},
        }
        return sorted(
            (place, entries[value])
            for place, entries in enumerate(self._entries)
            for value in values.get(self.lists[place].kind, ())
            if value in entries
        )
