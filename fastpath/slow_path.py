"""Judge any record value in full: the rules of a post, of which the fast path accepts a part.

The compiled parser hands over whatever it finds unusual; posts of other schemas come here first.
What is accepted leaves as canonical JSON, which the fast path takes without a second look.
docs/posts.md states these rules for people.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

import orjson

from fastpath.documents import Document, Refusal, Repeating, Wide, parse
from fastpath.field_maps import FieldMap, KeyTrie
from fastpath.rfc3339 import epoch_ms, within_range
from fastpath.spec import MAX_ID_BYTES, MAX_RECORD_BYTES, MAX_TEXT_BYTES

MAX_REVISION = 2**31 - 1
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
OPS = ("create", "edit", "delete")
# At least one of these stands in every post that is no delete; empty values count as standing.
CONTENT = ("text", "media", "urls", "repost_of")
_DIGEST_DIGITS = {"sha256": 64, "md5": 32, "pdq": 64}
_HEX = re.compile(r"[0-9A-Fa-f]+")
# Texts that repeated keys allow; each is looked up in full, so their number is bounded.
MAX_TEXTS = 64

# Which keys of a canonical post are read, for the search for repeated ones. "*" is any key.
CANONICAL_KEYS: KeyTrie = {
    "id": {},
    "op": {},
    "revision": {},
    "account": {"id": {}, "created_at": {}, "followers": {}},
    "created_at": {},
    "text": {},
    "lang": {},
    "urls": {},
    "hashtags": {},
    "media": {"sha256": {}, "md5": {}, "pdq": {}, "pdq_quality": {}},
    "repost_of": {},
    "reply_to": {},
    "client": {"device": {}, "ip": {}},
    "scores": {"*": {}},
}
_TEXT_KEYS: KeyTrie = {"text": {}}


class Canonical(NamedTuple):
    """Hand back an accepted post: as values, as canonical JSON, and whether a key stood twice."""

    post: dict[str, object]
    data: bytes
    duplicate_key: bool


class Rejected(NamedTuple):
    """Say why a record is no post: one of spec.REJECT_REASONS; `error` names path and type only."""

    reason: str
    error: str


def canonicalize(value: bytes, field_map: FieldMap | None = None) -> Canonical | Rejected:
    """Read one record value by the rules of a post; total: every input gives one of the two.

    Both backends call it, once per record that leaves the fast path; it takes microseconds and
    does not block. The checks run in a fixed order and the first that fails names the reason:
    size, UTF-8, nesting, JSON (orjson decides, RFC 8259 without lone surrogates), then fields in
    the order of the canonical form. `field_map` None reads canonical posts.

    The canonical form is a fixed point: canonicalize(c.data) gives c.post and c.data again.
    Keys come in the order of CANONICAL_KEYS and only where a value stands, `op` and `revision`
    always; ids are strings, times epoch milliseconds, scores floats in the order of their names,
    media digests lower-case hex. A delete keeps id, op, revision, account.id and created_at.
    """
    try:
        document = _document(value)
        if field_map is None:
            repeated = document.repeats(CANONICAL_KEYS)
            members = document.root
        else:
            opened = _opened(document, field_map)
            repeated = any(read.repeats(field_map.keys) for read in {document, opened})
            members = field_map.apply(opened.root)
            document = opened
        if repeated and isinstance(members, dict):
            members = {**members, "text": _every_text(document.root, field_map)}
        post = _post(members, field_map)
    except Refusal as refusal:
        return Rejected(refusal.reason, refusal.error)
    return Canonical(post, orjson.dumps(post), repeated)


def _document(value: bytes) -> Document:
    if len(value) > MAX_RECORD_BYTES:
        raise Refusal("record_too_large", f"{len(value)} bytes; the limit is {MAX_RECORD_BYTES}")
    try:
        text = value.decode()
    except UnicodeDecodeError as error:
        raise Refusal("encoding_invalid", f"not UTF-8 at byte {error.start}") from None
    return parse(value, text, "document")


def _every_text(root: object, field_map: FieldMap | None) -> object:
    """Join all texts that repeated keys allow, each on its own line, the one that counts first.

    Nobody knows which of them a reader is shown, so lists are searched for in all.
    """
    read = _canonical_text if field_map is None else field_map.text
    keys = _TEXT_KEYS if field_map is None else field_map.text_keys
    shown = read(root)
    # Each is read before the next one is put in place.
    earlier = [read(root) for _ in islice(_earlier_readings(root, keys), MAX_TEXTS)]
    if len(earlier) == MAX_TEXTS:
        raise Refusal("field_type", f"text: more than {MAX_TEXTS} texts under repeated keys")
    texts = [text for text in earlier if isinstance(text, str)]
    if not texts or not isinstance(shown, str | None):
        return shown
    return "\n".join(dict.fromkeys(texts if shown is None else [shown, *texts]))


def _canonical_text(root: object) -> object:
    return root.get("text") if isinstance(root, dict) else None


def _earlier_readings(value: object, keys: KeyTrie) -> Iterator[None]:
    """Put each earlier value of a repeated key in its place in turn; the last stands afterwards."""
    if isinstance(value, list):
        for element in value:
            yield from _earlier_readings(element, keys)
    if not isinstance(value, dict):
        return
    for key, below in keys.items():
        if key not in value:
            continue
        last = value[key]
        for earlier in value.earlier.get(key, ()) if isinstance(value, Repeating) else ():
            value[key] = earlier
            yield
            yield from _earlier_readings(earlier, below)
        value[key] = last
        yield from _earlier_readings(last, below)


def _opened(document: Document, field_map: FieldMap) -> Document:
    """Open the JSON text that some streams carry as a string member of the event."""
    key, root = field_map.json_text_key, document.root
    if key is None or not isinstance(root, dict):
        return document
    inner = root.get(key)
    if not isinstance(inner, str) or not inner.lstrip(" \t\r\n").startswith("{"):
        return document
    return parse(inner.encode(), inner, key)


def _post(document: object, field_map: FieldMap | None) -> dict[str, object]:
    fields = _Fields(_mapping(document, "document"), field_map)
    post: dict[str, object] = {"id": fields.required_id("id")}
    account_fields = fields.nested("account")
    account: dict[str, object] = {"id": account_fields.required_id("id")}
    post["op"] = op = fields.read("op", _op) or "create"
    post["revision"] = fields.read("revision", _revision) or 0
    post["account"] = account
    if op != "delete":
        account_fields.copy(account, "created_at", _time)
        account_fields.copy(account, "followers", _count)
    fields.copy(post, "created_at", _time)
    if op != "delete":
        _content(fields, post)
    return post


def _content(fields: _Fields, post: dict[str, object]) -> None:
    fields.copy(post, "text", _text)
    fields.copy(post, "lang", _string)
    fields.copy(post, "urls", _strings)
    fields.copy(post, "hashtags", _strings)
    fields.copy(post, "media", _media)
    fields.copy(post, "repost_of", _id)
    fields.copy(post, "reply_to", _id)
    client: dict[str, object] = {}
    client_fields = fields.nested("client")
    client_fields.copy(client, "device", _id)
    client_fields.copy(client, "ip", _string)
    if client:
        post["client"] = client
    fields.copy(post, "scores", _scores)
    if not any(name in post for name in CONTENT):
        raise Refusal("field_missing", "one of text, media, urls, repost_of is required")


class _Fields:
    """Read the members of one object of a post; null equals absent."""

    def __init__(
        self, members: Mapping[str, object], field_map: FieldMap | None, prefix: str = ""
    ) -> None:
        self._members = members
        self._field_map = field_map
        self._prefix = prefix

    def read(self, name: str, convert: Callable[[object, str], object]) -> object | None:
        value = self._members.get(name)
        return None if value is None else convert(value, self._prefix + name)

    def copy(
        self, into: dict[str, object], name: str, convert: Callable[[object, str], object]
    ) -> None:
        value = self.read(name, convert)
        if value is not None:
            into[name] = value

    def required_id(self, name: str) -> object:
        value = self.read(name, _id)
        if value is None:
            path = self._prefix + name
            tried = "" if self._field_map is None else self._field_map.tried(path)
            raise Refusal("field_missing", f"{path} is required{tried}")
        return value

    def nested(self, name: str) -> _Fields:
        value = self.read(name, _mapping)
        members = value if isinstance(value, dict) else {}
        return _Fields(members, self._field_map, f"{self._prefix}{name}.")


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    names = {dict: "object", list: "array", str: "string", int: "integer", float: "number"}
    return next((name for kind, name in names.items() if isinstance(value, kind)), "null")


def _wrong(value: object, path: str, due: str) -> Refusal:
    return Refusal("field_type", f"{path}: {_kind(value)} where {due} is due")


def _mapping(value: object, path: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise _wrong(value, path, "an object")
    return value


def _sequence(value: object, path: str) -> Sequence[object]:
    if not isinstance(value, list):
        raise _wrong(value, path, "an array")
    return value


def _string(value: object, path: str) -> str:
    if not isinstance(value, str):
        raise _wrong(value, path, "a string")
    return value


def _strings(value: object, path: str) -> list[str]:
    return [
        element if isinstance(element, str) else _string(element, f"{path}[{place}]")
        for place, element in enumerate(_sequence(value, path))
        if element is not None
    ]


def _id(value: object, path: str) -> str:
    if isinstance(value, Wide):
        raise Refusal("id_out_of_range", f"{path}: an integer outside 64 bits")
    if isinstance(value, int) and not isinstance(value, bool):
        if not INT64_MIN <= value <= INT64_MAX:
            raise Refusal("id_out_of_range", f"{path}: an integer outside 64 bits")
        return str(value)
    if not isinstance(value, str):
        raise _wrong(value, path, "a string or an integer")
    size = len(value.encode())
    if not 1 <= size <= MAX_ID_BYTES:
        raise Refusal("id_out_of_range", f"{path}: {size} bytes; 1 to {MAX_ID_BYTES} are allowed")
    return value


def _whole(value: object, path: str, highest: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong(value, path, "an integer")
    if not 0 <= value <= highest:
        raise Refusal("field_type", f"{path}: an integer outside 0 to {highest}")
    return value


def _revision(value: object, path: str) -> int:
    return _whole(value, path, MAX_REVISION)


def _count(value: object, path: str) -> int:
    return _whole(value, path, INT64_MAX)


def _quality(value: object, path: str) -> int:
    return _whole(value, path, 100)


def _op(value: object, path: str) -> str:
    if _string(value, path) not in OPS:
        raise Refusal("field_type", f"{path}: a string other than create, edit, delete")
    return str(value)


def _text(value: object, path: str) -> str:
    text = _string(value, path)
    size = len(text.encode())
    if size > MAX_TEXT_BYTES:
        raise Refusal("record_too_large", f"{path}: {size} bytes; the limit is {MAX_TEXT_BYTES}")
    return text


def _time(value: object, path: str) -> int:
    time = None
    if isinstance(value, str):
        time = epoch_ms(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        time = within_range(value)
    if time is None:
        raise _wrong(value, path, "a time (RFC 3339 or epoch milliseconds, 1970 to 9999)")
    return time


def _media(value: object, path: str) -> list[dict[str, object]]:
    return [
        element
        if type(element) is dict and not element
        else _medium(_mapping(element, at := f"{path}[{place}]"), f"{at}.")
        for place, element in enumerate(_sequence(value, path))
        if element is not None
    ]


def _medium(members: dict[str, object], prefix: str) -> dict[str, object]:
    fields = _Fields(members, None, prefix)
    medium: dict[str, object] = {}
    for name in _DIGEST_DIGITS:
        fields.copy(medium, name, _digest)
    fields.copy(medium, "pdq_quality", _quality)
    return medium


def _digest(value: object, path: str) -> str:
    digits = _DIGEST_DIGITS[path.rpartition(".")[2]]
    text = _string(value, path)
    if len(text) != digits or _HEX.fullmatch(text) is None:
        raise Refusal("field_type", f"{path}: a string that is not {digits} hex digits")
    return text.lower()


def _scores(value: object, path: str) -> dict[str, float]:
    members = _mapping(value, path)
    return {
        name: _number(members[name], f"{path}.*")
        for name in sorted(members)
        if members[name] is not None
    }


def _number(value: object, path: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _wrong(value, path, "a number")
    return float(value)
