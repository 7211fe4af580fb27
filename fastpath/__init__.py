"""Match batches of posts: bytes in, columns out, without the GIL.

Importing fails when a compiled module is missing: there is no silent fallback.
`fastpath.reference` is the pure-Python twin, the specification and the oracle, chosen only by
naming it. BACKEND, ISA and UNICODE_VERSION describe this build for metrics and bug reports.
"""

from fastpath.batch_writer import BatchWriter
from fastpath.batches import RecordBatches
from fastpath.changelog import SLICES
from fastpath.columns import Columns, Sighting, SightingRecord
from fastpath.errors import BuildError, CorruptImage
from fastpath.fingerprints import FingerprintTable
from fastpath.isa import ISA
from fastpath.keywords import Keywords
from fastpath.near import PdqIndex, SimHashIndex
from fastpath.records import BatchView, unpack_sightings
from fastpath.screen import Screen, ScreenState
from fastpath.simhash import simhash_of
from fastpath.spec import ScreenSpec
from fastpath.text import UNICODE_VERSION

BACKEND = "compiled"

__all__ = [
    "BACKEND",
    "ISA",
    "SLICES",
    "UNICODE_VERSION",
    "BatchView",
    "BatchWriter",
    "BuildError",
    "Columns",
    "CorruptImage",
    "FingerprintTable",
    "Keywords",
    "PdqIndex",
    "RecordBatches",
    "Screen",
    "ScreenSpec",
    "ScreenState",
    "Sighting",
    "SightingRecord",
    "SimHashIndex",
    "simhash_of",
    "unpack_sightings",
]
