"""Define what text and keyword functions hand back to Python; shared by both backends, no logic."""

from __future__ import annotations

from typing import Literal, NamedTuple

from fastpath.spec import Lane, Match

MAX_LANE_BYTES = 256 * 1024  # output budget of a lane; a 64 KiB text can fold to eleven times that
MAX_PATTERN_BYTES = 1024  # UTF-8 bytes of a pattern in its lane
MAX_PATTERNS = 1 << 24  # patterns x lanes of all lists; ids are 32-bit inside
MAX_TABLE_BYTES = 1 << 30  # all automata of one build; a million patterns take about 0.3 GiB
VISITS_FIXED = 64  # occurrences looked at per lane and post: this
VISITS_PER_BYTE = 8  # plus this per lane byte; then matches_truncated

MIN_SQUEEZED_LETTERS = 5  # letters and numbers of a pattern in the squeezed lane, unless insisted

# What the squeezed lane knows of a letter beside its code point.
LETTER_STARTS = 1  # no word character stands before it
LETTER_ENDS = 2  # none behind it
# A gap that nothing parts is where another reading begins; no match crosses it.
LETTER_GAP = 4  # a gap between words stands before it; on the first byte of the letter alone
LETTER_PARTED = 8  # a separator of any kind stands before it; on the first byte alone
# The first or last of the run is written as itself, in a word of plain letters: an m that is no rn,
# an l that is no i. It stands for no other.
LETTER_OWN_FIRST = 16
LETTER_OWN_LAST = 32
LETTER_DOT_FIRST = 64  # the same of an i that is no l
LETTER_DOT_LAST = 128
LETTER_SELF = LETTER_OWN_FIRST | LETTER_OWN_LAST | LETTER_DOT_FIRST | LETTER_DOT_LAST
LETTER_DRAWN = 256  # three of the run in a row are one letter as it is written
LETTER_RUN = 512  # times how often it stands in a row, at most MAX_LETTER_RUN
MAX_LETTER_RUN = 15
MAX_INNER_GAP = 3  # more separators than this part words even without white space
MIN_SPACED_OUT = 3  # single-letter words in a row that are read as one word

# Why a build tells the author of a list something about a pattern that it accepted.
Remark = Literal[
    "duplicate",  # equal to an earlier pattern of the list in this lane; that one is reported
    "unbounded_start",  # boundary asked for, but it begins where its script has none
    "unbounded_end",
    "dominated",  # a shorter pattern of the list stands in it: it adds a span, never a post
    "excepted",  # an exception of the list is equal to it: it never counts
    "idle_exception",  # no pattern of the list stands in it
]


class LaneView(NamedTuple):
    """Show one lane of one text."""

    data: bytes  # UTF-8, at most MAX_LANE_BYTES
    word: bytes  # per lane byte: 1 where it belongs to a word character, else 0
    marks_dropped: int  # non-starters beyond the 30th in a row
    truncated: bool  # the lane ends early, at a code point


class LetterView(NamedTuple):
    """Show the squeezed lane of one text; all empty where the lane did not run."""

    data: (
        bytes  # UTF-8, at most MAX_LANE_BYTES and, of other readings, twice the text's code points
    )
    letters: tuple[int, ...]  # per lane byte: LETTER_* bits and the run of its letter
    truncated: bool  # the lane it was made from ended early


class NormalisedText(NamedTuple):
    """Show the form under which texts are compared across accounts."""

    data: bytes  # UTF-8; 0x01 for a URL, 0x02 for a mention, "0" for a run of decimal digits
    content: bool  # a letter or number stands in it that is no placeholder


class PatternNote(NamedTuple):
    """Tell the author of a list about one pattern."""

    list: str
    pattern: str
    lane: Lane
    remark: Remark


class TextMatches(NamedTuple):
    """Report the patterns found in one text."""

    matches: tuple[Match, ...]  # by list, lane, pattern
    visited: int  # occurrences looked at; in the squeezed lane bytes of keys
    truncated: bool  # a cap was met: rows are missing or counts are lower bounds
