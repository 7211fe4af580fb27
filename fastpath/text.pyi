from fastpath.lanes import LaneView, NormalisedText

UNICODE_VERSION: str

def view_raw(text: str) -> LaneView:
    """Return the raw lane of a text: the text itself, U+0000 shown as U+FFFD."""

def view_folded(text: str) -> LaneView:
    """Return the folded lane of a text: NFKC_Casefold of Unicode 15.0, marks capped."""

def fold_text(text: str) -> str:
    """Return the folded lane of a text as a string."""

def folding_work(text: str) -> int:
    """Return the steps that folding a text takes: linear in its length, whatever it holds."""

def spans_raw(text: str) -> tuple[tuple[int, int], ...]:
    """Return per byte of the raw lane the source code point [start, end) it belongs to."""

def spans_folded(text: str) -> tuple[tuple[int, int], ...]:
    """Return per byte of the folded lane the source code points [start, end) of its cluster."""

def normalised_text(text: str) -> NormalisedText:
    """Return the form under which texts are compared across accounts."""

def trim_text(text: str) -> str:
    """Return a text without leading and trailing white space (property White_Space)."""
