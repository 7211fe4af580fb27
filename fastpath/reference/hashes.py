"""Hash in plain Python and look values up in exact lists; BLAKE2b comes from hashlib."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache

from fastpath.reference.urls import (
    LOWER,
    WHITE_SPACE,
    Fold,
    Url,
    canonical_host,
    canonical_url,
    parent_domains,
)
from fastpath.spec import HashList
from fastpath.url_data.suffixes import is_known, registered_domain

_MASK = 2**64 - 1


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
        domains = [name for held, entries in zip(self.lists, self._entries, strict=True)
                   if held.kind == "domain" for name in entries]  # fmt: skip
        self._longest_domain = max(map(len, domains), default=0)
        # The last labels of names that are looked for without a scheme: where names are sold.
        self.last_labels = {name.rpartition(".")[2] for name in domains if is_known(name)}

    def _key(self, kind: str, entry: str) -> str:
        if kind == "domain":
            host = canonical_host(entry.strip(WHITE_SPACE), self._fold).removesuffix(".")
            return host if registered_domain(host) else ""
        if kind == "url":
            return canonical_url(entry, self._fold).canonical
        return entry.strip(WHITE_SPACE).translate(LOWER)

    def _domains(self, host: str) -> list[str]:
        return parent_domains(host, self._longest_domain) if self._longest_domain else []

    def find(
        self,
        sha256: Iterable[str],
        md5: Iterable[str],
        urls: Collection[Url],
        names: Iterable[str],
    ) -> list[tuple[int, int]]:
        """Return (list, entry) of every hit, by list, then by entry, each once."""
        hosts = [*(url.host for url in urls), *names]
        values = {
            "sha256": set(sha256),
            "md5": set(md5),
            "domain": {domain for host in hosts if host for domain in self._domains(host)},
            "url": {form for url in urls for form in (url.canonical, url.page) if form},
        }
        return sorted(
            {
                (place, entries[value])
                for place, entries in enumerate(self._entries)
                for value in values.get(self.lists[place].kind, ())
                if value in entries
            }
        )
