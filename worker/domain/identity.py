"""Derive the ids that must be equal in every run (docs/time-and-identity.md, rule 6)."""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache

# Published on purpose: `weir scan` is reproducible by anyone. Production sets its own secret.
SCAN_DEPLOYMENT_KEY = b"weir-scan-published-key-00000001"
KEY_BYTES = 32


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
        return base64.b32encode(digest.digest()).decode()


def _framed(*fields: str) -> bytes:
    encoded = [field.encode() for field in fields]
    return b"".join([len(raw).to_bytes(4, "little") + raw for raw in encoded])


@lru_cache(maxsize=1_024)  # kinds times steps: about a hundred in any bundle
def _last_fields(kind: str, step: int) -> bytes:
    return _framed(kind, str(step))


def account_digest(key: bytes, account: str) -> str:
    """Name an account outside Kafka keys and values: 16 hex characters of keyed BLAKE2b."""
    return hashlib.blake2b(account.encode(), digest_size=8, key=key).hexdigest()
