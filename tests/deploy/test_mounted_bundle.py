"""A bundle loads from a ConfigMap volume, whose files are links, with the digest of the folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.deploy.conftest import ROOT
from worker.policy.bundle import load_bundle

EXAMPLE = ROOT / "deploy" / "example" / "bundle"


def mounted(folder: Path) -> Path:
    """Lay the example out as the kubelet does: top-level links through `..data`."""
    mount = folder / "bundle"
    stamped = mount / "..2026_01_31_12_00_00.123456789"
    shutil.copytree(EXAMPLE, stamped)
    (mount / "..data").symlink_to(stamped.name)
    for each in stamped.iterdir():
        (mount / each.name).symlink_to(Path("..data") / each.name)
    return mount


def test_links_of_a_volume_change_neither_loading_nor_digest(tmp_path: Path) -> None:
    assert load_bundle(mounted(tmp_path)).digest == load_bundle(EXAMPLE).digest
