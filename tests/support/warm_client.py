"""Have the Kafka client generate its codecs when this module is imported: before any fork.

The client writes and compiles a function for each message and version when it first needs it: most
of the processor time of a start. A fork takes over what its parent has.
"""

from __future__ import annotations

from importlib import import_module

from kafka.protocol.api_message import ApiMessage

import_module("kafka.admin")  # declares messages of its own


def _warm(message: type[ApiMessage], version: int) -> None:
    flexible = message.flexible_version_q(version)
    if message.is_request():
        message._struct.compiled_encode_into(version, compact=flexible, tagged=flexible)
    else:
        message._struct.compiled_decode_from(
            version, compact=flexible, tagged=flexible, data_class=message
        )


for _message in ApiMessage.__subclasses__():
    if _message._class_version is None and _message.max_version is not None:
        for _version in range(_message.max_version + 1):
            _warm(_message, _version)
