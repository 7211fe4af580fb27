"""Write the values.schema.json of the chart: python -m deploy.helm.values_schema.

`config` takes the settings of weir.yaml and nothing else, so a misspelt setting is refused before
anything is installed. What the chart itself decides cannot be set there.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any, TypeAlias

from worker.settings import STAGE_NAMES, Settings

Schema: TypeAlias = dict[str, Any]

FILE = Path(__file__).parent / "weir" / "values.schema.json"
# Decided by the chart: the slot is the pod's name, the others are mounts and ports of the pod.
FIXED = ("slot", "bundle", "deployment_key_file", "health", "shutdown.grace_ms")

STRING: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
ANY_OBJECT: Schema = {"type": "object"}  # passed to Kubernetes as it is, whose schema checks it
STRINGS: Schema = {"type": "object", "additionalProperties": STRING}
OBJECTS: Schema = {"type": "array", "items": ANY_OBJECT}
PORT: Schema = {"type": "integer", "minimum": 1, "maximum": 65535}
# A name of the three, or a time as worker.settings.parse_start reads it.
START: Schema = {
    "type": "string",
    "pattern": r"^(latest|earliest|-?\d+|\d{4}-\d\d-\d\d[T ].*(Z|[+-]\d\d:?\d\d))$",
}


def closed(properties: Schema, required: tuple[str, ...] = ()) -> Schema:
    """Describe an object that takes these properties alone."""
    schema: Schema = {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }
    return schema | ({"required": list(required)} if required else {})


def settings_schema() -> tuple[Schema, Schema]:
    """Return the schema of `config` and its definitions, without what the chart fixes."""
    schema = copy.deepcopy(Settings.model_json_schema())
    definitions: Schema = schema.pop("$defs")
    for path in FIXED:
        group, _, name = path.rpartition(".")
        owner = schema
        if group:
            owner = definitions[schema["properties"][group]["$ref"].rsplit("/", 1)[-1]]
        del owner["properties"][name]
    _strip(schema)
    _strip(definitions)
    used = json.dumps(schema) + json.dumps(definitions)
    return schema, {name: body for name, body in definitions.items() if f"/{name}" in used}


def build() -> Schema:
    """Return the whole schema; one property for each key of values.yaml."""
    config, definitions = settings_schema()
    definitions["Config"] = config
    secret = closed({"name": STRING, "items": OBJECTS, "optional": FLAG}, ("name", "items"))
    stage = closed(
        {
            "enabled": FLAG,
            "replicas": {"type": "integer", "minimum": 0},
            "config": {"$ref": "#/$defs/Config"},
            "secretFiles": {"type": "array", "items": secret},
            "resources": ANY_OBJECT,
        }
    )
    image = {
        "repository": {"type": "string", "minLength": 1},
        "tag": STRING,
        "digest": {"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"},
        "pullPolicy": {"enum": ["Always", "IfNotPresent", "Never"]},
        "pullSecrets": OBJECTS,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Values of the Weir chart",
        **closed(
            {
                "nameOverride": STRING,
                "fullnameOverride": STRING,
                "global": ANY_OBJECT,  # Helm adds it to every chart
                "image": closed(image),
                "start": START,
                "config": _with_act_after(),
                "bundle": closed({"files": STRINGS, "volume": ANY_OBJECT}),
                "deploymentKey": closed(
                    {
                        "existingSecret": STRING,
                        "key": {"type": "string", "minLength": 1},
                        "value": {"type": "string", "pattern": "^([0-9a-fA-F]{64})?$"},
                    }
                ),
                "secretFiles": {"type": "array", "items": secret},
                "stages": closed(dict.fromkeys(STAGE_NAMES, stage)),
                "worker": _worker(),
                "health": closed({"port": PORT}),
                "podDisruptionBudget": closed({"enabled": FLAG}),
                "networkPolicy": _network(),
                "podMonitor": closed({"enabled": FLAG, "interval": STRING, "labels": STRINGS}),
                "prometheusRule": closed(
                    {"enabled": FLAG, "labels": STRINGS, "runbookBase": STRING}
                ),
                "dashboards": closed({"enabled": FLAG, "labels": STRINGS}),
            }
        ),
        "$defs": definitions,
    }


def _with_act_after() -> Schema:
    """Demand what `weir run` demands, so that it is missed here and not in a pod."""
    given: Schema = {
        "required": ["enforce"],
        "properties": {
            "enforce": {"required": ["act_after"], "properties": {"act_after": {"not": _NULL}}}
        },
    }
    return {"allOf": [{"$ref": "#/$defs/Config"}, given]}


_NULL: Schema = {"type": "null"}


def _worker() -> Schema:
    return closed(
        {
            "terminationGracePeriodSeconds": {"type": "integer", "minimum": 1},
            "updatePartition": {"type": "integer", "minimum": 0},
            "priorityClassName": STRING,
            "nodeSelector": STRINGS,
            "tolerations": OBJECTS,
            "affinity": ANY_OBJECT,
            "podAnnotations": STRINGS,
            "podLabels": STRINGS,
            "extraEnv": OBJECTS,
            "extraVolumes": OBJECTS,
            "extraVolumeMounts": OBJECTS,
        }
    )


def _network() -> Schema:
    return closed(
        {
            "enabled": FLAG,
            "metricsFrom": OBJECTS,
            "brokers": closed(
                {"ports": {"type": "array", "minItems": 1, "items": PORT}, "peers": OBJECTS}
            ),
            "dns": closed({"namespace": STRING, "podLabels": STRINGS}),
        }
    )


def _strip(node: object) -> None:
    """Drop titles and defaults: the one is noise, the other a second copy of the model's."""
    if isinstance(node, dict):
        for key in ("title", "default", "format"):
            if not isinstance(node.get(key), dict):
                node.pop(key, None)
        for value in node.values():
            _strip(value)
    elif isinstance(node, list):
        for value in node:
            _strip(value)


def rendered() -> str:
    """Return the file's text."""
    return json.dumps(build(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(rendered(), encoding="utf-8")
