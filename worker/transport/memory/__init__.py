"""Keep topics, groups, offsets and transactions in memory: the transport of tests.

It keeps the rules that the engine relies on and nothing else. Faults are switched on by the test
that wants them.
"""

from worker.transport.memory.broker import Faults, MemoryBroker, StoredRecord, murmur2
from worker.transport.memory.producer import MemoryProducer
from worker.transport.memory.source import MemorySource
from worker.transport.memory.state import MemoryStateReader

__all__ = [
    "Faults",
    "MemoryBroker",
    "MemoryProducer",
    "MemorySource",
    "MemoryStateReader",
    "StoredRecord",
    "murmur2",
]
