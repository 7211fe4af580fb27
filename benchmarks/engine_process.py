"""Run one engine in a process of its own; `benchmarks.run` starts and drives it.

Each line on standard input asks for one pass; the answer is one line of JSON on what standard
output was at the start (libraries may print, they print to standard error then).
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.definition import Definition
from benchmarks.jobs import PeerMissingError, job_of
from benchmarks.measured import Measured
from fastpath import ISA

MISSING_PEER = 3  # exit code
DEFINITION = "definition.json"  # in the folder of inputs, written by the runner


def outputs_file(folder: Path, engine: str) -> Path:
    """Name the file that holds an engine's outputs of its last pass, sorted."""
    return folder / f"outputs-{engine}.txt"


def write_outputs(path: Path, outputs: Iterable[str]) -> dict[str, Any]:
    """Write the set of outputs in order; return its size and digest."""
    lines = sorted(set(outputs))
    digest = hashlib.blake2b(digest_size=16)
    with path.open("w", encoding="utf-8", errors="surrogatepass") as file:
        for line in lines:
            file.write(f"{line}\n")
            digest.update(f"{line}\n".encode(errors="surrogatepass"))
    return {"outputs": len(lines), "outputs_digest": digest.hexdigest()}


def answer(measured: Measured, path: Path) -> dict[str, Any]:
    """Give one pass in the form that the runner reads."""
    figures = {"peak_rss_mib": peak_rss_kib() / 1024, **measured.figures}
    return {
        "isa": ISA,
        "posts": measured.posts,
        "seconds": measured.seconds,
        "cpu_seconds": measured.cpu_seconds,
        "bytes": measured.bytes,
        "p99_ms": measured.p99_ms,
        "figures": figures,
        "counts": measured.counts,
        **write_outputs(path, measured.outputs),
    }


def peak_rss_kib() -> int:
    """Return the greatest resident size of this process; getrusage would count its parent's."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0])


def main(engine_name: str, folder: Path) -> int:
    """Serve passes over the inputs in `folder` until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    definition = Definition.model_validate_json((folder / DEFINITION).read_bytes())
    try:
        engine = job_of(definition).engine(engine_name, definition, folder)
    except PeerMissingError as error:
        print(error, file=sys.stderr)
        return MISSING_PEER
    try:
        for _ in sys.stdin:
            measured = engine.measure()
            reply = answer(measured, outputs_file(folder, engine_name))
            print(json.dumps(reply), file=answers, flush=True)
    finally:
        engine.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
