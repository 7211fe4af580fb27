"""Find the registered domain of a host by the Public Suffix List (publicsuffix.org/list).

Two sections are told apart. Under a suffix of the first (`co.uk`) a registry sells names; under
one of the second (`github.io`) a company hands them out. Lists of domains are built by the first
alone: who lists `github.io` means all of it, who lists `co.uk` cannot.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

_TABLE = Path(__file__).with_name("public_suffixes.txt")


@cache
def _rules(private: bool) -> frozenset[str]:
    """Return the rules of the first section, or of both."""
    icann, _, others = _TABLE.read_text(encoding="ascii").partition("[private]\n")
    lines = (icann + others if private else icann).splitlines()
    return frozenset(line for line in lines if line and line[0] not in "#[")


def public_suffix(host: str, *, private: bool = False) -> str:
    """Return the longest part of a canonical host that no one person registers.

    A name under no rule has its last label. `private` adds the second section. Called when lists
    are built or checked, never while posts are screened; the first call reads the table.
    """
    rules = _rules(private)
    labels = host.removesuffix(".").split(".")
    for place in range(len(labels)):
        name = ".".join(labels[place:])
        above = ".".join(labels[place + 1 :])
        if "!" + name in rules:
            return above
        if name in rules or (above and "*." + above in rules):
            return name
    return labels[-1]


def registered_domain(host: str, *, private: bool = False) -> str:
    """Return the public suffix of a canonical host and one label more; "" where none is left."""
    host = host.removesuffix(".")
    suffix = public_suffix(host, private=private)
    rest = host.removesuffix(suffix).removesuffix(".")
    return f"{rest.rpartition('.')[2]}.{suffix}" if rest else ""


def is_known(host: str) -> bool:
    """Say whether a rule of the first section, and not the rule for all others, covers a host."""
    last = host.removesuffix(".").rpartition(".")[2]
    rules = _rules(False)
    return last in rules or "*." + last in rules
