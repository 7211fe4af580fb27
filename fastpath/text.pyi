from fastpath.lanes import LaneView, LetterView, NormalisedText

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

def view_skeleton(text: str) -> LaneView:
    """Return the skeleton lane of a text; empty where it does not run."""

def view_squeezed(text: str) -> LetterView:
    """Return the squeezed lane of a text; empty where it does not run."""

def opens_skeleton(text: str) -> bool:
    """Say whether the skeleton lane of a text runs."""

def opens_squeezed(text: str) -> bool:
    """Say whether the squeezed lane of a text runs."""

def squeezing_work(text: str) -> int:
    """Return the steps that squeezing a text takes: linear in its length, whatever it holds."""

def spans_skeleton(text: str) -> tuple[tuple[int, int], ...]:
    """Return per byte of the skeleton lane the source code points [start, end) of its cluster."""

def spans_squeezed(text: str) -> tuple[tuple[int, int], ...]:
    """Return per byte of the squeezed lane the source code points [start, end) of its letter."""

def normalised_text(text: str) -> NormalisedText:
    """Return the form under which texts are compared across accounts."""

def trim_text(text: str) -> str:
    """Return a text without leading and trailing white space (property White_Space)."""
