"""The hot path never enters the interpreter: read from the C that Cython made of it.

Cython refuses Python objects in a `nogil` function, yet lets in what takes the GIL unseen: a
`with gil` block, a call whose exception must be asked for, a slice of a memoryview (its count), a
checked division. All of them show in the C as names of the Python API.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from Cython.Build.Dependencies import cythonize

FASTPATH = Path(__file__).parents[2] / "fastpath"
GENERATED = Path(__file__).parents[2] / "build" / "cython" / "fastpath"
MODULES = sorted(path.stem for path in FASTPATH.glob("*.pyx"))

_INCLUDE = re.compile(r'^include "(\w+\.pxi)"', re.M)
_CLASS = re.compile(r"^cdef class (\w+)", re.M)
_HOT = re.compile(r"^( *)cdef [^\n(=]*?(\w+)\((?:[^()]|\([^()]*\))*\)\s*noexcept nogil\s*:", re.M)
_FUNCTION = re.compile(r"^[^\s#/}][^;{}=]*?\b__pyx_f_(\w+)\([^;{}]*\) \{\n(.*?)^\}", re.M | re.S)
_NOGIL_BLOCK = re.compile(
    r"\bPyEval_SaveThread\(\);\s*__Pyx_FastGIL_Remember\(\);(.*?)\b__Pyx_FastGIL_Forget\(\)", re.S
)
_COMMENT = re.compile(r"/\*.*?\*/", re.S)
_PYTHON_API = re.compile(r"\b(?:_?Py[A-Z_]\w*|__Pyx_\w+|__pyx_L\d+_error)\b")
_TYPES = {"Py_ssize_t"}  # an integer of C; Cython's name for it


def sources_of(module: str) -> list[Path]:
    """List what a module is written in: its .pyx, what that includes, its .pxd."""
    pyx = FASTPATH / f"{module}.pyx"
    included = [FASTPATH / name for name in _INCLUDE.findall(pyx.read_text())]
    return [pyx, *included, *(path for path in [pyx.with_suffix(".pxd")] if path.exists())]


def hot_functions(source: str) -> set[str]:
    """Name the functions declared `noexcept nogil` that have a body, methods as Class.name."""
    found = set()
    for match in _HOT.finditer(source):
        owners = _CLASS.findall(source[: match.start()]) if match[1] else []
        found.add(".".join([*owners[-1:], match[2]]))
    return found


def name_of(mangled: str) -> str:
    """Turn `8fastpath_7records_9BatchView_ref` into `fastpath.records.BatchView.ref`."""
    parts = []
    while size := re.match(r"\d+", mangled):
        end = size.end() + int(size[0])
        parts.append(mangled[size.end() : end])
        mangled = mangled[end + 1 :]
    return ".".join([*parts, mangled])


def functions_of(generated: str) -> dict[str, str]:
    """Map the C functions of a module to their bodies."""
    return {name_of(name): body for name, body in _FUNCTION.findall(generated)}


def python_api(body: str) -> set[str]:
    """Name what a piece of C uses of the Python API; comments quote Cython and do not count."""
    return set(_PYTHON_API.findall(_COMMENT.sub("", body))) - _TYPES


def blocks_of(generated: str) -> Iterator[str]:
    """Yield what stands in `with nogil`, between giving the GIL away and taking it back."""
    yield from _NOGIL_BLOCK.findall(generated)


def generated_of(module: str) -> str:
    path = GENERATED / f"{module}.c"
    assert path.exists(), f"{path} is missing: build first (make .venv/dev)"
    return path.read_text()


@pytest.mark.parametrize("module", MODULES)
def test_no_hot_function_touches_the_python_api(module: str) -> None:
    functions = functions_of(generated_of(module))
    hot = {
        f"fastpath.{module}.{name}"
        for path in sources_of(module)
        if path.suffix != ".pxd"
        for name in hot_functions(path.read_text())
    }
    assert hot <= functions.keys(), f"not in the C, build first: {hot - functions.keys()}"
    # A .pxd shares inline functions: they stand in the C of every module that uses them.
    hot |= {
        f"fastpath.{other}.{name}"
        for other in MODULES
        if (FASTPATH / f"{other}.pxd").exists()
        for name in hot_functions((FASTPATH / f"{other}.pxd").read_text())
    } & functions.keys()
    touched = {name: python_api(functions[name]) for name in sorted(hot)}
    assert {name: sorted(api) for name, api in touched.items() if api} == {}


@pytest.mark.parametrize("module", MODULES)
def test_no_block_without_the_gil_touches_the_python_api(module: str) -> None:
    generated = generated_of(module)
    written = sum(path.read_text().count("with nogil:") for path in sources_of(module))
    blocks = list(blocks_of(generated))
    assert len(blocks) == written
    assert [sorted(api) for block in blocks if (api := python_api(block))] == []


def test_every_hot_function_is_looked_at() -> None:
    """A style of declaration that the search does not know must not pass unseen."""
    written = found = 0
    for path in {path for module in MODULES for path in sources_of(module)}:
        source = path.read_text()
        written += source.count("noexcept nogil:")
        found += len(hot_functions(source))
    assert found == written > 400


PLANTED = """
cdef int may_raise(int x) except -1 nogil:
    if x == 7:
        with gil:
            raise ValueError
    return x

cdef int clean(int x) noexcept nogil:
    return x * 3

cdef int takes_the_gil(int x) noexcept nogil:
    with gil:
        print(x)
    return x

cdef int asks_for_an_exception(
    int x, int (*pointer)(int) noexcept nogil
) noexcept nogil:
    return may_raise(x) + pointer(x)

cdef int counts_a_view(const unsigned char[::1] view) noexcept nogil:
    cdef const unsigned char[::1] part = view[1:]
    return part[0]

cdef class Owner:
    cdef int x

    cdef int method(self) noexcept nogil:
        return may_raise(self.x)

    cdef int clean_method(self) noexcept nogil:
        return self.x

def block(int x):
    with nogil:
        x = clean(x)
    with nogil:
        x = may_raise(x)
    return x
"""


def test_planted_uses_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("planted.pyx").write_text(PLANTED)
    cythonize(["planted.pyx"], language_level=3, quiet=True)
    generated = Path("planted.c").read_text()
    functions = functions_of(generated)
    hot = hot_functions(PLANTED)
    assert hot == {
        "clean", "takes_the_gil", "asks_for_an_exception", "counts_a_view", "Owner.method",
        "Owner.clean_method",
    }  # fmt: skip
    assert {name for name in hot if python_api(functions[f"planted.{name}"])} == {
        "takes_the_gil", "asks_for_an_exception", "counts_a_view", "Owner.method",
    }  # fmt: skip
    assert [bool(python_api(block)) for block in blocks_of(generated)] == [False, True]
