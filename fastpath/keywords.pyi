from collections.abc import Sequence

from fastpath.lanes import PatternNote, TextMatches
from fastpath.spec import KeywordList

class Keywords:
    """Own the automata of keyword lists; immutable, may be shared by threads.

    Raises BuildError for what cannot be built, naming the limit and the actual value.
    """

    lists: tuple[KeywordList, ...]
    notes: tuple[PatternNote, ...]
    table_bytes: int  # of all automata and gates
    build_seconds: float

    def __init__(self, lists: Sequence[KeywordList]) -> None: ...
    @property
    def states(self) -> tuple[int, ...]: ...
    def find(self, text: str) -> TextMatches: ...
    def find_all(self, texts: Sequence[str]) -> list[TextMatches]: ...

class TextBatch:
    """Own texts as UTF-8, ready to be scanned again and again; immutable."""

    count: int
    bytes: int

    def __init__(self, texts: Sequence[str]) -> None: ...

class Scanner:
    """Own one worker's scan memory for one set of lists; not to be shared by threads."""

    def __init__(self, keywords: Keywords) -> None: ...
    def find_all(self, texts: Sequence[str]) -> list[TextMatches]: ...
    def find_hits(self, batch: TextBatch) -> list[tuple[int, TextMatches]]: ...
    def find_columns(self, batch: TextBatch) -> bytearray: ...
