/* Which vector instructions this CPU and its operating system offer; CPUID through the compiler. */
#ifndef FASTPATH_ISA_H
#define FASTPATH_ISA_H

enum { ISA_SCALAR = 0, ISA_AVX2 = 1, ISA_AVX512 = 2 };

/* What functions of each level may use: put before a function with its intrinsics. */
#define TARGET_AVX2 __attribute__((target("avx2,bmi,bmi2,lzcnt,popcnt,pclmul")))
#define TARGET_AVX512 \
    __attribute__((target("avx2,bmi,bmi2,lzcnt,popcnt,pclmul,avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,avx512vbmi2")))

static inline int isa_of_cpu(void) {
    __builtin_cpu_init();
    if (!(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi")
          && __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt")
          && __builtin_cpu_supports("pclmul")))
        return ISA_SCALAR;
    if (!(__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
          && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")
          && __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2")))
        return ISA_AVX2;
    return ISA_AVX512;
}

#endif
