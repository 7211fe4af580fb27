"""Derive the ids that must be equal in every run (docs/time-and-identity.md, rule 6)."""

from __future__ import annotations

import hashlib

# Published on purpose: `weir scan` is reproducible by anyone. Production sets its own secret.
SCAN_DEPLOYMENT_KEY = b"weir-scan-published-key-00000001"
KEY_BYTES = 32

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"  # RFC 4648
_BASE32 = tuple(high + low for high in _ALPHABET for low in _ALPHABET)  # ten bits at once
_PLACES = range(150, -1, -10)  # of 160 bits: no padding


def action_id(
    key: bytes,
    deployment: str,
    account: str,
    post: str,
    revision: int,
    policy: str,
    kind: str,
    step: int,
) -> str:
    """Name a decision: base32 of keyed BLAKE2b-160 over length-prefixed UTF-8 fields (RFC 7693).

    Integers are written as decimal. Each field is preceded by its length as u32 little-endian,
    so no two field lists share an encoding. 32 characters, RFC 4648 base32, upper case.
    """
    fields = (deployment, account, post, str(revision), policy, kind, str(step))
    encoded = [field.encode() for field in fields]
    message = b"".join([len(raw).to_bytes(4, "little") + raw for raw in encoded])
    digest = hashlib.blake2b(message, digest_size=20, key=key).digest()
    number = int.from_bytes(digest)
    return "".join([_BASE32[number >> place & 1023] for place in _PLACES])


def account_digest(key: bytes, account: str) -> str:
    """Name an account outside Kafka keys and values: 16 hex characters of keyed BLAKE2b."""
    return hashlib.blake2b(account.encode(), digest_size=8, key=key).hexdigest()
