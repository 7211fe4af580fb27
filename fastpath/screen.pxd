# The one call of the core: a batch of records in, flagged rows and packed sightings out.
from fastpath.windows cimport AccountWindows


cdef class ScreenState:
    cdef readonly AccountWindows windows
    cdef readonly int partition
    cdef readonly tuple specs
