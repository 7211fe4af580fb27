r"""Read lists: plain text with one entry per line, or CSV with a header.

A line whose first character other than white space is `#` is a comment; a keyword that begins
with `#` is written `\#`. Every entry is checked; an error names its line.
"""

from __future__ import annotations

import csv
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from fastpath.distances import MIN_GRAMS, is_simhash
from fastpath.exact import read_digests, without_repeats
from fastpath.lanes import MAX_PATTERN_BYTES
from fastpath.simhash import gram_text_of
from fastpath.spec import MAX_ID_BYTES, Lane
from fastpath.url_data.suffixes import registered_domain
from worker.policy.diagnostics import Diagnostic
from worker.policy.files import Content
from worker.policy.source import Text

ListKind: TypeAlias = Literal[
    "keyword",
    "regex",
    "sha256",
    "md5",
    "domain",
    "url",
    "pdq",
    "simhash",
    "account",
    "phrase",
]
DigestKind: TypeAlias = Literal["sha256", "md5", "pdq"]

MAX_LIST_BYTES = 256 << 20
MAX_DIGESTS_BYTES = 4 << 30  # about 64 million SHA-256 lines
# From here on a list of digests is read by the compiled core: about 16,000 SHA-256 lines.
LARGE_LIST_BYTES = 1 << 20
MAX_LIST_ERRORS = 5  # per list; a wrong file would print a wall otherwise
MAX_LIST_WARNINGS = 20  # about entries that match nothing, too much or nothing of their own

_HEX_DIGITS = {"sha256": 64, "md5": 32, "pdq": 64}
_HEX = re.compile(r"[0-9A-Fa-f]*")
_LABEL = re.compile(r"[^\W_](?:[\w-]{0,61}[^\W_])?|_[\w-]{0,62}")


@dataclass(frozen=True, slots=True)
class ListEntries:
    """Hold the entries of one list in file order, and what is wrong or doubtful about it."""

    entries: tuple[str, ...]
    errors: tuple[Diagnostic, ...]
    warnings: tuple[Diagnostic, ...]
    lanes: tuple[tuple[Lane, ...], ...] = ()  # per entry, where a keyword list has such a column


class DigestEntries(NamedTuple):
    """Hold the digests of a large list, and what is wrong or doubtful about it."""

    entries: Sequence[str]
    errors: tuple[Diagnostic, ...]
    warnings: tuple[Diagnostic, ...]


@dataclass(frozen=True, slots=True)
class _Entry:
    value: str
    line: int
    column: int
    lanes: str | None = None  # what its column holds, where there is one
    quality: str | None = None


Problem: TypeAlias = tuple[str, str] | None


def read_list(
    file: str,
    content: bytes,
    kind: ListKind,
    normal: Callable[[str], str] | None = None,
    refuse: Callable[[str, tuple[Lane, ...]], Problem] | None = None,
    lanes: tuple[Lane, ...] = (),
    min_quality: int = 0,
) -> ListEntries:
    """Read one list file; `normal` gives the form under which two entries are the same.

    `refuse` says (message, hint) of an entry that is valid for its kind and still cannot be used.
    Entries come back as written, digests in lower case; of repeated entries the first stays and
    the others are warnings. An entry whose normal form is empty is an error. `lanes` are those of
    a keyword list: an entry may name some of them. An image of a quality below `min_quality` is
    left out with a warning.
    """
    try:
        text = Text(file, content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        where = f"byte {error.start} is not UTF-8"
        return ListEntries((), (Diagnostic(file, line, 1, where, "save the file as UTF-8"),), ())
    found, errors = _csv_entries(text, kind) if file.endswith(".csv") else _lines(text, kind)
    entries: list[str] = []
    entry_lanes: list[tuple[Lane, ...]] = []
    warnings: list[Diagnostic] = []
    first: dict[str, _Entry] = {}
    for entry in found:
        problem = _CHECKS[kind](entry.value) or _check_lanes(entry.lanes, lanes)
        problem = problem or _check_quality(entry.quality)
        value = entry.value.lower() if kind in _HEX_DIGITS else entry.value
        same = value if problem is not None or normal is None else normal(value)
        if problem is None and not same:
            problem = ("nothing is left of this entry when folded", "remove the line")
        elif problem is None and kind == "keyword":
            problem = _check_keyword(same)
        if problem is None and refuse is not None:
            problem = refuse(value, _named_lanes(entry.lanes or "", lanes))
        if problem is not None:
            errors.append(text.at_line(entry.line, entry.column, *problem))
        elif same in first:
            hint = "the first one counts"
            message = f"same as line {first[same].line}"
            warnings.append(text.at_line(entry.line, entry.column, message, hint))
        elif entry.quality and int(entry.quality) < min_quality:
            message = f"quality {entry.quality} is below {min_quality}: left out"
            hint = "an image so plain is like too many others; `min_quality` sets the floor"
            warnings.append(text.at_line(entry.line, entry.column, message, hint))
        else:
            first[same] = entry
            entries.append(value)
            if entry.lanes is not None:
                entry_lanes.append(_named_lanes(entry.lanes, lanes))
    doubted = list(_doubts(kind, first))
    for entry, message, hint in doubted[:MAX_LIST_WARNINGS]:
        warnings.append(text.at_line(entry.line, entry.column, message, hint))
    if len(doubted) > MAX_LIST_WARNINGS:
        entry, *_ = doubted[MAX_LIST_WARNINGS]
        message = f"and {len(doubted) - MAX_LIST_WARNINGS:,} more doubtful entries from here on"
        warnings.append(text.at_line(entry.line, 1, message))
    if len(errors) > MAX_LIST_ERRORS:
        following = errors[MAX_LIST_ERRORS].line
        more = f"and {len(errors) - MAX_LIST_ERRORS} more errors from here on"
        hint = "is this the right file?"
        errors = [*errors[:MAX_LIST_ERRORS], text.at_line(following, 1, more, hint)]
    if not found and not errors:
        warnings.append(Diagnostic(file, 0, 0, "the list is empty", "it matches nothing"))
    return ListEntries(tuple(entries), tuple(errors), tuple(warnings), tuple(entry_lanes))


def _doubts(kind: ListKind, first: Mapping[str, _Entry]) -> Iterator[tuple[_Entry, str, str]]:
    """Yield (entry, message, hint) of valid entries that are probably not meant, by normal form."""
    doubt = {"domain": _doubt_of_domain, "url": _doubt_of_url}.get(kind)
    if doubt is None:
        return
    for same, entry in first.items():
        said = doubt(same, first)
        if said is not None:
            yield entry, *said


def _doubt_of_domain(host: str, first: Mapping[str, _Entry]) -> Problem:
    if not registered_domain(host):
        return f"`{host}` is a public suffix: it matches nothing", "name domains under it"
    labels = host.split(".")
    for place in range(1, len(labels) - 1):
        above = ".".join(labels[place:])
        if above in first and registered_domain(above):
            return f"line {first[above].line} covers it: `{above}`", "keep one of the two"
    if not registered_domain(host, private=True):
        message = f"people get names of their own under `{host}`: it matches all of them"
        return message, "name domains under it, unless all are meant"
    return None


def _doubt_of_url(url: str, first: Mapping[str, _Entry]) -> Problem:
    page, query, _ = url.partition("?")
    if query and page in first:
        return f"line {first[page].line} covers it: the same without a query", "keep one of the two"
    return None


def _named_lanes(named: str, lanes: tuple[Lane, ...]) -> tuple[Lane, ...]:
    """Return the lanes that an entry names, in the order of the list; all where it names none."""
    wanted = named.split()
    return tuple(lane for lane in lanes if lane in wanted or not wanted)


def _check_lanes(named: str | None, lanes: tuple[Lane, ...]) -> Problem:
    for lane in (named or "").split():
        if lane not in lanes:
            return f"`{lane}` is no lane of this list", f"its `lanes` are {', '.join(lanes)}"
    return None


def _check_quality(quality: str | None) -> Problem:
    if not quality or (quality.isascii() and quality.isdigit() and int(quality) <= 100):
        return None
    return f"`{quality}` is no quality", "a whole number from 0 to 100, or nothing"


def has_quality(file: str, content: Content) -> bool:
    """Say whether a CSV file of images has a column `quality`, which the core does not read."""
    header = bytes(content[:4096]).decode("utf-8-sig", "replace").splitlines()
    names = next((line for line in header if line.strip() and not line.startswith("#")), "")
    return file.endswith(".csv") and "quality" in (
        name.strip().lower() for name in names.split(",")
    )


def read_digests_in(file: str, content: Content, kind: DigestKind) -> DigestEntries:
    """Read a large list of digests in the compiled core, without a Python object for each.

    The file is as for `read_list`, but a CSV file holds no quotes, and repeats are counted and
    not named. Blocks for about a second per ten million entries, without the GIL.
    """
    start = 3 if content[:3] == b"\xef\xbb\xbf" else 0
    first_line, column = 1, -1
    if file.endswith(".csv"):
        header = ""
        while start < len(content) and (not header or header.startswith("#")):
            end = content.find(b"\n", start)
            end = len(content) if end < 0 else end
            header = content[start:end].decode("utf-8", "replace").strip()
            start, first_line = end + 1, first_line + 1
        names = [name.strip().lower() for name in header.split(",")]
        if kind not in names:
            hint = f"the first line names the columns; one of them is `{kind}`"
            where = Diagnostic(file, first_line - 1, 1, f"there is no column `{kind}`", hint)
            return DigestEntries((), (where,), ())
        column = names.index(kind)
    width = _HEX_DIGITS[kind] // 2
    read = read_digests(content, width, column, start)
    if isinstance(read, tuple):
        message = f"there is no {kind} digest of {2 * width} hex digits here"
        hint = "one digest per line; a CSV file of more than 1 MiB holds no quotes"
        return DigestEntries(
            (), (Diagnostic(file, first_line + read[0] - 1, 1, message, hint),), ()
        )
    kept = without_repeats(read, secrets.token_bytes(16))
    warnings: tuple[Diagnostic, ...] = ()
    if len(kept) < len(read):
        message = f"{len(read) - len(kept):,} entries are the same as earlier ones"
        warnings = (Diagnostic(file, 0, 0, message, "the first one counts"),)
    return DigestEntries(kept, (), warnings)


def _lines(text: Text, kind: ListKind) -> tuple[list[_Entry], list[Diagnostic]]:
    entries = []
    for number, line in enumerate(text.lines, 1):
        value = line.strip()
        if not value or value.startswith("#"):
            continue
        if kind in ("keyword", "phrase", "simhash") and value.startswith(("\\#", "\\\\")):
            value = value[1:]
        entries.append(_Entry(value, number, len(line) - len(line.lstrip()) + 1))
    return entries, []


def _csv_entries(text: Text, kind: ListKind) -> tuple[list[_Entry], list[Diagnostic]]:
    if kind in ("regex", "account", "phrase"):
        hint = "write one entry per line in a .txt file"
        return [], [text.at_line(1, 1, f"a list of kind {kind} is plain text, not CSV", hint)]
    rows = csv.reader((line + "\n" for line in text.lines), strict=True)
    entries: list[_Entry] = []
    column: int | None = None
    lanes_column: int | None = None
    quality_column: int | None = None
    try:
        for row in rows:
            if not row or not any(row) or row[0].lstrip().startswith("#"):
                continue
            if column is None:
                header = [name.strip().lower() for name in row]
                if kind not in header:
                    hint = f"the first line names the columns; one of them is `{kind}`"
                    message = f"there is no column `{kind}`"
                    return [], [text.at_line(rows.line_num, 1, message, hint)]
                column = header.index(kind)
                if kind == "keyword" and "lanes" in header:
                    lanes_column = header.index("lanes")
                if kind == "pdq" and "quality" in header:
                    quality_column = header.index("quality")
                continue
            value = row[column].strip() if column < len(row) else ""
            source = text.lines[rows.line_num - 1]
            lanes = None
            if lanes_column is not None:
                lanes = row[lanes_column] if lanes_column < len(row) else ""
            quality = None
            if quality_column is not None and quality_column < len(row):
                quality = row[quality_column].strip()
            place = max(0, source.find(value)) + 1
            entries.append(_Entry(value, rows.line_num, place, lanes, quality))
    except csv.Error as error:
        return entries, [text.at_line(max(1, rows.line_num), 1, f"not valid CSV: {error}")]
    if column is None:
        hint = f"the first line names the columns; one of them is `{kind}`"
        return [], [text.at_line(1, 1, "the header line is missing", hint)]
    return entries, []


def _check_keyword(value: str) -> Problem:
    size = len(value.encode())
    if size > MAX_PATTERN_BYTES:
        what = f"{size} bytes; a keyword has at most {MAX_PATTERN_BYTES}, folded or not"
        return what, "shorten it, or use a fingerprint of the text"
    return None


def _check_digest(kind: str) -> Callable[[str], Problem]:
    digits = _HEX_DIGITS[kind]

    def check(value: str) -> Problem:
        if _HEX.fullmatch(value) is None:
            return f"a {kind} digest holds hex digits alone", "one digest per line"
        if len(value) != digits:
            other = next((name for name, size in _HEX_DIGITS.items() if size == len(value)), None)
            hint = f"this looks like {other}" if other else "one digest per line"
            return f"a {kind} digest has {digits} hex digits, this has {len(value)}", hint
        return None

    return check


def _check_domain(value: str) -> Problem:
    if "/" in value or ":" in value or "@" in value:
        message = "a domain stands alone, without scheme, port or path"
        return message, f"write `{_host_in(value) or 'evil.example'}`"
    if value.startswith(("*.", ".")):
        bare = value.lstrip("*.")
        return "a domain covers its subdomains already", f"write `{bare}`"
    labels = value.removesuffix(".").split(".")
    if len(value) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        return "this is no domain name", "labels of letters, digits and hyphens, joined by dots"
    if len(labels) == 1:
        return "a single label would match every domain under it", "name a whole domain"
    return None


def _host_in(value: str) -> str | None:
    """Return the host of a URL with or without its scheme; None where there is none."""
    try:
        return urlsplit(value if "//" in value else "//" + value).hostname
    except ValueError:  # brackets that hold no address
        return None


def _check_url(value: str) -> Problem:
    if any(char.isspace() for char in value):
        return "a URL holds no white space", "one URL per line"
    if not value.lower().startswith(("http://", "https://")) or not _host_in(value):
        return "a URL begins with http:// or https:// and names a host", "one URL per line"
    return None


def _check_simhash(value: str) -> Problem:
    if is_simhash(value):
        return None if int(value, 16) else ("this SimHash stands for none", "remove the line")
    grams = max(0, len(gram_text_of(value)) - 3)
    if grams < MIN_GRAMS:
        what = f"{grams} grams of four characters; a text has a SimHash from {MIN_GRAMS} on"
        return what, "short texts collide: use a keyword list"
    return None


def _check_account(value: str) -> Problem:
    size = len(value.encode())
    if size > MAX_ID_BYTES:
        return f"{size} bytes; an account id has at most {MAX_ID_BYTES}", "one id per line"
    return None


_CHECKS: dict[ListKind, Callable[[str], Problem]] = {
    "keyword": _check_keyword,
    "regex": lambda _: None,  # compiled for its lane by the caller
    "sha256": _check_digest("sha256"),
    "md5": _check_digest("md5"),
    "domain": _check_domain,
    "url": _check_url,
    "pdq": _check_digest("pdq"),
    "simhash": _check_simhash,
    "account": _check_account,
    "phrase": _check_keyword,
}
