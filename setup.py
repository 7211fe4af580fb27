"""List the Cython extensions and the environment switches; pyproject.toml holds everything else."""

import os

from Cython.Build import cythonize
from setuptools import Extension, setup

MODULES = [
    "arena",
    "isa",
    "checksum",
    "text",
    "evasion",
    "keywords",
    "hashes",
    "exact",
    "near",
    "simhash",
    "changelog",
    "windows",
    "records",
    "posts",
    "fingerprints",
    "batches",
    "batch_writer",
    "rows",
    "screen",
]

only = os.environ.get("FASTPATH_ONLY")  # comma-separated modules of fastpath: just these
debug = os.environ.get("FASTPATH_DEBUG") == "1"  # bounds checks, asserts, line tracing
sanitize = os.environ.get("FASTPATH_SANITIZE") == "1"  # ASan and UBSan; make fuzz sets it
coverage = os.environ.get("FASTPATH_COVERAGE") == "1"  # .pyx line coverage
jobs = os.cpu_count() or 1  # a cold build is minutes of compiler time; modules do not wait

compile_args = ["-O3", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Wno-cast-function-type"]
link_args = []
macros = []
if sanitize:
    # Clang's, whose libFuzzer reads the edges counted. Line tables are enough for a stack.
    checks = "-fsanitize=address,undefined,fuzzer-no-link"
    compile_args = ["-O1", "-g1", checks, "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]
    link_args = [checks]
# Loops over tables, and the judge itself: each comparison told to libFuzzer costs more than it
# teaches (half of the time of the lanes).
silent = ["-fno-sanitize-coverage=trace-cmp"]
untold = {"fastpath.text", "fastpath.near", "fastpath.simhash", "tests.fuzz.native"}
if debug or coverage:
    macros = [("CYTHON_TRACE_NOGIL", "1")]

directives = {
    "language_level": 3,
    "boundscheck": debug,
    "wraparound": False,
    "initializedcheck": debug,
    "cdivision": True,
    "linetrace": debug or coverage,
}

names = [f"fastpath.{name}" for name in (only.split(",") if only else MODULES)]
if sanitize and not only:
    names.append("tests.fuzz.native")  # the fuzz targets that need no Python

extensions = [
    Extension(
        name,
        [f"{name.replace('.', '/')}.pyx"],
        extra_compile_args=[*compile_args, *(silent if sanitize and name in untold else [])],
        extra_link_args=link_args,
        define_macros=macros,
    )
    for name in names
]

setup(
    ext_modules=cythonize(
        extensions,
        compiler_directives=directives,
        annotate=os.environ.get("FASTPATH_ANNOTATE") == "1",
        build_dir="build/cython",
        nthreads=jobs,
    ),
    options={"build_ext": {"parallel": jobs}},
)
