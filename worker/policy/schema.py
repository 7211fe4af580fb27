"""Validate a document against the models, errors at their places; export the JSON Schema."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from worker.policy.diagnostics import BundleRefused, Diagnostic, known_names, nearest
from worker.policy.models import BundleModel
from worker.policy.source import Document

_TYPES = {
    "string_type": "text",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "float_type": "a number",
    "list_type": "a list",
    "dict_type": "a mapping of keys",
    "model_type": "a mapping of keys",
    "model_attributes_type": "a mapping of keys",
}
_BOUNDS = {
    "greater_than_equal": "be at least {ge}",
    "less_than_equal": "be at most {le}",
    "too_short": "have at least {min_length} entry",
    "string_too_short": "not be empty",
    "too_long": "have at most {max_length} entries",
    "string_too_long": "have at most {max_length} characters",
}


def validate(document: Document) -> BundleModel:
    """Build the model of a document.

    Raises:
        BundleRefused: Unknown keys, missing keys, wrong types or values; every one of them.
    """
    try:
        return BundleModel.model_validate(document.data)
    except ValidationError as error:
        found = error.errors(include_url=False)
        raise BundleRefused(_diagnostic(document, each) for each in found) from None


def bundle_schema() -> str:
    """Write the JSON Schema of `bundle.yaml` (2020-12) for editors; ends with a newline."""
    schema = BundleModel.model_json_schema(by_alias=True)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Weir policy bundle"
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


def _diagnostic(document: Document, error: ErrorDetails) -> Diagnostic:
    path = list(error["loc"])
    kind = error["type"]
    if path and path[-1] == "[key]":
        path.pop()
        hint = "lower-case letters, digits and `_`, beginning with a letter, at most 64"
        if path[0] == "policies":
            hint = "lower-case letters, digits, `_`, `.` and `-`, at most 64"
        return document.at_key(path, f"`{path[-1]}` is no name here", hint)
    name = f"`{path[-1]}`" if path and isinstance(path[-1], str) else "this entry"
    if kind == "extra_forbidden":
        return _unknown_key(document, path)
    if kind == "missing":
        hint = "required here: " + ", ".join(f"`{key}`" for key in _required(path[:-1]))
        return document.at_value(path[:-1], f"{name} is missing", hint)
    context = error.get("ctx", {})
    if kind in _TYPES:
        return document.at_value(path, f"{name} must be {_TYPES[kind]}", _type_hint(error))
    if kind == "literal_error":
        return _wrong_choice(document, path, error)
    if kind in _BOUNDS:
        return document.at_value(path, f"{name} must {_BOUNDS[kind].format(**context)}")
    if kind == "string_pattern_mismatch":
        hint = "lower-case letters, digits, `_`, `.` and `-`, at most 64"
        return document.at_value(path, f"{name} is not a usable name", hint)
    return document.at_value(path, error["msg"], str(context.get("hint", "")))


def _unknown_key(document: Document, path: list[int | str]) -> Diagnostic:
    hint = known_names(str(path[-1]), _keys(path[:-1]), "keys")
    return document.at_key(path, f"unknown key `{path[-1]}`", hint)


def _wrong_choice(document: Document, path: list[int | str], error: ErrorDetails) -> Diagnostic:
    value = error["input"]
    expected = str(error.get("ctx", {}).get("expected", "")).replace("'", "`")
    what = f"`{value}` is not one of {expected}"
    choices = expected.replace("`", "").replace(" or ", ", ").split(", ")
    close = nearest(value, choices) if isinstance(value, str) else None
    return document.at_value(path, what, f"did you mean `{close}`?" if close else "")


def _type_hint(error: ErrorDetails) -> str:
    value = error["input"]
    if value is None:
        return "a value is missing after the colon"
    if error["type"] == "string_type" and isinstance(value, bool | int | float):
        return "put it in quotes"
    if error["type"] == "bool_type" and isinstance(value, str):
        return "write true or false without quotes"
    if error["type"] == "int_type" and isinstance(value, str):
        return "write digits without quotes"
    if error["type"] == "list_type":
        return "write [a, b]"
    return ""


def _model_at(path: list[int | str]) -> type[BaseModel] | None:
    """Find the model that describes the mapping at a path of the document."""
    model: Any = BundleModel
    for step in path:
        if isinstance(model, type) and issubclass(model, BaseModel):
            by_alias = {field.alias or name: field for name, field in model.model_fields.items()}
            if step not in by_alias:
                return None
            model = by_alias[str(step)].annotation
        else:  # dict[name, model] or list[model]: the step is a name or a number
            model = model.__args__[-1]
    return model if isinstance(model, type) and issubclass(model, BaseModel) else None


def _keys(path: list[int | str]) -> list[str]:
    model = _model_at(path)
    if model is None:
        return []
    return [field.alias or name for name, field in model.model_fields.items()]


def _required(path: list[int | str]) -> list[str]:
    model = _model_at(path)
    if model is None:
        return []
    fields = model.model_fields.items()
    return [field.alias or name for name, field in fields if field.is_required()]
