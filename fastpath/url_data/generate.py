"""Generate `public_suffixes.txt` from a Public Suffix List.

Run as `python -m fastpath.url_data.generate FILE`, where FILE is `public_suffix_list.dat` as
publicsuffix.org publishes it (packages carry it too: Debian `publicsuffix`, PyPI
`publicsuffixlist`). Another list changes decisions: regenerating is a reviewed change, never part
of a build, and nothing is fetched at run time.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

TABLE = Path(__file__).with_name("public_suffixes.txt")
_NOTICE = """\
# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
#
# The rules of the Public Suffix List (publicsuffix.org), names outside ASCII as A-labels; written
# by fastpath/url_data/generate.py.
"""
_SECTIONS = {
    "// ===BEGIN ICANN DOMAINS===": "[icann]",
    "// ===BEGIN PRIVATE DOMAINS===": "[private]",
}


def a_label(label: str) -> str:
    """Return a label as it stands in the DNS (RFC 3492); the list holds labels in lower case."""
    return label if label.isascii() else "xn--" + label.encode("punycode").decode()


def table_of(published: str) -> Iterator[str]:
    """Yield the lines of the table: where the list comes from, then its rules by section."""
    for line in published.splitlines():
        if line.startswith(("// VERSION:", "// COMMIT:")):
            yield "#" + line.removeprefix("//")
        elif line in _SECTIONS:
            yield _SECTIONS[line]
        elif line.strip() and not line.startswith("//"):
            yield ".".join(map(a_label, line.split()[0].split(".")))


def main(arguments: list[str]) -> int:
    """Write the table; return the exit code."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m fastpath.url_data.generate FILE\n")
        return 2
    published = Path(arguments[0]).read_text(encoding="utf-8")
    TABLE.write_text(_NOTICE + "\n".join(table_of(published)) + "\n", encoding="ascii")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
