"""Count what a text does to be read by people and not by programs.

Scripts inside a word are compared as UTS #39 does (section 5.1, mixed-script detection), but for
scripts that another follows without a space; `fastpath.reference.evasion` is the definition. The
screen counts where a gate reads one of the counts, and conditions read them of what passed.
"""

from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memset

from fastpath.utf8 cimport decode, is_ascii

from fastpath.columns import Evasion
from fastpath.spec import MIXED_WORD_LETTERS

cdef extern from "script_tables.h":
    enum:
        SCRIPT_SHIFT
    const uint16_t script_blocks[]
    const uint16_t script_entries[]

cdef enum:
    LEAST_LETTERS = 3  # MIXED_WORD_LETTERS

    # Bits of an entry; layout: fastpath/unicode_data/scripts.py.
    ENTRY_SCRIPT = 0xFF
    ENTRY_LETTER = 1 << 8
    ENTRY_WITHIN = 1 << 9
    ENTRY_BARE = 1 << 10
    ENTRY_HIDDEN = 1 << 11
    ENTRY_OVERRIDE = 1 << 12
    ENTRY_PASSED = 1 << 13

if MIXED_WORD_LETTERS != LEAST_LETTERS:
    raise ImportError("fastpath.evasion was compiled with another limit than fastpath.spec")


cdef struct Word:
    uint32_t letters
    uint32_t script  # of its first letter that is of one script; 0: none yet
    bint mixed


cdef inline uint32_t entry_of(uint32_t code_point) noexcept nogil:
    cdef uint32_t block = script_blocks[code_point >> SCRIPT_SHIFT]
    return script_entries[block << SCRIPT_SHIFT | (code_point & ((1 << SCRIPT_SHIFT) - 1))]


cdef inline void read_letter(Word* word, uint32_t script) noexcept nogil:
    word.letters += 1
    if script == 0:
        return
    if word.script == 0:
        word.script = script
    elif word.script != script:
        word.mixed = True


cdef inline void end_word(Word* word, Evasions* out) noexcept nogil:
    out.mixed_words += word.mixed and word.letters >= LEAST_LETTERS
    memset(word, 0, sizeof(Word))


cdef void measure_evasion(const uint8_t* text, size_t size, Evasions* out) noexcept nogil:
    cdef Word word
    cdef size_t at = 0
    cdef uint32_t length, entry, waiting = 0
    cdef bint bare = False, before
    memset(out, 0, sizeof(Evasions))
    if is_ascii(text, size):
        return
    memset(&word, 0, sizeof(Word))
    while at < size:
        entry = entry_of(decode(text + at, &length))
        at += length
        if entry & ENTRY_HIDDEN:
            waiting += bare
            continue
        if entry & ENTRY_OVERRIDE:
            out.direction_overrides += 1
            continue
        if not entry & ENTRY_PASSED:
            before = bare
            bare = (entry & ENTRY_BARE) != 0
            if bare and before:
                out.hidden_characters += waiting
            waiting = 0
        if entry & ENTRY_LETTER:
            read_letter(&word, entry & ENTRY_SCRIPT)
        elif not entry & ENTRY_WITHIN:
            end_word(&word, out)
    end_word(&word, out)


def measure(text):
    """Count words of mixed script, hidden characters inside words, and turned directions."""
    cdef Evasions found
    cdef Py_ssize_t size
    cdef const char* data = PyUnicode_AsUTF8AndSize(text, &size)
    with nogil:
        measure_evasion(<const uint8_t*>data, <size_t>size, &found)
    return Evasion(found.mixed_words, found.hidden_characters, found.direction_overrides)
