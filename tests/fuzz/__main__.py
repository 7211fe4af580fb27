"""Fuzz the core under ASan and UBSan, guided by the edges it takes.

Every file fuzz_TARGET.py here is a target: `test_one(data)` judges one input, `seeds()` may yield
inputs to begin with. The targets native_TARGET (native.pyx) run from C, ten to fifty times as
fast, and judge without the twin. What libFuzzer finds worth keeping stays in
build/fuzz/corpus/TARGET; inputs that once failed are kept in corpus/TARGET beside this file and
run first.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.fuzz import record, sanitized
from tests.fuzz.one_target import NATIVE

HERE = Path(__file__).parent
NATIVE_TARGETS = ("batches", "changelog", "json", "keywords", "lanes", "near", "urls")
TARGETS = sorted(
    [path.stem.removeprefix("fuzz_") for path in HERE.glob("fuzz_*.py")]
    + [NATIVE + name for name in NATIVE_TARGETS]
)
OUT = sanitized.ROOT / "build" / "fuzz"
EXAMPLES = """examples:
  python -m tests.fuzz json --seconds 60
  python -m tests.fuzz all --runs 1000000 --jobs 2 --record
  python -m tests.fuzz json --input build/fuzz/json-crash-0123   run one input again
"""
_EXECUTIONS = re.compile(r"^stat::number_of_executed_units:\s+(\d+)", re.M)
_EDGES = re.compile(r"\bcov: (\d+)")
# The timeout is far above any execution seen.
LIMITS = ["-timeout=120", "-rss_limit_mb=4096"]
# Longer inputs cost the twin more than they teach.
PYTHON_LIMITS = ["-max_len=4096", "-use_value_profile=1"]
NATIVE_LIMITS = ["-max_len=1024"]  # executions are cheap: many short ones go further


def options_of(target: str, arguments: argparse.Namespace) -> list[str]:
    """Return the arguments of libFuzzer for one target, and make the folders they name."""
    if arguments.input:
        return [str(arguments.input)]
    corpus, kept = OUT / "corpus" / target, HERE / "corpus" / target.removeprefix(NATIVE)
    bounds = {"-runs": arguments.runs, "-max_total_time": arguments.seconds}
    return [
        *LIMITS,
        *(NATIVE_LIMITS if target.startswith(NATIVE) else PYTHON_LIMITS),
        *(f"{name}={value}" for name, value in bounds.items() if value is not None),
        f"-artifact_prefix={OUT}/{target}-",
        "-print_final_stats=1",
        str(corpus),
        *([str(kept)] if kept.is_dir() else []),
    ]


def fuzz(target: str, arguments: argparse.Namespace) -> int | None:
    """Run one target to its bound; return its executions, or None where it found a failure."""
    corpus = OUT / "corpus" / target
    corpus.mkdir(parents=True, exist_ok=True)
    child = ["-m", "tests.fuzz.one_target", target, str(corpus), *options_of(target, arguments)]
    with subprocess.Popen(
        sanitized.command(child),
        env=sanitized.environment(),
        cwd=sanitized.ROOT,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as process:
        assert process.stderr is not None
        output = []
        for line in process.stderr:
            output.append(line)
            if not arguments.quiet:
                print(f"{target}: {line}", end="", file=sys.stderr)
    text = "".join(output)
    executions = _EXECUTIONS.search(text)
    if process.returncode or (executions is None and not arguments.input):
        print(text[-8_000:] if arguments.quiet else "", file=sys.stderr)
        print(f"{target}: failed; its input is {OUT}/{target}-*", flush=True)
        return None
    seen, edges = int(executions[1]) if executions else 1, _EDGES.findall(text)
    print(f"{target}: {seen:,} executions, {edges[-1] if edges else 0} edges", flush=True)
    if arguments.record:
        record.add(target, record.Count(seen, int(edges[-1]), commit()))
    return seen


def commit() -> str:
    """Return the short name of the commit that is checked out."""
    line = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.check_output(line, cwd=sanitized.ROOT, text=True).strip()


def parse(line: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz",
        description=__doc__.splitlines()[0],
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("target", nargs="+", choices=["all", *TARGETS], metavar="TARGET",
                        help=f"all, or of {', '.join(TARGETS)}")  # fmt: skip
    parser.add_argument("--runs", type=int, help="executions per target")
    parser.add_argument("--seconds", type=int, help="time per target (default 60)")
    parser.add_argument("--jobs", type=int, default=1, help="targets at a time (default 1)")
    parser.add_argument("--input", type=Path, help="run the targets on this one file")
    parser.add_argument("--record", action="store_true", help="add the executions to record.md")
    parser.add_argument("--quiet", action="store_true", help="one line per target")
    arguments = parser.parse_args(line)
    if arguments.runs is None and arguments.seconds is None:
        arguments.seconds = 60
    return arguments


def main() -> None:
    """Run the targets that were asked for; fail when one failed."""
    arguments = parse(sys.argv[1:])
    targets = TARGETS if "all" in arguments.target else arguments.target
    with ThreadPoolExecutor(arguments.jobs) as pool:
        seen = list(pool.map(lambda target: fuzz(target, arguments), targets))
    print(f"{sum(filter(None, seen)):,} executions in all")
    sys.exit(any(count is None for count in seen))


if __name__ == "__main__":
    main()
