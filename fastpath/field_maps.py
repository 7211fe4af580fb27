"""Map posts of other schemas onto the canonical post: presets as data, and maps of one's own.

A map names, for each target field, the sources that are asked for it: a pointer
(fastpath/pointers.py), or a function of pointers (fastpath/schema_functions.py) such as
`twitter_time(/created_at)`. For a single value the first source that finds one wins; for `urls`,
`hashtags` and `media` every source adds what it finds, each value once, since whoever writes a
post could otherwise hide a link behind another. Sources of `media.*` start at the medium.
docs/posts.md explains the maps for people.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from fastpath.errors import BuildError
from fastpath.pointers import GRAMMAR, Pointer, parse_pointer
from fastpath.schema_functions import FUNCTIONS, Condition, SchemaFunction

KeyTrie: TypeAlias = Mapping[str, "KeyTrie"]
_Growing: TypeAlias = dict[str, "_Growing"]

LIST_TARGETS = ("urls", "hashtags", "media")
MEDIUM_TARGETS = ("media.sha256", "media.md5", "media.pdq", "media.pdq_quality")
# `scores.<name>` is a target too, for any name.
TARGETS = (
    "id", "op", "revision", "account.id", "account.created_at", "account.followers",
    "created_at", "text", "lang", "urls", "hashtags", "media", *MEDIUM_TARGETS,
    "repost_of", "reply_to", "client.device", "client.ip", "scores",
)  # fmt: skip
_CALL = re.compile(r"\s*(\w+)\((.*)\)\s*", re.DOTALL)
_OPS = ("create", "edit", "delete")

_GENERIC = {
    target: ("/" + target.replace(".", "/"),)
    for target in TARGETS
    if target not in (*LIST_TARGETS, *MEDIUM_TARGETS)
} | {
    "urls": ("/urls[]",),
    "hashtags": ("/hashtags[]",),
    "media": ("/media[]",),
    **{target: ("/" + target.removeprefix("media."),) for target in MEDIUM_TARGETS},
}

_TWITTER_V1 = {
    "id": ("/id_str", "/id", "/delete/status/id_str", "/delete/status/id"),
    "op": ("delete(/delete/status)",),
    "account.id": (
        "/user/id_str", "/user/id", "/delete/status/user_id_str", "/delete/status/user_id",
    ),
    "account.created_at": ("twitter_time(/user/created_at)",),
    "account.followers": ("/user/followers_count",),
    "created_at": ("twitter_time(/created_at)", "epoch_ms(/delete/timestamp_ms)"),
    "text": (
        "html_entities(/extended_tweet/full_text)",
        "html_entities(/full_text)",
        "html_entities(/text)",
    ),
    "lang": ("/lang",),
    "urls": (
        "/entities/urls[]/expanded_url|url",
        "/extended_tweet/entities/urls[]/expanded_url|url",
    ),
    "hashtags": ("/entities/hashtags[]/text", "/extended_tweet/entities/hashtags[]/text"),
    "media": ("/extended_entities/media[]", "/extended_tweet/extended_entities/media[]"),
    "repost_of": ("/retweeted_status/id_str", "/retweeted_status/id"),
    "reply_to": ("/in_reply_to_status_id_str", "/in_reply_to_status_id"),
}  # fmt: skip

_TWITTER_V2_AUTHOR = "/includes/users[id=/data/author_id]"
_TWITTER_V2 = {
    "id": ("/data/id", "/data/delete/tweet/id"),
    # An edited tweet is a new id; the history lists all of them, the first one first.
    "op": ("delete(/data/delete/tweet)", "edit(/data/edit_history_tweet_ids/1)"),
    "revision": ("count_revision(/data/edit_history_tweet_ids)",),
    "account.id": ("/data/author_id", "/data/delete/tweet/author_id"),
    "account.created_at": (f"{_TWITTER_V2_AUTHOR}/created_at",),
    "account.followers": (f"{_TWITTER_V2_AUTHOR}/public_metrics/followers_count",),
    "created_at": ("/data/created_at", "/data/delete/event_at"),
    "text": ("html_entities(/data/note_tweet/text)", "html_entities(/data/text)"),
    "lang": ("/data/lang",),
    "urls": (
        "/data/entities/urls[]/unwound_url|expanded_url|url",
        "/data/note_tweet/entities/urls[]/unwound_url|expanded_url|url",
    ),
    "hashtags": ("/data/entities/hashtags[]/tag", "/data/note_tweet/entities/hashtags[]/tag"),
    "media": ("/data/attachments/media_keys[]",),
    "repost_of": ("/data/referenced_tweets[type=retweeted]/id",),
    "reply_to": ("/data/referenced_tweets[type=replied_to]/id",),
}

_MASTODON = {
    "id": ("/id", "where(/event=delete, /payload)"),
    "op": ("delete(/event=delete)", "edit(/edited_at)"),
    "revision": ("time_revision(/edited_at)",),
    "account.id": ("/account/id",),
    "account.created_at": ("/account/created_at",),
    "account.followers": ("/account/followers_count",),
    "created_at": ("/edited_at", "/created_at"),  # an edit happens when it is made
    "text": ("html_text(/content, /spoiler_text)",),
    "lang": ("/language",),
    "urls": ("/card/url", "html_links(/content, /mentions[]/url, /tags[]/url)"),
    "hashtags": ("/tags[]/name",),
    "media": ("/media_attachments[]",),
    "repost_of": ("/reblog/id",),
    "reply_to": ("/in_reply_to_id",),
}

_BLUESKY_JETSTREAM = {
    "id": ("at_uri(/did, /commit/collection, /commit/rkey)",),
    "op": ("delete(/commit/operation=delete)", "edit(/commit/operation=update)"),
    "revision": ("where(/commit/operation=update, tid_revision(/commit/rev))",),
    "account.id": ("/did",),
    # createdAt is written by the author's client and checked by nobody; time_us is the stream's.
    # An update keeps the createdAt of the post, but happens when it is made.
    "created_at": (
        "where(/commit/operation=update, epoch_us(/time_us))",
        "readable_time(/commit/record/createdAt)",
        "epoch_us(/time_us)",
    ),
    "text": ("/commit/record/text",),
    "lang": ("/commit/record/langs/0",),
    "urls": (
        "/commit/record/facets[]/features[]/uri",
        "/commit/record/embed/external/uri",
        "/commit/record/embed/media/external/uri",
    ),
    "hashtags": ("/commit/record/facets[]/features[]/tag", "/commit/record/tags[]"),
    "media": (
        "/commit/record/embed/images[]/image",
        "/commit/record/embed/media/images[]/image",
        "/commit/record/embed/video",
        "/commit/record/embed/media/video",
    ),
    "media.sha256": ("cid_sha256(/ref/$link)",),
    "repost_of": ("where(/commit/collection=app.bsky.feed.repost, /commit/record/subject/uri)",),
    "reply_to": ("/commit/record/reply/parent/uri",),
}

_OSPREY = {
    "id": ("/data/action_id",),
    "account.id": ("/data/data/user_id",),
    "created_at": ("/send_time",),
    "text": ("/data/data/post/text",),
    "urls": ("/data/data/post/extracted_urls[]", "/data/data/post/embed_urls[]"),
    "client.ip": ("/data/data/ip_address",),
}

PRESETS: Mapping[str, Mapping[str, Sequence[str]]] = {
    "generic": _GENERIC,
    "twitter_v1": _TWITTER_V1,
    "twitter_v2": _TWITTER_V2,
    "mastodon": _MASTODON,
    "bluesky_jetstream": _BLUESKY_JETSTREAM,
    "osprey": _OSPREY,
}
# Streams whose events carry the post as JSON text in a member of this name.
_JSON_TEXT_KEYS = {"mastodon": "payload"}


@dataclass(frozen=True, slots=True)
class _Argument:
    pointer: Pointer | None
    call: Source | None
    equals: str | None

    def find(self, document: object, root: object) -> list[object]:
        if self.pointer is not None:
            return self.pointer.find(document, root)
        return [] if self.call is None else self.call.find(document, root)


@dataclass(frozen=True, slots=True)
class Source:
    """Ask one place for a value: a pointer, or a function of arguments."""

    text: str
    name: str  # "" for a bare pointer
    function: SchemaFunction | None
    arguments: tuple[_Argument, ...]

    def find(self, document: object, root: object) -> list[object]:
        """Return the values found, without nulls; nothing raises."""
        if not self.name:
            return self.arguments[0].find(document, root)
        if self.function is not None:
            return self.function([a.find(document, root) for a in self.arguments])
        first = self.arguments[0]
        if not Condition(first.find(document, root), first.equals).holds():
            return []
        return self.arguments[1].find(document, root) if self.name == "where" else [self.name]

    def pointers(self) -> Iterable[Pointer]:
        """Return every pointer that is followed."""
        for argument in self.arguments:
            if argument.pointer is not None:
                yield argument.pointer
            if argument.call is not None:
                yield from argument.call.pointers()


@dataclass(frozen=True, slots=True)
class FieldMap:
    """Turn a parsed document of some schema into the members of a canonical post, unchecked.

    Built by load_field_map, used by slow_path.canonicalize, which checks what comes out.
    """

    name: str
    sources: Mapping[str, tuple[Source, ...]]
    keys: KeyTrie  # every key that is read, for the search for repeated ones
    text_keys: KeyTrie  # those that lead to the text
    json_text_key: str | None = None

    def apply(self, document: object) -> dict[str, object]:
        """Collect the target fields that stand in the document, nested as a canonical post."""
        post: dict[str, object] = {}
        for target, sources in self.sources.items():
            if target in MEDIUM_TARGETS:
                continue
            value = (
                self._gather(target, sources, document)
                if target in LIST_TARGETS
                else _first(sources, document, document)
            )
            if value is not None:
                _put(post, target, value)
        return post

    def text(self, document: object) -> object | None:
        """Return the text alone."""
        return _first(self.sources.get("text", ()), document, document)

    def tried(self, target: str) -> str:
        """Say where a missing field was looked for."""
        places = ", ".join(source.text for source in self.sources.get(target, ()))
        return f" (looked at {places})" if places else " (no source is mapped)"

    def _gather(
        self, target: str, sources: tuple[Source, ...], document: object
    ) -> list[object] | None:
        found: list[object] = []
        for source in sources:
            for value in source.find(document, document):
                found.extend(value if isinstance(value, list) else [value])
        if target == "media":
            return [self._medium(value, document) for value in found] or None
        return list({repr(value): value for value in found}.values()) or None

    def _medium(self, element: object, document: object) -> dict[str, object]:
        medium: dict[str, object] = {}
        for target in MEDIUM_TARGETS:
            value = _first(self.sources.get(target, ()), element, document)
            if value is not None:
                medium[target.removeprefix("media.")] = value
        return medium


def load_field_map(
    preset: str, overrides: Mapping[str, Sequence[str]] | None = None
) -> FieldMap | None:
    """Build the map of a preset, with the targets of `overrides` put in place of its own.

    None for canonical posts (`generic` without overrides): they need no map. Raises BuildError
    naming the preset, target field, pointer or function that is wrong, and what would be right.
    """
    if preset not in PRESETS:
        raise BuildError("preset", ", ".join(PRESETS), repr(preset), _nearest(preset, PRESETS))
    if preset == "generic" and not overrides:
        return None
    return build_field_map(preset, {**PRESETS[preset], **(overrides or {})})


def build_field_map(preset: str, written: Mapping[str, Sequence[str]]) -> FieldMap:
    """Build a map of all its targets; `preset` names the form of its events. Raises BuildError."""
    for target in written:
        if target not in TARGETS and not (target.startswith("scores.") and len(target) > 7):
            limit = ", ".join(TARGETS) + ", scores.<name>"
            raise BuildError("field map target", limit, repr(target), _nearest(target, TARGETS))
    sources = {
        target: tuple(_source(text, target) for text in _texts(target, texts))
        for target, texts in written.items()
    }
    json_text_key = _JSON_TEXT_KEYS.get(preset)
    text_sources = {"text": sources.get("text", ())}
    return FieldMap(
        preset,
        sources,
        _key_trie(sources, json_text_key),
        _key_trie(text_sources, None),
        json_text_key,
    )


def _texts(target: str, texts: object) -> Sequence[str]:
    if isinstance(texts, str) or not isinstance(texts, Sequence):
        raise BuildError(f"field map sources of {target}", "a list of pointers", repr(texts))
    return texts


def _nearest(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean {near[0]}?" if near else ""


def _source(text: object, target: str) -> Source:
    if not isinstance(text, str):
        raise BuildError(f"field map source of {target}", "a pointer", repr(text))
    call = _CALL.fullmatch(text)
    if call is None:
        return Source(text, "", None, (_Argument(parse_pointer(text.strip()), None, None),))
    name, inside = call.groups()
    arguments = tuple(_argument(part, name, target) for part in _split(inside))
    function, least, most = FUNCTIONS.get(name, (None, 1, 1))
    if name == "where":
        least = most = 2
    elif function is None and (name not in _OPS or target != "op"):
        raise BuildError(
            f"field map function of {target}", ", ".join((*FUNCTIONS, "where")), repr(name),
            _nearest(name, FUNCTIONS),
        )  # fmt: skip
    if not least <= len(arguments) <= most:
        raise BuildError(
            f"field map source of {target}", f"{least} to {most} arguments of {name}", repr(text)
        )
    return Source(text, name, function, arguments)


def _argument(text: str, name: str, target: str) -> _Argument:
    text = text.strip()
    if name == "where" and _CALL.fullmatch(text):
        return _Argument(None, _source(text, target), None)
    pointer, equals_sign, equals = text, "", ""
    if name in (*_OPS, "where"):
        pointer, equals_sign, equals = _split_condition(text)
    if not pointer.startswith("/"):
        raise BuildError(f"field map source of {target}", GRAMMAR, repr(text))
    return _Argument(parse_pointer(pointer), None, equals if equals_sign else None)


def _split_condition(text: str) -> tuple[str, str, str]:
    """Split `pointer=value` at the first `=` outside brackets."""
    depth = 0
    for place, character in enumerate(text):
        depth += (character == "[") - (character == "]")
        if character == "=" and depth == 0:
            return text[:place], "=", text[place + 1 :]
    return text, "", ""


def _split(inside: str) -> list[str]:
    """Split arguments at the commas outside brackets and parentheses."""
    parts, depth = [""], 0
    for character in inside:
        depth += (character in "([") - (character in ")]")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _first(sources: Iterable[Source], document: object, root: object) -> object | None:
    for source in sources:
        value = next((v for v in source.find(document, root) if v is not None), None)
        if value is not None:
            return value
    return None


def _put(post: dict[str, object], target: str, value: object) -> None:
    outer, _, inner = target.partition(".")
    if not inner:
        post[outer] = value
        return
    members = post.setdefault(outer, {})
    if isinstance(members, dict):
        members[inner] = value


def _key_trie(sources: Mapping[str, tuple[Source, ...]], json_text_key: str | None) -> KeyTrie:
    trie: _Growing = {} if json_text_key is None else {json_text_key: {}}
    media_ends: list[_Growing] = []
    for target, listed in sources.items():
        if target in MEDIUM_TARGETS:
            continue
        for pointer in (p for source in listed for p in source.pointers()):
            ends = _grow(trie, trie, pointer)
            if target == "media":
                media_ends.extend(ends)
            elif target == "scores":
                for end in ends:
                    end.setdefault("*", {})
    for target in MEDIUM_TARGETS:
        for pointer in (p for source in sources.get(target, ()) for p in source.pointers()):
            for end in media_ends:
                _grow(end, trie, pointer)
    return trie


def _grow(trie: _Growing, root: _Growing, pointer: Pointer) -> list[_Growing]:
    ends = [trie]
    for step in pointer.steps:
        ends = [end.setdefault(key, {}) for end in ends for key in step.keys]
        if step.select:
            for end in ends:
                end.setdefault(step.select, {})
        if isinstance(step.equals, Pointer):
            _grow(root, root, step.equals)
    return ends
