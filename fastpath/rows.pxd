# The row of one flagged record: its members, for the screen to fill.
from libc.stdint cimport int64_t, uint32_t


cdef class Row:
    cdef public Py_ssize_t index
    cdef public int64_t offset
    cdef public int64_t time
    cdef public object status
    cdef public object reason
    cdef public object error
    cdef public uint32_t flags
    cdef public object gates
    cdef public tuple matches
    cdef public tuple hits
    cdef public tuple windows
    cdef public bytes text_digest
    cdef public str id
    cdef public uint32_t revision
    cdef public str account
    cdef public object account_created_at
    cdef object read  # the canonical form, None until somebody looks
    cdef bytes value  # what it is read from
    cdef object field_map
