"""Derive the ids that must be equal in every run (docs/time-and-identity.md, rule 6)."""

from __future__ import annotations

import hashlib
from functools import lru_cache

# Published on purpose: `weir scan` is reproducible by anyone. Production sets its own secret.
SCAN_DEPLOYMENT_KEY = b"weir-scan-published-key-00000001"
KEY_BYTES = 32

_DIGITS = bytes.maketrans(bytes(range(32)), b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")  # RFC 4648


class ActionIds:
    """Name the decisions of one deployment: keyed BLAKE2b-160 over length-prefixed UTF-8 fields.

    The digest is RFC 7693, its letters are base32 (RFC 4648, upper case, 32 characters). Integers
    are written as decimal. Each field is preceded by its length as u32 little-endian, so no two
    field lists share an encoding. Called by enforce for every decision.
    """

    def __init__(self, key: bytes, deployment: str) -> None:
        self._begun = hashlib.blake2b(_framed(deployment), digest_size=20, key=key)

    def begin(self, account: str, post: str, revision: int, policy: str) -> hashlib.blake2b:
        """Digest what the ids of all decisions on one finding begin with."""
        digest = self._begun.copy()
        digest.update(_framed(account, post, str(revision), policy))
        return digest

    @staticmethod
    def complete(begun: hashlib.blake2b, kind: str, step: int) -> str:
        """Name one decision on the finding."""
        digest = begun.copy()
        digest.update(_last_fields(kind, step))
        return _base32(digest.digest())


def _framed(*fields: str) -> bytes:
    encoded = [field.encode() for field in fields]
    return b"".join([len(raw).to_bytes(4, "little") + raw for raw in encoded])


@lru_cache(maxsize=1_024)  # kinds times steps: about a hundred in any bundle
def _last_fields(kind: str, step: int) -> bytes:
    return _framed(kind, str(step))


def _halving(bits: int, lane: int) -> tuple[int, int, int]:
    """Give masks of the lower and upper halves of what stands in each lane, and the way to go.

    A lane holds twice `bits` and is cut in two, so that each half has `bits`.
    """
    lower = sum((1 << bits) - 1 << place for place in range(0, 256, lane))
    return lower, lower << bits, lane // 2 - bits


_HALVINGS = tuple(_halving(80 >> n, 256 >> n) for n in range(5))


def _base32(digest: bytes) -> str:
    """Write 160 bits as 32 letters: five halvings leave five bits in each byte."""
    number = int.from_bytes(digest)
    for lower, upper, way in _HALVINGS:
        number = number & lower | (number & upper) << way
    return number.to_bytes(32).translate(_DIGITS).decode()


def account_digest(key: bytes, account: str) -> str:
    """Name an account outside Kafka keys and values: 16 hex characters of keyed BLAKE2b."""
    return hashlib.blake2b(account.encode(), digest_size=8, key=key).hexdigest()
