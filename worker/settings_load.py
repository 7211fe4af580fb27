"""Merge flags, variables and a YAML file into `Settings`, and remember where each value came from.

Precedence: flags, `WEIR_*` variables, file, defaults. `worker.cli` alone calls this, with the
environment as an argument. Every refusal names file and line, variable or flag, the path of the
setting, and for an unknown one the nearest known name.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import RoundTripConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from typing_extensions import override

from worker.domain.errors import ConfigError
from worker.settings import Settings

PREFIX = "WEIR_"
DEFAULT = "default"
# Variables of ours that are no settings.
RESERVED = frozenset({"WEIR_CONFIG", "WEIR_REQUIRE_ALL"})
# What Kubernetes injects into every pod for a Service whose name begins with weir.
_SERVICE_LINK = re.compile(
    r"WEIR(_[A-Z0-9]+)*_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9]+)*|PORT(_\d+_(TCP|UDP)(_[A-Z]+)?)?)"
)


class Loaded(NamedTuple):
    """Hand out the settings and the origin of each: flag, variable, file:line or default."""

    settings: Settings
    origins: Mapping[str, str]  # every leaf, by dotted path


class _Value(NamedTuple):
    value: object
    origin: str


Layer = dict[str, _Value]  # by dotted path


class _TimesAsText(RoundTripConstructor):
    """Leave times as written: YAML's own would lose whether an offset from UTC was given."""


_TimesAsText.add_constructor(
    "tag:yaml.org,2002:timestamp", lambda constructor, node: constructor.construct_scalar(node)
)


def load_settings(
    file: Path | None = None,
    environment: Mapping[str, str] = MappingProxyType({}),
    flags: Mapping[str, object] = MappingProxyType({}),
) -> Loaded:
    """Build the settings from three layers; `flags` maps dotted paths to values, None = not given.

    Raises:
        ConfigError: a file that cannot be read, an unknown key, a value of the wrong form, or a
            broken relation between settings; all problems of one kind are in one message.
    """
    layers = [_flags(flags), _variables(environment), _file(file) if file else {}]
    unknown = [
        _unknown(path, held.origin)
        for layer in layers
        for path, held in layer.items()
        if not _known(path)
    ]
    if unknown:
        raise ConfigError("\n".join(unknown))
    origins = dict.fromkeys(_leaves(), DEFAULT)
    for layer in reversed(layers):
        origins |= {path: held.origin for path, held in layer.items()}
    return Loaded(_validate(layers, origins), MappingProxyType(origins))


def resolved(loaded: Loaded) -> Iterator[tuple[str, object, str]]:
    """Yield path, value and origin of every setting; a secret's file shows as set or unset."""
    for path in _leaves():
        value: Any = loaded.settings
        for part in path.split("."):
            value = getattr(value, part)
        if _is_secret(path):
            value = "unset" if value is None else "set"
        yield path, value, loaded.origins[path]


def _is_secret(path: str) -> bool:
    return path.rsplit(".", 1)[-1] in {
        "deployment_key_file",
        "password_file",
        "key_file",
        "key_password_file",
    }


class _LayerSource(PydanticBaseSettingsSource):
    """Hand one layer to pydantic-settings, which merges layers in order of precedence."""

    def __init__(self, settings_cls: type[BaseSettings], layer: Layer) -> None:
        super().__init__(settings_cls)
        self._layer = layer

    @override
    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return nothing: the layer is handed over whole by `__call__`."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        nested: dict[str, Any] = {}
        for path, held in self._layer.items():
            *groups, name = path.split(".")
            at = nested
            for group in groups:
                at = at.setdefault(group, {})
            at[name] = held.value
        return nested


def _validate(layers: list[Layer], origins: Mapping[str, str]) -> Settings:
    class Layered(Settings):
        @classmethod
        @override
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return tuple(_LayerSource(settings_cls, layer) for layer in layers)

    Layered.__name__ = Layered.__qualname__ = "Settings"
    try:
        return Layered()
    except ValidationError as error:
        values = {path: held.value for layer in reversed(layers) for path, held in layer.items()}
        raise ConfigError("\n".join(_problems(error, origins, values))) from None


def _problems(
    error: ValidationError, origins: Mapping[str, str], values: Mapping[str, object]
) -> Iterator[str]:
    for problem in error.errors(include_input=False, include_url=False, include_context=False):
        parts = [str(part) for part in problem["loc"]]
        path = ".".join(parts)
        while parts and path not in origins:  # a union's branch, an entry of a list
            shorter = ".".join(parts[:-1])
            if shorter not in origins and not _is_group(shorter):
                parts.pop()
                path = ".".join(parts)
                continue
            path = shorter if shorter in origins else path
            break
        message = problem["msg"].removeprefix("Value error, ")
        if path in origins:
            seen = "" if _is_secret(path) else f" (seen: {values.get(path)!r})"
            yield f"{origins[path]}: {path}: {message}{seen}"
        else:  # a relation within a group: name the origin of each value that was set
            given = [
                f"{name} from {origin}"
                for name, origin in origins.items()
                if origin != DEFAULT and name.rsplit(".", 1)[-1] in message
            ]
            where = f" [{', '.join(given)}]" if given else ""
            yield f"{path or 'settings'}: {message}{where}"


def _flags(flags: Mapping[str, object]) -> Layer:
    return {
        path: _Value(value, f"flag --{path.rsplit('.', 1)[-1].replace('_', '-')}")
        for path, value in flags.items()
        if value is not None
    }


def _variables(environment: Mapping[str, str]) -> Layer:
    return {
        name[len(PREFIX) :].lower().replace("__", "."): _Value(text, f"variable {name}")
        for name, text in sorted(environment.items())
        if name.startswith(PREFIX)
        and name not in RESERVED
        and (_known(name[len(PREFIX) :].lower().replace("__", ".")) or not _is_link(name))
    }


def _is_link(name: str) -> bool:
    return "__" not in name and _SERVICE_LINK.fullmatch(name) is not None


def _file(file: Path) -> Layer:
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: not UTF-8 at byte {error.start}") from None
    yaml = YAML(typ="rt")
    yaml.Constructor = _TimesAsText
    try:
        document = yaml.load(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{file}:{line}: {error.problem}") from None
    except YAMLError as error:
        raise ConfigError(f"{file}: {error}") from None
    if document is None:
        return {}
    if not isinstance(document, CommentedMap):
        raise ConfigError(f"{file}:1: expected settings as `name: value`, found {document!r}")
    layer: Layer = {}
    _flatten(file, document, "", layer)
    return layer


def _flatten(file: Path, mapping: CommentedMap, prefix: str, layer: Layer) -> None:
    for key, value in mapping.items():
        path = f"{prefix}{key}"
        line = mapping.lc.key(key)[0] + 1
        if _is_group(path):
            if isinstance(value, CommentedMap):
                _flatten(file, value, f"{path}.", layer)
            elif value is not None:
                raise ConfigError(
                    f"{file}:{line}: {path}: expected a group of settings, found {value!r}"
                )
        else:
            layer[path] = _Value(_plain(value), f"{file}:{line}")


def _plain(value: object) -> object:
    if isinstance(value, CommentedMap):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, CommentedSeq):
        return [_plain(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    return value


def _model(path: str) -> type[BaseModel] | None:
    """Return the model of a group, or None where the path is no group."""
    model: type[BaseModel] = Settings
    for part in path.split(".") if path else ():
        field = model.model_fields.get(part)
        kind = field.annotation if field else None
        if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
            return None
        model = kind
    return model


def _is_group(path: str) -> bool:
    return _model(path) is not None


def _known(path: str) -> bool:
    group, _, name = path.rpartition(".")
    model = _model(group)
    return model is not None and name in model.model_fields and not _is_group(path)


def _leaves(group: str = "") -> list[str]:
    model = _model(group)
    assert model is not None  # noqa: S101  # called on groups alone
    found: list[str] = []
    for name in model.model_fields:
        path = f"{group}.{name}" if group else name
        found.extend(_leaves(path) if _is_group(path) else [path])
    return found


def _unknown(path: str, origin: str) -> str:
    known = [*Settings.model_fields, *_leaves()]
    near = difflib.get_close_matches(path, known, n=1, cutoff=0.5)
    if not near:
        last = {leaf.rsplit(".", 1)[-1]: leaf for leaf in _leaves()}
        near = [last[n] for n in difflib.get_close_matches(path.rsplit(".", 1)[-1], last, n=1)]
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"{origin}: {path} is not a setting{hint}"
