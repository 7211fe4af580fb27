# The sightings of one partition by fingerprint: layout of the table behind the stage correlate.
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from fastpath.arena cimport Slab
from fastpath.changelog cimport EntryBuffer
from fastpath.hashes cimport Sip128, SipKey

cdef enum:
    RUN_TICKS = 8
    REGISTERS = 256
    SUBTABLES = 256  # one per slice of the changelog: a slice is enumerated without the others
    TYPES = 5
    MAX_GATES = 64  # per type

    IS_FULL = 1  # bits of `state`: seen more than once
    IS_CHANGED = 2  # what is written of it is not what it is now
    IS_LISTED = 4  # stands in the list of changed fingerprints
    IS_STALE = 8  # restored: counts and indexes are not yet built


# A sighting as it is kept; the ids follow, account then post. `type` and `state` stand where
# those of Full do when it is alone behind its key.
cdef struct Seen:
    uint8_t type
    uint8_t state
    uint16_t topic
    uint16_t account_size
    uint16_t post_size
    int64_t time
    int64_t created_at  # INT64_MIN unknown
    int64_t offset
    int64_t arrival  # orders the sightings of a fingerprint
    uint8_t[16] digest
    uint32_t partition
    uint32_t revision


cdef struct Lone:  # a fingerprint that was seen once: nearly all of them
    Sip128 key
    Seen seen


cdef struct Kept:
    Seen* seen
    uint64_t done  # bits of the rules that have judged its account
    uint32_t identity  # hash of what makes it an element of the set
    uint32_t account  # hash of its account
    uint64_t leader  # index of the first kept sighting of the account


cdef struct Run:  # eight ticks, and what is counted of the first of them
    int64_t first
    uint64_t held  # bits of the rules that hold for it
    uint32_t sightings
    uint32_t accounts  # distinct; not counted past the exact cap
    uint32_t at_tick  # sightings of the tick `first`
    uint32_t estimate  # of distinct accounts past the exact cap; 0 where not known
    uint8_t* registers  # of the tick `first`, past the exact cap
    bint changed  # the registers are not what was written


cdef struct Track:  # the runs of one length, by first tick
    Run* runs
    uint32_t count
    uint32_t capacity
    uint32_t size  # sightings of the ticks that are kept
    bint sketched
    uint32_t* head  # per leader: its account's newest tick, as 1 + the sighting first there
    uint32_t* older  # per sighting: the account's next older tick, likewise


cdef struct Full:
    Sip128 key
    uint8_t type
    uint8_t state
    uint16_t unused
    uint32_t count
    uint32_t capacity
    uint32_t mask  # of both indexes
    int64_t newest  # greatest origin time
    uint64_t opened  # bits of the rules that have held
    Kept* kept  # in order of arrival
    uint32_t* by_identity  # 1 + index in kept; NULL while there are few
    uint32_t* by_account
    Track* tracks  # one per length; NULL while no rule can hold


cdef struct Slot:
    uint32_t hash
    uint32_t due  # DUE_MS units of stream time before which it need not be looked at
    void* entry  # Lone or Full; NULL where free


cdef struct Subtable:
    Slot* slots
    uint32_t capacity  # 0 or a power of two
    uint32_t count


cdef struct GateCorner:
    uint32_t accounts
    uint32_t sightings


cdef struct RunGate:
    uint32_t index  # in FingerprintSpec.gates
    uint32_t length  # index of its length
    uint32_t corners
    GateCorner* corner
    uint64_t bit


cdef struct OfType:
    size_t lengths  # 0: no rule reads this type
    int64_t* tick_ms  # rising
    int64_t* floors  # per length: the first tick that is kept
    RunGate* gates  # by length, then in the order of the specification
    size_t gate_count
    uint32_t need  # sightings below which no gate can pass
    uint32_t build_at  # sightings from which runs are counted
    uint32_t* held_at  # sightings kept exactly per tick of the longest run, a ring
    int64_t ring
    int64_t ring_floor
    uint64_t[MAX_GATES] identity  # by bit: the rule whose it is; past ones of a state among them
    uint32_t identities


cdef struct FoundAt:
    RunGate* gate
    int64_t first
    uint32_t accounts
    uint32_t sightings
    bint sketched
    bint held


cdef struct Changed:
    Sip128 key
    uint8_t type


cdef struct Table:
    Subtable[SUBTABLES] subs
    OfType[TYPES] types
    Slab slab
    SipKey placement
    SipKey naming  # keys of sightings and sketches in the changelog
    const uint8_t* account_key  # the deployment key
    size_t account_key_size
    int64_t lateness_ms
    int64_t stream_time
    int64_t next_floor  # stream time from which a floor moves
    uint32_t now  # stream time in DUE_MS units
    uint32_t sweep_sub
    uint32_t sweep_slot
    uint64_t max_sightings
    uint32_t exact
    uint64_t held
    uint64_t entries
    uint64_t late
    uint64_t repeated
    uint64_t refused
    uint64_t sightings
    bint broken  # memory ran out
    bint recording  # whether what changes is listed
    bint recount  # `held` must be counted anew, after a restore
    Changed* changed
    size_t changed_count
    size_t changed_capacity
    EntryBuffer gone  # deletes, to stand before what was set
    # the record at hand
    const uint8_t* record
    uint32_t* at  # where its entries begin
    uint32_t* hash
    size_t capacity
    uint32_t count
    uint32_t next
    uint16_t topic
    int64_t first_arrival
    # the arrival at hand
    Full* full
    int64_t kept  # index, or -1 where it is only counted
    uint64_t done  # of one that is only counted
    const uint8_t* entry
    FoundAt[MAX_GATES * RUN_TICKS] found
    uint32_t found_count
