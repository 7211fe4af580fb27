"""Declare the options that several commands share, and read their values."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError

from fastpath.errors import BuildError
from fastpath.field_maps import load_field_map
from worker.domain.errors import ConfigError
from worker.domain.times import parse_duration, parse_time


class Preset(StrEnum):
    """Name the forms of a post that need no field map."""

    GENERIC = "generic"
    TWITTER_V1 = "twitter_v1"
    TWITTER_V2 = "twitter_v2"
    MASTODON = "mastodon"
    BLUESKY_JETSTREAM = "bluesky_jetstream"
    OSPREY = "osprey"


def parse_act_after(text: str) -> str:
    """Check `--act-after`: a time or none; the text itself is what settings take."""
    if text != "none":
        try:
            parse_time(text)
        except ValueError as error:
            raise typer.BadParameter(f"{text!r}: {error}, or none") from None
    return text


def parse_lateness(text: str) -> str:
    """Check a duration; the text itself is what settings take."""
    try:
        parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r}: {error}") from None
    return text


BundleOption = Annotated[
    Path, typer.Option("--bundle", metavar="DIR", help="Folder of the policy bundle.")
]
PresetOption = Annotated[Preset, typer.Option("--preset", help="Form of the posts in the file.")]
FieldMapOption = Annotated[
    Path | None,
    typer.Option(
        "--field-map",
        metavar="FILE",
        help="JSON or YAML: where fields of a post stand, in place of the preset's.",
    ),
]
DeploymentKeyOption = Annotated[
    Path | None,
    typer.Option(
        "--deployment-key-file",
        metavar="FILE",
        help="Key of the action ids, 64 hex digits; [dim]default: the published scan key[/].",
    ),
]
ActAfterOption = Annotated[
    str,
    typer.Option(
        "--act-after",
        metavar="TIME|none",
        parser=parse_act_after,
        help="Decisions on posts older than this become reviews.",
    ),
]
LatenessOption = Annotated[
    str,
    typer.Option(
        "--correlate-lateness",
        metavar="DURATION",
        parser=parse_lateness,
        help="How far behind the newest post a sighting still counts.",
    ),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        envvar="WEIR_CONFIG",
        help="Settings as YAML; flags and WEIR_ variables come first.",
    ),
]


def read_field_map(file: Path | None) -> dict[str, object] | None:
    """Read a field map, JSON or YAML: field of a canonical post to one JSON pointer or several.

    Raises:
        ConfigError: the file cannot be read, holds no mapping, or has an entry that no post could
            be read by; the message names file, line, field and the value seen.
    """
    if file is None:
        return None
    try:
        document = YAML().load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"--field-map {file}: {error.strerror}") from None
    except (UnicodeDecodeError, YAMLError) as error:
        raise ConfigError(f"--field-map {file}: neither JSON nor YAML: {error}") from None
    if not isinstance(document, CommentedMap):
        found = "a list" if isinstance(document, list) else repr(document)
        raise ConfigError(
            f"--field-map {file}: expected fields and JSON pointers such as "
            f"{{id: /status/id, account.id: /user/id}}, found {found}"
        )
    return {str(name): _pointers(file, document, name) for name in document}


def _pointers(file: Path, document: CommentedMap, name: object) -> list[str]:
    """Check one entry of a field map as the core would."""
    value = document[name]
    pointers = [value] if isinstance(value, str) else value
    try:
        load_field_map("generic", {str(name): pointers})
    except BuildError as error:
        line = document.lc.key(name)[0] + 1
        fix = error.detail or f"expected {error.limit}"
        raise ConfigError(
            f"--field-map {file}:{line}: {name}: {value!r}: "
            f"wrong {error.kind} {error.actual}; {fix}"
        ) from None
    return [str(pointer) for pointer in pointers]
