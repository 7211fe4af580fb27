"""Choose kernels by what the CPU offers; FASTPATH_ISA=scalar|avx2|avx512 forces a level.

Every level gives the same results; the parity suite runs on each. Modules with kernels ask once,
at import. Raises ImportError for an unknown level, and for one that this machine lacks.
"""

import os

cdef extern from "isa.h" nogil:
    int isa_of_cpu()

LEVELS = ("scalar", "avx2", "avx512")
cdef int level = isa_of_cpu()


cdef object force(str name):
    global level
    if name not in LEVELS:
        raise ImportError(f"FASTPATH_ISA: one of {', '.join(LEVELS)} is due, not {name!r}")
    if LEVELS.index(name) > level:
        raise ImportError(f"FASTPATH_ISA: this machine has no {name}; {LEVELS[level]} is its best")
    level = LEVELS.index(name)


if os.environ.get("FASTPATH_ISA"):
    force(os.environ["FASTPATH_ISA"])

ISA = LEVELS[level]


cdef int isa_level() noexcept nogil:
    """Return one of ISA_SCALAR, ISA_AVX2, ISA_AVX512."""
    return level
