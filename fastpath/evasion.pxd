# What a text does to be read by people and not by programs.
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t


cdef struct Evasions:
    uint32_t mixed_words
    uint32_t hidden_characters
    uint32_t direction_overrides


# Total on valid UTF-8; one look-up a code point, nothing but a scan where all is ASCII.
cdef void measure_evasion(const uint8_t* text, size_t size, Evasions* out) noexcept nogil
