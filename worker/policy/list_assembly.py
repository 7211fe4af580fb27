"""Turn the lists of a validated document into a bundle's values, and check what they say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from fastpath.distances import MAX_PDQ_RADIUS, MAX_SIMHASH_RADIUS, is_simhash
from fastpath.errors import BuildError
from fastpath.hashes import canonical_url_of
from fastpath.keywords import Keywords
from fastpath.lanes import MIN_SQUEEZED_LETTERS
from fastpath.simhash import simhash_of
from fastpath.spec import HashList, KeywordList, Lane
from fastpath.text import fold_text
from worker.policy.expressions import (
    Expression,
    ExpressionError,
    ExpressionList,
    compile_expression,
)
from worker.policy.files import BundleFiles, FileRefused
from worker.policy.findings import Findings
from worker.policy.lists import (
    LARGE_LIST_BYTES,
    MAX_DIGESTS_BYTES,
    MAX_LIST_BYTES,
    ListEntries,
    ListKind,
    Problem,
    has_quality,
    read_digests_in,
    read_list,
)
from worker.policy.models import BundleModel, ListModel
from worker.policy.source import Path


@dataclass
class ListAssembly:
    """Read every list of one bundle, and the accounts and phrases that it exempts."""

    findings: Findings
    files: BundleFiles
    model: BundleModel
    keyword_lists: list[KeywordList] = field(default_factory=list)
    hash_lists: list[HashList] = field(default_factory=list)
    expression_lists: dict[str, ExpressionList] = field(default_factory=dict)
    exempt_accounts: frozenset[str] = frozenset()
    exempt_phrases: tuple[str, ...] = ()

    def run(self) -> None:
        """Fill in the values; what is missing afterwards is explained in the findings."""
        self._exempt()
        for name, each in self.model.lists.items():
            self._list(name, each)

    def _entries(
        self,
        path: Path,
        name: str,
        kind: ListKind,
        normal: Callable[[str], str] | None,
        refuse: Callable[[str, tuple[Lane, ...]], Problem] | None = None,
        lanes: tuple[Lane, ...] = (),
        min_quality: int = 0,
    ) -> ListEntries:
        try:
            content = self.files.read(name, MAX_LIST_BYTES)
        except FileRefused as refused:
            self.findings.error(path, refused.message, refused.hint)
            return ListEntries((), (), ())
        found = read_list(self.files.shown(name), content, kind, normal, refuse, lanes, min_quality)
        self.findings.errors.extend(found.errors)
        self.findings.warnings.extend(found.warnings)
        return found

    def _exempt(self) -> None:
        exempt = self.model.exempt
        if exempt.accounts is not None:
            path = ("exempt", "accounts")
            found = self._entries(path, exempt.accounts, "account", None)
            self.exempt_accounts = frozenset(found.entries)
        if exempt.phrases is not None:
            path = ("exempt", "phrases")
            found = self._entries(path, exempt.phrases, "phrase", _folded)
            self.exempt_phrases = found.entries

    def _list(self, name: str, model: ListModel) -> None:
        path = ("lists", name)
        if model.kind == "keyword":
            self._keyword_list(name, model)
            return
        if model.kind == "regex":
            self._regex_list(name, model)
            return
        for key in ("lanes", "boundary", "insist", "report", "exceptions", "ungated"):
            if getattr(model, key) is not None:
                hint = f"a list of kind {model.kind} is compared as a whole; remove it"
                kinds = "regex" if key == "ungated" else "keyword"
                self.findings.error((*path, key), f"`{key}` is for {kinds} lists", hint, key=True)
        self._distances(path, model)
        limit, radius = RADII.get(model.kind, (0, 0))
        if model.radius is not None and model.radius <= limit:
            radius = model.radius
        quality = model.min_quality
        if quality is None:
            quality = DEFAULT_QUALITY if model.kind == "pdq" else 0
        entries = self._hash_entries((*path, "file"), model, quality)
        self.hash_lists.append(HashList(name, model.kind, entries, radius, quality))

    def _hash_entries(self, path: Path, model: ListModel, min_quality: int) -> Sequence[str]:
        """Read the entries of a hash list; a large file of digests in the compiled core."""
        kind = model.kind
        if kind == "sha256" or kind == "md5" or kind == "pdq":
            try:
                content = self.files.map(model.file, MAX_DIGESTS_BYTES)
            except FileRefused as refused:
                self.findings.error(path, refused.message, refused.hint)
                return ()
            if len(content) >= LARGE_LIST_BYTES and not (
                kind == "pdq" and has_quality(model.file, content)
            ):
                found = read_digests_in(self.files.shown(model.file), content, kind)
                self.findings.errors.extend(found.errors)
                self.findings.warnings.extend(found.warnings)
                return found.entries
        return self._entries(path, model.file, kind, _NORMAL[kind], min_quality=min_quality).entries

    def _distances(self, path: Path, model: ListModel) -> None:
        """Check the keys of lists that are compared by distance."""
        limit, _ = RADII.get(model.kind, (None, 0))
        if model.radius is not None and limit is None:
            hint = "remove it; lists of kind pdq and simhash have one"
            message = f"a list of kind {model.kind} is compared exactly"
            self.findings.error((*path, "radius"), message, hint, key=True)
        elif model.radius is not None and limit is not None and model.radius > limit:
            hint = "more bits than that differ between things that have nothing in common"
            message = f"the radius of a list of kind {model.kind} is at most {limit}"
            self.findings.error((*path, "radius"), message, hint)
        if model.min_quality is not None and model.kind != "pdq":
            message = "`min_quality` is for lists of kind pdq"
            self.findings.error((*path, "min_quality"), message, "remove it", key=True)

    def _regex_list(self, name: str, model: ListModel) -> None:
        path = ("lists", name)
        for key in ("boundary", "insist", "report", "exceptions"):
            if getattr(model, key) is not None:
                hint = "an expression says so itself; remove it"
                self.findings.error((*path, key), f"`{key}` is for keyword lists", hint, key=True)
        lanes = tuple(model.lanes or ("folded",))
        if lanes not in (("folded",), ("raw",)):
            hint = "write `lanes: [folded]` or `lanes: [raw]`"
            self.findings.error((*path, "lanes"), "expressions are matched in one lane", hint)
            return
        expressions: dict[str, Expression] = {}

        def refused(source: str, _: tuple[Lane, ...]) -> Problem:
            try:
                made = compile_expression(source, lanes[0], ungated=bool(model.ungated))
            except ExpressionError as error:
                return error.message, error.hint
            expressions[source] = made
            return None

        self._entries((*path, "file"), model.file, "regex", None, refused)
        held = ExpressionList(name, lanes[0], tuple(expressions.values()))
        if model.ungated and held.is_gated and expressions:
            message = "`ungated` is not needed: every expression has a literal"
            self.findings.warn((*path, "ungated"), message, "remove it")
        self.expression_lists[name] = held
        self.keyword_lists.append(held.as_keywords())

    def _keyword_list(self, name: str, model: ListModel) -> None:
        path = ("lists", name)
        lanes = tuple(model.lanes or ("folded",))
        if len(set(lanes)) < len(lanes):
            self.findings.error((*path, "lanes"), "a lane is given twice", "keep one of the two")
        if model.ungated is not None:
            hint = "a keyword always gates; remove it"
            self.findings.error((*path, "ungated"), "`ungated` is for regex lists", hint, key=True)
        disguise = [lane for lane in lanes if lane in ("skeleton", "squeezed")]
        if disguise and "folded" not in lanes:
            message = f"the lane {disguise[0]} runs only on posts that may hide a word"
            hint = "add `folded`, which sees the word as it is written"
            self.findings.error((*path, "lanes"), message, hint)
        if model.insist is not None and "squeezed" not in lanes:
            self.findings.error(
                (*path, "insist"), "`insist` is for the lane squeezed", "remove it", True
            )
        held = KeywordList(
            name,
            (),
            lanes,
            model.boundary or "word",
            model.insist or False,
            model.report or "all",
        )
        normal = _NORMAL_KEYWORD["folded" in lanes, "raw" in lanes]
        refuse = partial(_refused, held) if disguise else None
        found = self._entries((*path, "file"), model.file, "keyword", normal, refuse, lanes)
        exceptions: tuple[str, ...] = ()
        if model.exceptions is not None:
            excepted = self._entries(
                (*path, "exceptions"), model.exceptions, "keyword", normal, refuse, lanes
            )
            exceptions = excepted.entries
        self.keyword_lists.append(
            replace(held, patterns=found.entries, exceptions=exceptions, pattern_lanes=found.lanes)
        )


def _folded(entry: str) -> str:
    return fold_text(entry).strip()


def _spaced(entry: str) -> str:
    """Fold a keyword; a run of white space is one space."""
    return " ".join(fold_text(entry).split())


def _canonical(url: str) -> tuple[str, str]:
    canonical, host, *_ = canonical_url_of(url.encode())
    return canonical.decode(), host.decode()


def _folds(entry: str) -> str:
    """Keep an entry apart from those that fold alike; give "" where it folds to nothing."""
    return " ".join(entry.split()) if _folded(entry) else ""


def _refused(held: KeywordList, entry: str, lanes: tuple[Lane, ...]) -> Problem:
    """Say why an entry cannot be found in its lanes, if it cannot."""
    try:
        Keywords([replace(held, patterns=(entry,), lanes=lanes)])
    except BuildError as error:
        if error.kind == "letters of a squeezed pattern":
            what = f"{error.actual} letters; the lane squeezed takes {MIN_SQUEEZED_LETTERS} or more"
            return what, "move it to a list without `squeezed`, or say `insist: true` there"
        return f"{error.kind}: {error.actual}, where {error.limit} is due", "shorten it"
    return None


# Under which form two keywords are the same, by the lanes that are searched (folded, raw).
_NORMAL_KEYWORD: dict[tuple[bool, bool], Callable[[str], str]] = {
    (True, False): _spaced,
    (True, True): _folds,
    (False, True): lambda entry: " ".join(entry.split()),
    (False, False): _spaced,  # refused for its lanes; its entries are still checked
}
_NORMAL: dict[str, Callable[[str], str] | None] = {
    "sha256": None,
    "md5": None,
    "domain": lambda entry: _canonical(f"http://{entry}")[1].removesuffix("."),
    "url": lambda entry: _canonical(entry)[0],
    "pdq": None,
    "simhash": lambda entry: entry.lower() if is_simhash(entry) else f"{simhash_of(entry):016x}",
}
# The greatest and the default radius of lists that are compared by distance.
RADII = {"pdq": (MAX_PDQ_RADIUS, 31), "simhash": (MAX_SIMHASH_RADIUS, 3)}
DEFAULT_QUALITY = 50  # of PDQ: below it an image is too plain to be told from others
