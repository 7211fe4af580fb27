"""Describe where a figure was taken: machine, versions, revision."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sysconfig
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.definition import OWN_ENGINE
from deploy.local import broker

ROOT = Path(__file__).resolve().parents[1]
OWN_PACKAGES = ("kafka-python", "orjson", "cel-expr-python", "cython")


def machine() -> dict[str, Any]:
    """Return processor, memory and kernel, and how busy the machine is now."""
    cpu = _cpu()
    return {
        "slug": slug(cpu["model"], os.cpu_count() or 1),
        **cpu,
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": platform.release(),
        "governor": _text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") or "unknown",
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }


def slug(model: str, cores: int) -> str:
    """Name a kind of machine as a folder of records."""
    return f"{re.sub(r'[^a-z0-9]+', '-', model.lower()).strip('-')}-{cores}-cores"


def versions(engines: Iterable[str]) -> dict[str, str]:
    """Return versions of all that took part, of the compiler, and the revision of this tree."""
    packages = [*OWN_PACKAGES]
    for engine in engines:
        if engine != OWN_ENGINE:
            packages += _packages_of(engine)
    return {
        "weir": version("weir"),
        "revision": revision(),
        "python": platform.python_version(),
        "compiler": _first_line([*_compiler(), "--version"]),
        "kafka": broker.JARS.parent.name.removeprefix("kafka-"),
        **{name: _version(name) for name in dict.fromkeys(packages)},
    }


def revision() -> str:
    """Return the commit, with `-dirty` where the tree differs from it; empty outside git."""
    commit = _first_line(["git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD"])
    changed = _first_line(["git", "-C", str(ROOT), "status", "--porcelain", "-uno"])
    return commit + ("-dirty" if commit and changed else "")


def _packages_of(engine: str) -> tuple[str, ...]:
    """Read PACKAGES of a peer from its source: it need not be importable here."""
    path = Path(__file__).parent / "peers" / f"{engine.replace('-', '_')}.py"
    found = re.search(r"^PACKAGES = \((.*?)\)", _text(str(path)), re.MULTILINE | re.DOTALL)
    return tuple(re.findall(r'"([^"]+)"', found[1])) if found else ()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _cpu() -> dict[str, Any]:
    text = _text("/proc/cpuinfo")
    model = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    flags = re.search(r"^flags\s*: (.*)$", text, re.MULTILINE)
    known = set(flags[1].split()) if flags else set()
    wanted = ("sse4_2", "avx2", "avx512f", "avx512bw", "avx512_vbmi", "avx512_vpopcntdq")
    caches = {
        f"L{_text(f'{index}/level')}{_text(f'{index}/type')[:1].lower()}": _text(f"{index}/size")
        for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"))
    }
    return {
        "model": model[1] if model else platform.processor(),
        "flags": [flag for flag in wanted if flag in known],
        "caches": caches,
    }


def _compiler() -> list[str]:
    return str(sysconfig.get_config_var("CC") or "cc").split()[:1]


def _first_line(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.partition("\n")[0].strip()


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return ""
