"""The two errors of the compiled core; everything after construction is total."""


class BuildError(ValueError):
    """Report a table or screen that cannot be built, naming the limit and the actual value.

    Raised by constructors only, never by a scan; `worker.policy` translates it for people.
    """

    def __init__(self, kind: str, limit: object, actual: object, detail: str = "") -> None:
        self.kind = kind
        self.limit = limit
        self.actual = actual
        self.detail = detail
        tail = f" ({detail})" if detail else ""
        super().__init__(f"{kind}: limit {limit}, actual {actual}{tail}")


class CorruptImage(ValueError):
    """Report packed bytes (a sightings record, a table image) that break their own format."""
