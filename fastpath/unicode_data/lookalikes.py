"""Derive the mappings of the skeleton and squeezed lanes: ICU's confusables, our reviewed table.

ICU is loaded by the generator alone; what it says is committed in the generated tables.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from fastpath.unicode_data import reviewed
from fastpath.unicode_data.imitations import imitations, other_imitations, turned
from fastpath.unicode_data.sources import CODE_POINTS, UnicodeModel

ICU_MAJOR = 72  # its confusables are those of Unicode 15.0
_ICU_UNICODE = (15, 0, 0, 0)
_BUFFER_BYTES = 1024
# Prototypes of these would only make signs of signs ("—" the kana "ー"), or split syllables that
# nobody reads as others.
_LEFT_OUT_CATEGORIES = ("P", "Z", "Sk", "C")
_HANGUL = (
    *(range(0x1100, 0x1200), range(0x3131, 0x318F), range(0xA960, 0xA980)),
    *(range(0xAC00, 0xD800), range(0xFFA0, 0xFFDD)),
)

# Mathematical alphabets of Latin: 26 capitals and 26 small letters each. Some were encoded before
# and elsewhere; who counts on from A writes their empty places. Then capital alphas of the Greek.
_MATHEMATICAL = range(0x1D400, 0x1D6A4)
_MATHEMATICAL_ALPHAS = (0x1D6A8, 0x1D6E2, 0x1D71C, 0x1D756, 0x1D790)

# Kinds of a code point of the lane that the squeezed one is made from.
PUNCTUATION, SPACE, LETTER, DIGIT, SIGN, DETACHED = range(6)


@dataclass(slots=True)
class Lookalikes:
    """Hold what the generated tables say of look-alikes."""

    prototypes: dict[int, tuple[int, ...]] = field(default_factory=dict)  # UTS #39, decomposed
    # Code points beyond ASCII that the folded lane does not already show as their prototype.
    disguised: set[int] = field(default_factory=set)
    opening: set[int] = field(default_factory=set)  # beyond ASCII: open the squeezed lane
    loose: dict[int, tuple[int, int]] = field(default_factory=dict)  # kind, letter; see loose_of
    # What a code point is in a word of which every letter is Latin or recalls Latin, a-z: by code
    # points of the lane below, where they differ from `loose`; in the second reading, by code
    # points of the text, for all that are letters in it; those that recall two letters; and in
    # text turned upside down.
    imitations: dict[int, int] = field(default_factory=dict)
    second: dict[int, int] = field(default_factory=dict)
    twofold: set[int] = field(default_factory=set)
    turned: dict[int, int] = field(default_factory=dict)


def derive(model: UnicodeModel) -> Lookalikes:
    """Derive all mappings; raise ValueError if ICU is of another version."""
    found = Lookalikes()
    skeleton = _open_icu()
    for code_point in range(CODE_POINTS):
        if not _is_mapped(code_point, model):
            continue
        target = tuple(part for cp in skeleton(code_point) for part in decomposed(cp, model))
        if target != decomposed(code_point, model) and not _is_lost(code_point, target, model):
            found.prototypes[code_point] = target
    for code_point, target in found.prototypes.items():
        plain = folded((code_point,), model)
        if code_point > 0x7F and folded(target, model) != plain:
            found.disguised.add(code_point)
    _add_imitations(model, found)
    drawn = _drawn_alike(model, found)
    for code_point in range(CODE_POINTS):
        loose = loose_of(drawn.get(code_point, code_point), model)
        if code_point in found.imitations:
            loose = (LETTER, code_point)
        elif model.fold.get(code_point) == ():
            loose = (DETACHED, 0)
        found.loose[code_point] = loose
    _add_second_readings(model, found)
    found.turned = {ord(source): ord(_grouped(letter)) for source, letter in turned()}
    for code_point in range(0x80, CODE_POINTS):
        kind = found.loose[code_point][0]
        if (
            code_point in found.disguised
            or code_point in found.imitations
            or code_point in found.twofold
            or code_point in found.turned
            or kind == SIGN
            or _is_framed(code_point, model, found)
            or (kind == DETACHED and model.fold.get(code_point) != ())
            or (kind == LETTER and code_point not in model.unspaced)
        ):
            found.opening.add(code_point)
    return found


def _drawn_alike(model: UnicodeModel, found: Lookalikes) -> dict[int, int]:
    """Return, by what the skeleton lane shows of it, each code point of the reviewed tables."""
    alike: dict[int, int] = {}
    for character in (*reviewed.SIGNS, *reviewed.LETTERS):
        lane = folded(found.prototypes.get(ord(character), ()), model)
        if len(lane) == 1 and lane[0] > 0xFF and lane[0] not in found.imitations:
            alike.setdefault(lane[0], ord(character))
    return {shown: source for shown, source in alike.items() if chr(shown) not in reviewed.SIGNS}


def _add_imitations(model: UnicodeModel, found: Lookalikes) -> None:
    """Note what a lane shows of letters that recall others; those shown as themselves first."""

    def is_folded(each: tuple[str, str]) -> bool:
        return folded((ord(each[0]),), model) != (ord(each[0]),)

    for source, letter in sorted(imitations(), key=is_folded):
        for target in ((ord(source),), found.prototypes.get(ord(source), ())):
            lane = folded(target, model)
            if len(lane) == 1 and lane[0] > 0x7F and not _is_reviewed(lane[0]):
                found.imitations.setdefault(lane[0], ord(_grouped(letter)))


def _is_reviewed(code_point: int) -> bool:
    return chr(code_point) in reviewed.LETTERS or chr(code_point) in reviewed.SIGNS


def _is_framed(code_point: int, model: UnicodeModel, found: Lookalikes) -> bool:
    """Say whether a code point folds to a letter between signs, as "(a)"."""
    kinds = {found.loose[each][0] for each in folded((code_point,), model)}
    return kinds >= {LETTER, PUNCTUATION}


def _add_second_readings(model: UnicodeModel, found: Lookalikes) -> None:
    """Read each code point of a text by itself; where two letters come of it, by the other one."""
    first: dict[int, int] = {}
    for code_point in range(CODE_POINTS):
        plain = _read_as(folded((code_point,), model), found)
        shown = _read_as(folded(found.prototypes.get(code_point, (code_point,)), model), found)
        first[code_point] = shown
        if shown or plain:
            found.second[code_point] = shown or plain
    for source, letter in _read_otherwise(first):
        code_point, grouped = ord(source), ord(_grouped(letter))
        if code_point > 0x7F and code_point not in found.twofold and first[code_point] != grouped:
            found.second[code_point] = grouped
            found.twofold.add(code_point)


def _read_otherwise(first: dict[int, int]) -> Iterator[tuple[str, str]]:
    """Yield characters and what people read them as; the first that is no first reading counts."""
    listed = dict(imitations())
    yield from listed.items()
    for each, capital in _mathematical_greek():
        if capital in listed:
            yield each, listed[capital]
    for source, letter in listed.items():
        for case in (source.upper(), source.lower()):
            if len(case) == 1 and source in (case.upper(), case.lower()) and case not in listed:
                yield case, letter
    for source, letter in (reviewed.SIGNS | reviewed.LETTERS).items():
        if first[ord(source)]:
            yield source, letter
    yield from other_imitations()


def _mathematical_greek() -> Iterator[tuple[str, str]]:
    """Yield mathematical Greek capitals, which fold to small letters, and the plain ones."""
    for alpha in _MATHEMATICAL_ALPHAS:
        for place, capital in enumerate(range(ord("Α"), ord("Ω") + 1)):
            yield chr(alpha + place), chr(capital)


def _read_as(lane: tuple[int, ...], found: Lookalikes) -> int:
    """Return the letter a-z that a lane is in a word of such letters; 0 if it is something else."""
    letters = [each for each in lane if found.loose[each][0] != DETACHED]
    if len(letters) != 1 or found.loose[letters[0]][0] != LETTER:
        return 0
    letter = found.loose[letters[0]][1]
    letter = found.imitations.get(letters[0], found.imitations.get(letter, letter))
    return letter if ord("a") <= letter <= ord("z") else 0


def skeleton_model(model: UnicodeModel, found: Lookalikes) -> UnicodeModel:
    """Return a model whose folding is that of the skeleton lane, for the same layout of tables."""
    fold = dict(model.fold)
    for code_point, target in found.prototypes.items():
        fold[code_point] = folded(target, model)
    return replace(model, fold=fold)


def decomposed(code_point: int, model: UnicodeModel) -> tuple[int, ...]:
    """Return the full canonical decomposition; Hangul syllables stay whole."""
    target = model.decompose.get(code_point)
    if target is None:
        return (code_point,)
    return tuple(part for item in target for part in decomposed(item, model))


def folded(sequence: tuple[int, ...], model: UnicodeModel) -> tuple[int, ...]:
    """Return NFKC_Casefold of each code point, canonically decomposed."""
    mapped = (part for cp in sequence for part in model.fold.get(cp, (cp,)))
    return tuple(part for cp in mapped for part in decomposed(cp, model))


def loose_of(code_point: int, model: UnicodeModel) -> tuple[int, int]:
    """Return (kind, letter): what a code point of a folded text is in the squeezed lane.

    For digits and signs the letter is what they stand for beside letters.
    """
    character = chr(code_point)
    if any(first <= code_point <= last for first, last in reviewed.DETACHED):
        return DETACHED, 0
    if code_point in model.space:
        return SPACE, 0
    if character in reviewed.DIGITS:
        return DIGIT, ord(_grouped(reviewed.DIGITS[character]))
    if character in reviewed.SIGNS:
        return SIGN, ord(_grouped(reviewed.SIGNS[character]))
    for first in reviewed.SYMBOL_ALPHABETS:
        if first <= code_point < first + 26:
            return LETTER, ord(_grouped(chr(ord("a") + code_point - first)))
    if code_point in _MATHEMATICAL and code_point not in model.category:
        place = (code_point - _MATHEMATICAL.start) % 26
        return LETTER, ord(_grouped(chr(ord("a") + place)))
    if character in reviewed.LETTERS:
        return LETTER, ord(_grouped(reviewed.LETTERS[character]))
    if model.category.get(code_point, "Cn")[0] not in "LMN":
        return PUNCTUATION, 0
    if code_point in model.bare:
        base = chr(decomposed(code_point, model)[0])
        letter = reviewed.LETTERS.get(base, model.latin.get(ord(base), base))
        return LETTER, ord(_grouped(letter))
    return LETTER, ord(_grouped(character))


def _grouped(letter: str) -> str:
    return reviewed.GROUPS.get(letter, letter)


def _is_mapped(code_point: int, model: UnicodeModel) -> bool:
    category = model.category.get(code_point, "Cn")
    if category.startswith(_LEFT_OUT_CATEGORIES) or code_point == 0:
        return False
    return model.fold.get(code_point) != () and not any(code_point in span for span in _HANGUL)


def _is_lost(code_point: int, target: tuple[int, ...], model: UnicodeModel) -> bool:
    """Say whether a letter would become a mere sign, as the Hebrew yod an apostrophe.

    Its words would fall apart there. Modifier letters are signs to those who write them.
    """
    category = model.category.get(code_point, "Cn")
    return (
        category[0] in "LN"
        and category != "Lm"
        and not any(
            model.category.get(each, "Cn")[0] in "LN" or _is_reviewed(each) for each in target
        )
    )


def _open_icu() -> Callable[[int], tuple[int, ...]]:
    """Return ICU's skeleton of one code point (uspoof_getSkeletonUTF8, all checks of UTS #39)."""
    try:
        common = ctypes.CDLL(f"libicuuc.so.{ICU_MAJOR}")
        library = ctypes.CDLL(f"libicui18n.so.{ICU_MAJOR}")
    except OSError as error:
        raise ValueError(
            f"ICU {ICU_MAJOR} is needed (Debian: libicu{ICU_MAJOR}): {error}"
        ) from None
    version = (ctypes.c_uint8 * 4)()
    getattr(common, f"u_getUnicodeVersion_{ICU_MAJOR}")(version)
    if tuple(version) != _ICU_UNICODE:
        raise ValueError(f"expected ICU of Unicode {_ICU_UNICODE}, this one has {tuple(version)}")
    status = ctypes.c_int(0)
    opening = getattr(library, f"uspoof_open_{ICU_MAJOR}")
    opening.restype = ctypes.c_void_p
    checker = ctypes.c_void_p(opening(ctypes.byref(status)))
    if status.value > 0:
        raise ValueError(f"uspoof_open failed with ICU error {status.value}")
    buffer = ctypes.create_string_buffer(_BUFFER_BYTES)
    convert = getattr(library, f"uspoof_getSkeletonUTF8_{ICU_MAJOR}")

    def skeleton(code_point: int) -> tuple[int, ...]:
        source = chr(code_point).encode()
        code = ctypes.c_int(0)
        size = convert(checker, 0, source, len(source), buffer, _BUFFER_BYTES, ctypes.byref(code))
        if code.value > 0:
            raise ValueError(f"ICU error {code.value} at U+{code_point:04X}")
        return tuple(map(ord, buffer.raw[:size].decode()))

    return skeleton
