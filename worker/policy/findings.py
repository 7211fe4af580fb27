"""Collect what is wrong or doubtful about one bundle, each with its place in the document."""

from __future__ import annotations

from dataclasses import dataclass, field

from worker.policy.diagnostics import Diagnostic
from worker.policy.source import Document, Path


@dataclass
class Findings:
    """Hold the errors and warnings of one bundle."""

    document: Document
    errors: list[Diagnostic] = field(default_factory=list)
    warnings: list[Diagnostic] = field(default_factory=list)

    def error(self, path: Path, message: str, hint: str = "", key: bool = False) -> None:
        """Note an error at a value of the document, or at its key."""
        point = self.document.at_key if key else self.document.at_value
        self.errors.append(point(path, message, hint))

    def warn(self, path: Path, message: str, hint: str = "") -> None:
        """Note something that is allowed and probably not meant."""
        self.warnings.append(self.document.at_key(path, message, hint))
