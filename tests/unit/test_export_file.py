"""A stage's state in a file: what was written is read, and what was cut or changed is refused."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import pytest

from fastpath.spec import Entry
from worker.domain.errors import UserError
from worker.state import export_file
from worker.state.export_file import Exported
from worker.state.transfer import Moved


def exported(seed: int) -> Exported:
    draw = random.Random(seed)
    states = [
        Moved(
            number,
            3,
            draw.randrange(-(2**63), 2**63),
            tuple(
                sorted(
                    Entry(draw.randbytes(16), draw.randbytes(draw.randrange(200)))
                    for _ in range(draw.randrange(300))
                )
            ),
        )
        for number in range(3)
    ]
    return Exported("enforce", "weir", "ab" * 32, (7, 0, 2**40), tuple(states))


@pytest.mark.parametrize("seed", range(5))
def test_what_was_written_is_read(tmp_path: Path, seed: int) -> None:
    held = exported(seed)
    path = tmp_path / "state.gz"
    export_file.write(path, held)
    assert export_file.read(path) == held
    assert [each.name for each in tmp_path.iterdir()] == ["state.gz"]


def test_any_cut_and_any_changed_byte_is_refused(tmp_path: Path) -> None:
    path, broken = tmp_path / "state.gz", tmp_path / "broken.gz"
    export_file.write(path, exported(1))
    lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    draw = random.Random(1)
    for _ in range(60):
        kept = list(lines)
        at = draw.randrange(len(kept))
        if draw.random() < 0.5:
            del kept[at]
        else:
            place = draw.randrange(len(kept[at]))
            changed = bytes([kept[at][place] ^ 1 << draw.randrange(7)])
            kept[at] = kept[at][:place] + changed + kept[at][place + 1 :]
        broken.write_bytes(gzip.compress(b"".join(kept)))
        with pytest.raises(UserError, match="export"):
            export_file.read(broken)


@pytest.mark.parametrize(
    "content",
    [b"", b"no gzip", gzip.compress(b""), gzip.compress(b"{}\n")],
    ids=["empty", "no gzip", "nothing", "no head"],
)
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.gz"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"other\.gz"):
        export_file.read(path)
