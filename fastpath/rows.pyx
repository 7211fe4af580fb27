"""Hold what the screen hands to Python of one flagged record; both backends make these rows.

A class of C members, since a screen makes one for every post that a gate lets through; as a Python
dataclass a row took five times as long.
"""

from fastpath.slow_path import Rejected, canonicalize


cdef class Row:
    """Hand one flagged record to Python: rejected, deleted, or with a gate or flag set.

    rows.pyi says what each member holds.
    """

    def __init__(
        self, index, offset, time, status, reason=None, error="", flags=0, gates=0, matches=(),
        hits=(), windows=(), text_digest=b"", id="", revision=0, account="",
        account_created_at=None, post=None,
    ):
        self.index = index
        self.offset = offset
        self.time = time
        self.status = status
        self.reason = reason
        self.error = error
        self.flags = flags
        self.gates = gates
        self.matches = matches
        self.hits = hits
        self.windows = windows
        self.text_digest = text_digest
        self.id = id
        self.revision = revision
        self.account = account
        self.account_created_at = account_created_at
        self.read = {} if post is None else post

    @property
    def post(self):
        """Return the post in canonical form; the first look reads the record by slow_path."""
        if self.read is None:
            found = canonicalize(self.value, self.field_map)
            if isinstance(found, Rejected):
                raise AssertionError(f"the core took what is no post: {found.error}")
            self.read = found.post
        return self.read

    @post.setter
    def post(self, post):
        self.read = post

    def members(self):
        """Return everything that the row holds, in the order of its constructor."""
        return (
            self.index, self.offset, self.time, self.status, self.reason, self.error, self.flags,
            self.gates, self.matches, self.hits, self.windows, self.text_digest, self.id,
            self.revision, self.account, self.account_created_at, self.post,
        )

    def __eq__(self, other):
        return self.members() == other.members() if isinstance(other, Row) else NotImplemented

    def __repr__(self):
        return f"Row{self.members()}"
