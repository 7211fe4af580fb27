# SimHash-64 of a text.
from libc.stdint cimport uint64_t

from fastpath.arena cimport Bump
from fastpath.text cimport Lane

# 0, or -1 when the arena has no memory. A lane of too few grams has the SimHash 0.
cdef int simhash_lane(Bump* bump, const Lane* folded, uint64_t* out) noexcept nogil
