"""Keep a stage's state in a file: JSON lines, gzip, one line per slice, a digest at the end.

The file is what `weir state export` writes and `import` reads. Its lines are a head, then one line
per slice that holds something, then an end with a count and a digest of all before it, so that a
file that was cut or changed is refused.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from fastpath.changelog import pack, unpack
from fastpath.errors import CorruptImage
from fastpath.spec import Entry
from worker.domain.errors import UserError
from worker.state.changelog import SLICES
from worker.state.transfer import Moved

FORM = "weir-state"
VERSION = 1
LEVEL = 6  # of gzip


class Exported(NamedTuple):
    """Hold the state of a whole stage outside Kafka."""

    stage: str
    deployment: str
    bundle: str  # digest of the policy that was given when it was exported, hex
    offsets: tuple[int, ...]  # by partition: the input offset that comes next
    states: tuple[Moved, ...]  # by partition


def write(path: Path, exported: Exported) -> None:
    """Write the file under a name of its own first, then rename it."""
    part = path.with_name(f"{path.name}.part")
    digest = hashlib.blake2b()
    with gzip.open(part, "wb", LEVEL) as out:
        count = 0
        for line in _lines(exported):
            digest.update(line)
            out.write(line)
            count += 1
        out.write(_line({"end": count, "blake2b": digest.hexdigest()}))
    part.replace(path)


def read(path: Path) -> Exported:
    """Read a file whole.

    Raises:
        UserError: it cannot be read, is no export, or was cut or changed.
    """
    try:
        with gzip.open(path, "rb") as held:
            lines = held.readlines()
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: not readable as an export of state: {error}") from None
    try:
        return _exported(lines)
    except (CorruptImage, KeyError, TypeError, ValueError, IndexError) as error:
        raise UserError(f"{path}: no whole export of state: {error!r}; export it again") from None


def _lines(exported: Exported) -> Iterator[bytes]:
    yield _line(
        {
            "form": FORM,
            "version": VERSION,
            "stage": exported.stage,
            "deployment": exported.deployment,
            "bundle": exported.bundle,
            "offsets": exported.offsets,
            "stream_times": [state.stream_time for state in exported.states],
        }
    )
    for state in exported.states:
        for slice_, entries in _slices(state.entries):
            packed = base64.b64encode(pack(entries)).decode()
            yield _line({"partition": state.partition, "slice": slice_, "entries": packed})


def _slices(entries: Iterable[Entry]) -> Iterator[tuple[int, list[Entry]]]:
    found: list[list[Entry]] = [[] for _ in range(SLICES)]
    for entry in entries:
        found[entry.key[0]].append(entry)
    return ((slice_, sorted(held)) for slice_, held in enumerate(found) if held)


def _line(document: dict[str, Any]) -> bytes:
    return orjson.dumps(document) + b"\n"


def _exported(lines: list[bytes]) -> Exported:
    end = orjson.loads(lines[-1])
    if (end["end"], end["blake2b"]) != (
        len(lines) - 1,
        hashlib.blake2b(b"".join(lines[:-1])).hexdigest(),
    ):
        raise ValueError("its end does not match what stands before")
    head = orjson.loads(lines[0])
    if (head["form"], head["version"]) != (FORM, VERSION):
        raise ValueError(f"form {head['form']} {head['version']}, this build reads {VERSION}")
    times = head["stream_times"]
    entries: list[list[Entry]] = [[] for _ in times]
    for line in lines[1:-1]:
        part = orjson.loads(line)
        entries[part["partition"]] += unpack(base64.b64decode(part["entries"], validate=True))
    states = tuple(
        Moved(number, len(times), time, tuple(entries[number])) for number, time in enumerate(times)
    )
    return Exported(
        head["stage"], head["deployment"], head["bundle"], tuple(head["offsets"]), states
    )
