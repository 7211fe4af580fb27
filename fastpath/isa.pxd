# The level of vector instructions that kernels are chosen by, once per process.
cdef extern from "isa.h" nogil:
    int ISA_SCALAR
    int ISA_AVX2
    int ISA_AVX512

cdef int isa_level() noexcept nogil
