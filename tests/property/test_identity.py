"""The name of a decision is what docs/time-and-identity.md, rule 6, says."""

from __future__ import annotations

import base64
import hashlib

from hypothesis import given
from hypothesis import strategies as st

from worker.domain.identity import ActionIds

NAMES = st.text(max_size=20).filter(lambda text: text.isprintable())


@given(
    st.binary(min_size=32, max_size=32),
    st.tuples(NAMES, NAMES, NAMES, st.integers(0, 2**63 - 1), NAMES, NAMES, st.integers(0, 99)),
)
def test_an_id_is_the_base32_of_a_keyed_digest_of_its_fields(
    key: bytes, fields: tuple[str, str, str, int, str, str, int]
) -> None:
    digest = hashlib.blake2b(digest_size=20, key=key)
    for field in fields:
        raw = str(field).encode()
        digest.update(len(raw).to_bytes(4, "little"))
        digest.update(raw)
    deployment, account, post, revision, policy, kind, step = fields
    ids = ActionIds(key, deployment)
    begun = ids.begin(account, post, revision, policy)
    ids.complete(begun, kind, step + 1)  # another decision on the finding changes nothing
    assert ids.complete(begun, kind, step) == base64.b32encode(digest.digest()).decode()
