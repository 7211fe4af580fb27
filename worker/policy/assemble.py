"""Turn a validated document into a bundle's values: resolve names, compile, check meaning."""

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
from worker.policy.conditions import (
    MEMBERS,
    Condition,
    ConditionErrors,
    PostVocabulary,
    Vocabulary,
    campaign_vocabulary,
)
from worker.policy.diagnostics import Diagnostic, known_names
from worker.policy.expressions import (
    Expression,
    ExpressionError,
    ExpressionList,
    Expressions,
    compile_expression,
)
from worker.policy.files import BundleFiles, FileRefused
from worker.policy.gates import is_false, is_true
from worker.policy.lists import (
    LARGE_LIST_BYTES,
    MAX_DIGESTS_BYTES,
    MAX_LIST_BYTES,
    ListEntries,
    ListKind,
    Problem,
    read_digests_in,
    read_list,
)
from worker.policy.models import BundleModel, ListModel, PolicyModel, RuleModel
from worker.policy.monotone import violations
from worker.policy.source import Document, Path
from worker.policy.tree import Ident, walk
from worker.policy.values import Ladder, Policy, Rule, Step, Window

UNGATED_HINT = (
    "begin with something a filter can test, as in `matches.<list>.any && ...` or "
    "`windows.<window> > 10 && ...`; or accept about 10 microseconds for every post with "
    "`ungated: true`"
)


@dataclass
class Assembly:
    """Collect the values of one bundle, and everything that is wrong or doubtful about it."""

    document: Document
    files: BundleFiles
    model: BundleModel
    errors: list[Diagnostic] = field(default_factory=list)
    warnings: list[Diagnostic] = field(default_factory=list)
    keyword_lists: list[KeywordList] = field(default_factory=list)
    hash_lists: list[HashList] = field(default_factory=list)
    expression_lists: dict[str, ExpressionList] = field(default_factory=dict)
    exempt_accounts: frozenset[str] = frozenset()
    exempt_phrases: tuple[str, ...] = ()
    windows: dict[str, Window] = field(default_factory=dict)
    ladders: dict[str, Ladder] = field(default_factory=dict)
    policies: dict[str, Policy] = field(default_factory=dict)

    def run(self) -> None:
        """Fill in the values; what is missing afterwards is explained in `errors`."""
        self._exempt()
        for name, each in self.model.lists.items():
            self._list(name, each)
        for name in self.model.windows:
            self._window(name)
        for name in self.model.ladders:
            self._ladder(name)
        accounts = [name for name, each in self.windows.items() if each.per == "account"]
        near = [name for name, each in self.model.lists.items() if each.kind in _RADII]
        self.post_vocabulary = PostVocabulary(self.model.lists, accounts, near)
        fingerprints = [name for name in self.windows if name not in accounts]
        self.campaign_vocabulary = campaign_vocabulary(fingerprints)
        for name, policy in self.model.policies.items():
            self._policy(name, policy)
        self._unread()

    def error(self, path: Path, message: str, hint: str = "", key: bool = False) -> None:
        """Note an error at a value of the document, or at its key."""
        point = self.document.at_key if key else self.document.at_value
        self.errors.append(point(path, message, hint))

    def warn(self, path: Path, message: str, hint: str = "") -> None:
        """Note something that is allowed and probably not meant."""
        self.warnings.append(self.document.at_key(path, message, hint))

    def _entries(
        self,
        path: Path,
        name: str,
        kind: ListKind,
        normal: Callable[[str], str] | None,
        refuse: Callable[[str, tuple[Lane, ...]], Problem] | None = None,
        lanes: tuple[Lane, ...] = (),
    ) -> ListEntries:
        try:
            content = self.files.read(name, MAX_LIST_BYTES)
        except FileRefused as refused:
            self.error(path, refused.message, refused.hint)
            return ListEntries((), (), ())
        found = read_list(self.files.shown(name), content, kind, normal, refuse, lanes)
        self.errors.extend(found.errors)
        self.warnings.extend(found.warnings)
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
                self.error((*path, key), f"`{key}` is for {kinds} lists", hint, key=True)
        self._distances(path, model)
        entries = self._hash_entries((*path, "file"), model)
        limit, radius = _RADII.get(model.kind, (0, 0))
        if model.radius is not None and model.radius <= limit:
            radius = model.radius
        quality = model.min_quality
        if quality is None:
            quality = DEFAULT_QUALITY if model.kind == "pdq" else 0
        self.hash_lists.append(HashList(name, model.kind, entries, radius, quality))

    def _hash_entries(self, path: Path, model: ListModel) -> Sequence[str]:
        """Read the entries of a hash list; a large file of digests in the compiled core."""
        kind = model.kind
        if kind == "sha256" or kind == "md5" or kind == "pdq":
            try:
                content = self.files.map(model.file, MAX_DIGESTS_BYTES)
            except FileRefused as refused:
                self.error(path, refused.message, refused.hint)
                return ()
            if len(content) >= LARGE_LIST_BYTES:
                found = read_digests_in(self.files.shown(model.file), content, kind)
                self.errors.extend(found.errors)
                self.warnings.extend(found.warnings)
                return found.entries
        return self._entries(path, model.file, kind, _NORMAL[kind]).entries

    def _distances(self, path: Path, model: ListModel) -> None:
        """Check the keys of lists that are compared by distance."""
        limit, _ = _RADII.get(model.kind, (None, 0))
        if model.radius is not None and limit is None:
            hint = "remove it; lists of kind pdq and simhash have one"
            message = f"a list of kind {model.kind} is compared exactly"
            self.error((*path, "radius"), message, hint, key=True)
        elif model.radius is not None and limit is not None and model.radius > limit:
            hint = "more bits than that differ between things that have nothing in common"
            message = f"the radius of a list of kind {model.kind} is at most {limit}"
            self.error((*path, "radius"), message, hint)
        if model.min_quality is not None and model.kind != "pdq":
            message = "`min_quality` is for lists of kind pdq"
            self.error((*path, "min_quality"), message, "remove it", key=True)

    def _regex_list(self, name: str, model: ListModel) -> None:
        path = ("lists", name)
        for key in ("boundary", "insist", "report", "exceptions"):
            if getattr(model, key) is not None:
                hint = "an expression says so itself; remove it"
                self.error((*path, key), f"`{key}` is for keyword lists", hint, key=True)
        lanes = tuple(model.lanes or ("folded",))
        if lanes not in (("folded",), ("raw",)):
            hint = "write `lanes: [folded]` or `lanes: [raw]`"
            self.error((*path, "lanes"), "expressions are matched in one lane", hint)
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
            self.warn((*path, "ungated"), message, "remove it")
        self.expression_lists[name] = held
        self.keyword_lists.append(held.as_keywords())

    def _keyword_list(self, name: str, model: ListModel) -> None:
        path = ("lists", name)
        lanes = tuple(model.lanes or ("folded",))
        if len(set(lanes)) < len(lanes):
            self.error((*path, "lanes"), "a lane is given twice", "keep one of the two")
        if model.ungated is not None:
            hint = "a keyword always gates; remove it"
            self.error((*path, "ungated"), "`ungated` is for regex lists", hint, key=True)
        disguise = [lane for lane in lanes if lane in ("skeleton", "squeezed")]
        if disguise and "folded" not in lanes:
            message = f"the lane {disguise[0]} runs only on posts that may hide a word"
            hint = "add `folded`, which sees the word as it is written"
            self.error((*path, "lanes"), message, hint)
        if model.insist is not None and "squeezed" not in lanes:
            self.error((*path, "insist"), "`insist` is for the lane squeezed", "remove it", True)
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

    def _window(self, name: str) -> None:
        model, path = self.model.windows[name], ("windows", name, "count")
        distinct = model.count == "distinct_accounts"
        if model.per == "account" and distinct:
            hint = "count posts, links, distinct_targets or repeated_texts"
            self.error(path, "one account is always one distinct account", hint)
        if model.per != "account" and not distinct:
            hint = "write `count: distinct_accounts`, or `per: account`"
            self.error(path, f"a window per {model.per} counts distinct accounts alone", hint)
        self.windows[name] = Window(name, model.per, model.count, model.over)

    def _ladder(self, name: str) -> None:
        model = self.model.ladders[name]
        steps: list[Step] = []
        for index, step in enumerate(model.steps):
            path = ("ladders", name, "steps", index)
            if steps and step.at <= steps[-1].at:
                hint = f"the step before it stands at {steps[-1].at}"
                self.error((*path, "at"), "steps must rise by `at`", hint)
            if step.for_ is not None and step.do not in ("lock", "suspend"):
                hint = "`for` belongs to lock and suspend; remove it"
                self.error((*path, "for"), f"`{step.do}` lasts no time", hint, key=True)
            if step.until is not None and step.do != "lock":
                hint = "`until` belongs to lock; remove it"
                message = f"`{step.do}` waits for nothing"
                self.error((*path, "until"), message, hint, key=True)
            if step.do == "lock" and step.for_ is None and step.until is None:
                hint = "add `for: 12h`, `until: post_deleted`, or both; suspend may have no end"
                self.error(path, "a lock must end", hint)
            steps.append(Step(step.at, step.do, step.for_, step.until))
        restricts = any(step.do in ("lock", "suspend") for step in steps)
        if restricts and not any(step.do == "warn" for step in steps):
            hint = "add `{at: 1, do: warn}`"
            message = "no step warns, so the first restriction of an account becomes a warning"
            self.warn(("ladders", name), message, hint)
        self.ladders[name] = Ladder(
            name, model.strike_ttl, model.warn_grace, model.warning, tuple(steps)
        )

    def _policy(self, name: str, model: PolicyModel) -> None:
        path = ("policies", name)
        ladder = self.ladders.get(model.ladder) if model.ladder is not None else None
        if model.ladder is not None and ladder is None:
            hint = known_names(model.ladder, self.ladders, "ladders")
            self.error((*path, "ladder"), f"there is no ladder `{model.ladder}`", hint)
        if model.ground == "illegal" and model.legal_ground is None:
            hint = "name the law: `legal_ground: ...`"
            self.error((*path, "ground"), "`illegal` needs the legal ground", hint)
        if model.ground == "terms" and model.legal_ground is not None:
            hint = "write `ground: illegal`, or remove it"
            self.error(
                (*path, "legal_ground"), "the ground is the terms of service", hint, key=True
            )
        rules: list[Rule] = []
        for index, rule in enumerate(model.rules):
            at = (*path, "rules", index)
            if any(each.id == rule.id for each in model.rules[:index]):
                message = f"there is a rule `{rule.id}` in this policy already"
                self.error((*at, "id"), message, "rename one of the two")
            built = _RuleCheck(self, name, model, rule, at).build()
            if built is not None:
                rules.append(built)
        if ladder is not None and not any(rule.strikes for rule in model.rules):
            message = "the ladder has no effect: no rule of this policy gives strikes"
            self.warn((*path, "ladder"), message, "add `strikes: 1` to a rule, or remove it")
        longest = max((self.windows[w].over_ms for r in rules for w in r.windows), default=0)
        self.policies[name] = Policy(
            name=name,
            ladder=ladder,
            severe=model.severe,
            clause=model.clause,
            cooldown_ms=longest if model.cooldown is None else model.cooldown,
            rules=tuple(rules),
            ground=model.ground,
            legal_ground=model.legal_ground,
            category=model.category,
            explanation=model.explanation or f"Posts like this are not allowed: {model.clause}",
            redress=tuple(model.redress),
        )

    def _unread(self) -> None:
        rules = [rule for policy in self.policies.values() for rule in policy.rules]
        if self.errors:
            return  # what a refused condition reads is not known
        read = {name for rule in rules for name in rule.when.variables}
        for name in self.model.lists:
            if not {f"matches.{name}.{part}" for part in ("any", "count", "distance")} & read:
                self.warn(("lists", name), f"no rule reads the list `{name}`")
        for name in self.model.windows:
            if f"windows.{name}" not in read:
                self.warn(("windows", name), f"no rule reads the window `{name}`")
        used = {policy.ladder for policy in self.model.policies.values()}
        for name in self.ladders:
            if name not in used:
                self.warn(("ladders", name), f"no policy uses the ladder `{name}`")


@dataclass
class _RuleCheck:
    """Check one rule and build it."""

    assembly: Assembly
    policy: str
    policy_model: PolicyModel
    model: RuleModel
    path: tuple[str | int, ...]

    def build(self) -> Rule | None:
        model = self.model
        self._consequences()
        if model.on == "post":
            self._post_shape()
            when = self._compile("when", model.when, self.assembly.post_vocabulary)
            members = None
        else:
            self._campaign_shape()
            when = self._compile("when", model.when, self.assembly.campaign_vocabulary)
            members = None
            if model.members is not None:
                members = self._compile("members", model.members, MEMBERS)
                if members is None:
                    return None
        if when is None:
            return None
        when = replace(when, gate=Expressions(self.assembly.expression_lists).relax(when.gate))
        if model.on == "post":
            self._gate(when)
        else:
            self._campaign(when)
        observed = self.assembly.model.enforcement == "observe" and model.mode == "live"
        return Rule(
            policy=self.policy,
            id=model.id,
            on=model.on,
            of=model.of,
            when=when,
            members=members,
            post_action=model.post_action,
            strikes=model.strikes,
            mode="shadow" if observed else model.mode,
            index=-1,
            windows=_windows(when),
        )

    def _error(self, key: str, message: str, hint: str = "", at_key: bool = False) -> None:
        self.assembly.error((*self.path, key), message, hint, key=at_key)

    def _consequences(self) -> None:
        if self.model.strikes and self.policy_model.ladder is None:
            ladders = known_names("", self.assembly.ladders, "ladders")
            self._error("strikes", "strikes need a ladder", f"add `ladder:`; {ladders}")
        if not self.model.strikes and self.model.post_action is None:
            hint = "add `post_action: label` or `strikes: 1`, or leave it to measure"
            message = f"the rule `{self.model.id}` signals and has no consequence"
            self.assembly.warn((*self.path, "id"), message, hint)

    def _post_shape(self) -> None:
        for key, value in (("of", self.model.of), ("members", self.model.members)):
            if value is not None:
                hint = "write `on: campaign`, or remove it"
                self._error(key, f"`{key}` belongs to campaign rules", hint, at_key=True)

    def _campaign_shape(self) -> None:
        if self.model.of is None:
            hint = "add `of: text`, `url`, `media`, `repost` or `device`"
            self._error("on", "a campaign rule names the type of its fingerprint", hint)
        if self.model.ungated:
            self._error("ungated", "campaign rules have no gate", "remove it", at_key=True)

    def _compile(self, key: str, source: str, vocabulary: Vocabulary) -> Condition | None:
        try:
            return vocabulary.compile(source)
        except ConditionErrors as refused:
            document = self.assembly.document
            for error in refused.errors:
                hint = self._other_window(error.message, vocabulary) or error.hint
                place = document.at_value((*self.path, key), error.message, hint, error.at)
                self.assembly.errors.append(place)
        return None

    def _other_window(self, message: str, vocabulary: Vocabulary) -> str:
        """Explain a window that exists and belongs to the other kind of rule."""
        for name, window in self.assembly.windows.items():
            if message != f"unknown name `windows.{name}`":
                continue
            if vocabulary is MEMBERS:
                return "members are judged by account.id and account.age_days; put it in `when`"
            if window.per == "account":
                return f"`{name}` counts per account; a campaign rule reads windows per fingerprint"
            return (
                f"`{name}` counts accounts per {window.per}; only a rule with `on: campaign` and "
                f"`of: {window.per}` can read it"
            )
        return ""

    def _gate(self, when: Condition) -> None:
        if is_true(when.gate) and not self.model.ungated:
            self._error("when", "every post would be judged in Python", UNGATED_HINT)
        if is_false(when.gate):
            message = f"the rule `{self.model.id}` can never hold"
            self.assembly.warn((*self.path, "when"), message, "no count is below 0")
        if self.model.ungated and not is_true(when.gate):
            message = "`ungated` is not needed: this condition filters"
            self.assembly.warn((*self.path, "ungated"), message, "remove it")

    def _campaign(self, when: Condition) -> None:
        document, path = self.assembly.document, (*self.path, "when")
        for found in violations(when.tree):
            message = "more sightings could make this false, so a campaign would depend on order"
            self.assembly.errors.append(document.at_value(path, message, found.hint, found.at))
        names = _windows(when)
        if not names:
            hint = "add a window, as in `windows.<window> >= 20`"
            self._error("when", "the condition reads no window of a fingerprint", hint)
        read = [node for node in walk(when.tree) if isinstance(node, Ident)]
        lengths: dict[int, str] = {}
        for node in sorted(read, key=lambda each: each.at):
            window = self.assembly.windows.get(node.name.removeprefix("windows."))
            if window is None or not node.name.startswith("windows."):
                continue
            start = max(0, node.at - len("windows"))
            if self.model.of is not None and window.per != self.model.of:
                message = f"`{window.name}` counts per {window.per}, the rule is of {self.model.of}"
                hint = f"write `of: {window.per}`, or read a window per {self.model.of}"
                self.assembly.errors.append(document.at_value(path, message, hint, start))
            other = next((name for ms, name in lengths.items() if ms != window.over_ms), None)
            if other is not None:
                message = f"`{window.name}` and `{other}` have different lengths"
                hint = "a campaign rule reads windows of one length; make two rules"
                self.assembly.errors.append(document.at_value(path, message, hint, start))
            lengths.setdefault(window.over_ms, window.name)


def _windows(when: Condition) -> tuple[str, ...]:
    names = (name for name in when.variables if name.startswith("windows."))
    return tuple(sorted(name.removeprefix("windows.") for name in names))


def _folded(entry: str) -> str:
    return fold_text(entry).strip()


def _spaced(entry: str) -> str:
    """Fold a keyword; a run of white space is one space."""
    return " ".join(fold_text(entry).split())


def _canonical(url: str) -> tuple[str, str]:
    canonical, host = canonical_url_of(url.encode())
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
_RADII = {"pdq": (MAX_PDQ_RADIUS, 31), "simhash": (MAX_SIMHASH_RADIUS, 3)}
DEFAULT_QUALITY = 50  # of PDQ: below it an image is too plain to be told from others
