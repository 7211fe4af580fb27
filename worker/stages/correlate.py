"""Find campaigns: one fingerprint on many accounts in a run of eight ticks.

Campaigns are sets, not sequences: where no sighting is late, and up to the exact cap, what is
signalled does not depend on the order of arrival (docs/campaigns.md).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from fastpath.columns import Arrival, FoundRun, KeptSighting
from fastpath.errors import CorruptImage
from fastpath.fingerprints import FingerprintTable
from fastpath.records import BatchView
from fastpath.spec import (
    EXACT_SIGHTINGS,
    MAX_SIGHTINGS,
    CampaignGate,
    FingerprintSpec,
)
from worker.domain.campaign import MAX_MEMBERS, Campaign, CampaignPost
from worker.domain.dead_letter import Disposition, Reason
from worker.domain.signal import (
    AccountRef,
    CampaignEvidence,
    Evidence,
    FingerprintRef,
    Origin,
    PostRef,
    Signal,
)
from worker.policy.bundle import Bundle, Rule, Verdict
from worker.policy.conditions import campaign_activation, member_activation
from worker.policy.corners import find_corners
from worker.stages import wire
from worker.stages.dead_letters import dead_letter
from worker.stages.protocols import Output, StatefulStage, copied

# Verdicts of `when` remembered per rule: counts are small and repeat, evaluation is not free.
MAX_REMEMBERED = 65_536
_COUNTS = ("sightings", "late", "repeated", "refused")  # of a table


class _Found(NamedTuple):
    """Hold what a run is reported with."""

    rule: Rule
    fingerprint: FingerprintRef
    run: FoundRun
    cause: int
    trigger: int


class CorrelateStage:
    """Count accounts per fingerprint; signal every member of a campaign once.

    `lateness_ms` is how far behind stream time a sighting may come and still count; it must
    exceed the skew between the partitions of posts. The key is the deployment key.
    `placement_seed` is this process's own secret against crowded hash tables; it changes no
    output. `max_sightings` bounds what a partition keeps; `exact_sightings` is for tests.
    """

    name = "correlate"
    inputs = ("sightings",)

    def __init__(
        self,
        bundle: Bundle,
        lateness_ms: int,
        deployment_key: bytes,
        *,
        placement_seed: bytes = b"\0" * 16,
        max_sightings: int = MAX_SIGHTINGS,
        exact_sightings: int = EXACT_SIGHTINGS,
    ) -> None:
        self.counters: Counter[str] = Counter()
        self._bundle = bundle
        self._placement_seed = placement_seed
        self._verdicts: list[dict[tuple[int, int], bool]] = [{} for _ in bundle.campaign_rules]
        self.spec = FingerprintSpec(
            gates=tuple(self._gate(rule) for rule in bundle.campaign_rules),
            lateness_ms=lateness_ms,
            deployment_key=deployment_key,
            max_sightings=max_sightings,
            exact_sightings=exact_sightings,
        )

    def new_table(self, partition: int, partitions: int) -> FingerprintTable:
        """Make an empty table; neither the partition nor their number changes what is found."""
        del partition, partitions
        return FingerprintTable(self.spec, self._placement_seed)

    def entries(self, table: FingerprintTable) -> Mapping[str, int]:
        """Count fingerprints in memory."""
        return {"fingerprints": len(table)}

    def changes(self, table: FingerprintTable) -> bytes:
        """Drain what changed since the last call: packed entries."""
        return table.changes()

    def snapshot(self, table: FingerprintTable, slice_: int) -> bytes:
        """Pack every live entry of a slice."""
        return table.snapshot(slice_)

    def restore(self, table: FingerprintTable, stream_time: int, entries: bytes) -> None:
        """Apply packed entries of a delta or a slice; CorruptImage where one is malformed."""
        table.restore(stream_time, entries)

    def clear(self, table: FingerprintTable, slice_: int) -> None:
        """Forget every entry of a slice."""
        table.clear(slice_)

    def stream_time(self, table: FingerprintTable) -> int:
        """Return the greatest origin time that the table has seen, ms."""
        return table.stream_time

    def adopt(self, table: FingerprintTable, older: StatefulStage) -> FingerprintTable:
        """Take over the sightings of another bundle; under the same campaign rules as they are."""
        if isinstance(older, CorrelateStage) and older.spec == self.spec:
            return table
        return copied(older, table, self, self.new_table(0, 1))

    def step(self, table: FingerprintTable, view: BatchView) -> list[Output]:
        """Count every sighting of the view's records, in order."""
        outputs: list[Output] = []
        before = [getattr(table, name) for name in _COUNTS]
        for index in range(len(view)):
            offset = view.offset(index)
            try:
                table.begin(view.value(index) or b"", offset)
            except CorruptImage as error:
                outputs.append(self._reject(view, index, error))
                continue
            while (arrival := table.advance()) is not None:
                outputs.extend(self._judge(table, offset, arrival))
        for name, count in zip(_COUNTS, before, strict=True):
            self.counters[name] += getattr(table, name) - count
        return outputs

    def _gate(self, rule: Rule) -> CampaignGate:
        """Compile what the core needs of a rule.

        Its identity is of everything that a mark of it depends on: a rule that is reworded
        begins anew.
        """
        assert rule.of is not None  # noqa: S101  # held by the loader
        over_ms = self._bundle.run_ms(rule)
        members = "" if rule.members is None else rule.members.source
        parts = (rule.policy, rule.id, rule.of, str(over_ms), rule.when.source, members)
        written = b"".join(len(p.encode()).to_bytes(4, "little") + p.encode() for p in parts)
        return CampaignGate(
            hashlib.blake2b(written, digest_size=8).digest(),
            rule.of,
            over_ms,
            find_corners(lambda *counts: self._evaluate(rule, *counts) is Verdict.TRUE),
        )

    def _judge(self, table: FingerprintTable, cause: int, arrival: Arrival) -> Iterator[Output]:
        """Ask the rules about the runs that passed their gates."""
        fingerprint = FingerprintRef(arrival.type, arrival.fingerprint.hex())
        for index, run in enumerate(arrival.runs):
            rule = self._bundle.campaign_rules[run.gate]
            if not run.held and not self._holds(rule, run.accounts, run.sightings):
                continue
            taken = table.take(index)
            if taken is None:
                continue
            found = _Found(rule, fingerprint, run, cause, arrival.kept.offset)
            if taken.opens:
                yield self._campaign(found, taken.sightings)
            for kept in taken.new:
                if self._is_member(rule, kept):
                    yield self._signal(found, kept)

    def _signal(self, found: _Found, kept: KeptSighting) -> Output:
        rule, run = found.rule, found.run
        self.counters[f"rule_hits.{rule.name}.{rule.mode}"] += 1
        campaign = CampaignEvidence(
            found.fingerprint,
            run.opened_at,
            run.closed_at,
            run.accounts,
            run.sightings,
            run.sketch,
        )
        signal = Signal(
            AccountRef(kept.account, kept.created_at),
            PostRef(kept.post, kept.revision, kept.digest.hex()),
            _origin(kept),
            rule.policy,
            rule.id,
            "live" if rule.mode == "live" else "shadow",
            self._bundle.digest,
            Evidence(
                windows=dict.fromkeys(rule.windows, run.accounts),
                flags=("sketch",) if run.sketch else (),
                campaign=campaign,
            ),
        )
        key = wire.account_key(kept.account)
        value = wire.encode_signal(signal)
        return Output(found.cause, found.trigger, "signals", key, value, rules=(rule.name,))

    def _campaign(self, found: _Found, sightings: Sequence[KeptSighting]) -> Output:
        """Report a fingerprint for which a rule holds for the first time."""
        rule, run = found.rule, found.run
        self.counters[f"campaigns.{rule.name}.{rule.mode}"] += 1
        members = [kept for kept in sightings if self._is_member(rule, kept)]
        accounts = list(dict.fromkeys(kept.account for kept in members))
        posts = (
            CampaignPost(kept.account, kept.post, kept.revision, _origin(kept))
            for kept in members[:MAX_MEMBERS]
        )
        campaign = Campaign(
            fingerprint=found.fingerprint,
            policy=rule.policy,
            rule=rule.id,
            mode="live" if rule.mode == "live" else "shadow",
            opened_at=min(kept.time for kept in sightings),
            accounts=run.accounts,
            sightings=run.sightings,
            sketch=run.sketch,
            members=tuple(accounts[:MAX_MEMBERS]),
            posts=tuple(posts),
            bundle=self._bundle.digest,
        )
        key = found.fingerprint.key.encode()
        value = wire.encode_campaign(campaign)
        return Output(found.cause, found.trigger, "campaigns", key, value)

    def _holds(self, rule: Rule, accounts: int, sightings: int) -> bool:
        remembered = self._verdicts[rule.index]
        verdict = remembered.get((accounts, sightings))
        if verdict is None:
            if len(remembered) >= MAX_REMEMBERED:
                remembered.clear()
            verdict = self._is_true(rule, self._evaluate(rule, accounts, sightings))
            remembered[accounts, sightings] = verdict
        return verdict

    def _evaluate(self, rule: Rule, accounts: int, sightings: int) -> Verdict:
        over_ms = self._bundle.run_ms(rule)
        activation = campaign_activation(self._bundle, str(rule.of), over_ms, accounts, sightings)
        return rule.when.evaluate(activation)

    def _is_member(self, rule: Rule, kept: KeptSighting) -> bool:
        if rule.members is None:
            return True
        activation = member_activation(kept.created_at, kept.time, kept.account)
        return self._is_true(rule, rule.members.evaluate(activation))

    def _is_true(self, rule: Rule, verdict: Verdict) -> bool:
        if verdict is Verdict.ERROR:
            self.counters[f"rule_errors.{rule.name}"] += 1
        return verdict is Verdict.TRUE

    def _reject(self, view: BatchView, index: int, error: CorruptImage) -> Output:
        """Set aside a record that no screen of ours packs: systemic, so the fuse sees it."""
        reason, disposition = Reason.RECORD_CORRUPT, Disposition.SYSTEMIC
        self.counters[f"dead_letters.{reason.value}.{disposition.value}"] += 1
        return dead_letter(
            self.name, view, index, reason, disposition, str(error), self._bundle.digest
        )


def _origin(kept: KeptSighting) -> Origin:
    return Origin(kept.topic, kept.partition, kept.offset, kept.time)
