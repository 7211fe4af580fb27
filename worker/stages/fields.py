"""Read typed fields of JSON objects; a wrong one is named by its path, never by its value."""

from __future__ import annotations

from typing import Any

from fastpath.spec import MAX_TIME_MS, MIN_TIME_MS
from worker.domain.dead_letter import Reason

MAX_ID_BYTES = 256  # the bound of every id in the input (rule 7 of docs/time-and-identity.md)
_SURELY_AN_ID = MAX_ID_BYTES // 4  # characters: so many are never more bytes than that


class MalformedRecordError(ValueError):
    """Report a record that does not follow its schema; `reason` is a dead-letter reason."""

    def __init__(self, reason: Reason, message: str) -> None:
        self.reason = reason
        super().__init__(message)


class Fields:
    """Read typed fields of one JSON object; errors name the path, never the value."""

    __slots__ = ("_holder", "_key", "_values")

    def __init__(self, value: object, holder: Fields | None = None, key: str = "") -> None:
        if type(value) is not dict:
            path = holder.name(key) if holder is not None else "the record"
            raise MalformedRecordError(Reason.FIELD_TYPE, f"{path} must be an object")
        self._values: dict[str, Any] = value
        self._holder = holder
        self._key = key

    def name(self, key: str) -> str:
        """Give the path of a field, for messages."""
        return key if self._holder is None else f"{self._holder.name(self._key)}.{key}"

    def wrong(self, key: str, must: str) -> MalformedRecordError:
        """Say what a field of a wrong type must be."""
        return MalformedRecordError(Reason.FIELD_TYPE, f"{self.name(key)} must be {must}")

    def has(self, key: str) -> bool:
        """Say whether a field is there and not null."""
        return self._values.get(key) is not None

    def raw(self, key: str) -> Any:
        """Give a field that must be there and not null."""
        value = self._values.get(key)
        if value is None:
            raise MalformedRecordError(Reason.FIELD_MISSING, f"{self.name(key)} is missing")
        return value

    def text(self, key: str) -> str:
        """Read a string."""
        value = self._values.get(key)
        if type(value) is str:
            return value
        self.raw(key)
        raise self.wrong(key, "a string")

    def optional_text(self, key: str) -> str | None:
        """Read a string that may be absent or null."""
        return self.text(key) if self.has(key) else None

    def id(self, key: str) -> str:
        """Read an id: a string of 1 to 256 bytes."""
        value = self._values.get(key)
        if type(value) is str and 0 < len(value) <= _SURELY_AN_ID:
            return value
        value = self.text(key)
        if not 1 <= len(value.encode()) <= MAX_ID_BYTES:
            raise MalformedRecordError(
                Reason.ID_OUT_OF_RANGE, f"{self.name(key)} must have 1 to 256 bytes"
            )
        return value

    def integer(self, key: str, least: int = -(2**63), most: int = 2**63 - 1) -> int:
        """Read an integer within bounds; true and false are none."""
        value = self._values.get(key)
        if type(value) is int and least <= value <= most:
            return value
        self.raw(key)
        raise self.wrong(key, "an integer in range")

    def time(self, key: str) -> int:
        """Read a time in ms since the epoch."""
        return self.integer(key, MIN_TIME_MS, MAX_TIME_MS)

    def one_of(self, key: str, allowed: tuple[str, ...]) -> Any:
        """Read a string out of a closed set."""
        value = self.text(key)
        if value not in allowed:
            raise self.wrong(key, f"one of {', '.join(allowed)}")
        return value

    def object(self, key: str) -> Fields:
        """Read an object."""
        value = self._values.get(key)
        return Fields(self.raw(key) if value is None else value, self, key)

    def items(self, key: str) -> list[Any]:
        """Read a list; absent means empty."""
        value = self._values.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.wrong(key, "a list")
        return value

    def counts(self, key: str) -> dict[str, int]:
        """Read an object of integers; absent means empty."""
        if not self._values.get(key):
            if self.has(key):
                self.object(key)  # empty, but of the right type
            return {}
        inner = self.object(key)
        return {name: inner.integer(name) for name in inner._values}
