"""Find campaigns: one fingerprint on many accounts in a run of eight ticks.

Campaigns are sets, not sequences: where no sighting is late, and up to the exact cap, what is
signalled does not depend on the order of arrival (docs/campaigns.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from fastpath.columns import Sighting
from fastpath.errors import CorruptImage
from fastpath.records import BatchView, unpack_sightings
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
from worker.stages import wire
from worker.stages.dead_letters import dead_letter
from worker.stages.protocols import Output
from worker.state.fingerprints import Arrival, FingerprintTable
from worker.state.runs import KeptSighting, Run, Track

# Verdicts of `when` remembered per rule: counts are small and repeat, evaluation is not free.
MAX_REMEMBERED = 65_536


class _Found(NamedTuple):
    """Hold what a run is reported with."""

    rule: Rule
    fingerprint: FingerprintRef
    track: Track
    run: Run
    cause: int
    trigger: int


class CorrelateStage:
    """Count accounts per fingerprint; signal every member of a campaign once.

    `lateness_ms` is how far behind stream time a sighting may come and still count; it must
    exceed the skew between the partitions of posts. The key is the deployment key.
    """

    name = "correlate"
    inputs = ("sightings",)

    def __init__(self, bundle: Bundle, lateness_ms: int, deployment_key: bytes) -> None:
        self.counters: Counter[str] = Counter()
        self._bundle = bundle
        self._lateness_ms = lateness_ms
        self._key = deployment_key
        self._verdicts: dict[int, dict[tuple[int, int], bool]] = {}
        self._rules: dict[tuple[str, int], list[Rule]] = {}
        for rule in bundle.campaign_rules:
            self._rules.setdefault((str(rule.of), bundle.run_ms(rule)), []).append(rule)
            self._verdicts[rule.index] = {}

    def new_table(self, partition: int, partitions: int) -> FingerprintTable:
        """Make an empty table; neither the partition nor their number changes what is found."""
        del partition, partitions
        lengths: dict[str, tuple[int, ...]] = {}
        for of, over_ms in self._rules:
            lengths[of] = (*lengths.get(of, ()), over_ms)
        alone = frozenset(
            str(rule.of) for rule in self._bundle.campaign_rules if self._holds(rule, 1, 1)
        )
        return FingerprintTable(lengths, alone, self._lateness_ms, self._key)

    def entries(self, table: FingerprintTable) -> Mapping[str, int]:
        """Count fingerprints in memory."""
        return {"fingerprints": len(table)}

    def step(self, table: FingerprintTable, view: BatchView) -> list[Output]:
        """Count every sighting of the view's records, in order."""
        outputs: list[Output] = []
        for index in range(len(view)):
            value = view.value(index)
            try:
                record = unpack_sightings(value or b"")
            except CorruptImage as error:
                outputs.append(self._reject(view, index, error))
                continue
            late, repeated = table.late, table.repeated
            for sighting in record.sightings:
                placed = wire.placed_time(sighting.time)
                if placed != sighting.time:
                    sighting = sighting._replace(time=placed)  # noqa: PLW2901
                arrival = table.add(record.topic, sighting)
                if arrival is not None:
                    outputs.extend(self._judge(view.offset(index), sighting, arrival))
            self.counters["sightings"] += len(record.sightings)
            self.counters["late"] += table.late - late
            self.counters["repeated"] += table.repeated - repeated
        return outputs

    def _judge(self, cause: int, sighting: Sighting, arrival: Arrival) -> Iterator[Output]:
        """Look at every run that holds the sighting, for every rule of its type."""
        kept, opened = arrival.kept, arrival.fingerprint
        for track in arrival.tracks:
            most = track.most()
            for rule in self._rules[sighting.type, track.over_ms]:
                if most is not None and not self._holds(rule, *most):
                    continue  # `when` is monotone: with fewer no run can hold, or has held
                fingerprint = FingerprintRef(sighting.type, sighting.fingerprint.hex())
                bit = 1 << rule.index
                for first in track.firsts(kept.time):
                    # A run that held before has told of all its sightings but this one.
                    held = bool(track.held.get(first, 0) & bit)
                    if held and kept.done & bit:
                        continue
                    run = track.run(first)
                    if not held and not self._holds(rule, run.accounts, run.sightings):
                        continue
                    track.held[first] = track.held.get(first, 0) | bit
                    found = _Found(rule, fingerprint, track, run, cause, sighting.offset)
                    told = held or track.sketched
                    members = [kept] if told else list(track.sightings(first))
                    if not opened.opened & bit:
                        opened.opened |= bit
                        yield self._campaign(found, members)
                    yield from self._signals(found, members)

    def _signals(self, found: _Found, sightings: list[KeptSighting]) -> Iterator[Output]:
        bit = 1 << found.rule.index
        for kept in sightings:
            if kept.done & bit:
                continue
            kept.done |= bit
            if self._is_member(found.rule, kept):
                yield self._signal(found, kept)

    def _signal(self, found: _Found, kept: KeptSighting) -> Output:
        rule, run = found.rule, found.run
        self.counters[f"rule_hits.{rule.name}.{rule.mode}"] += 1
        opened_at, closed_at = found.track.span(run.first)
        sketched = found.track.sketched
        campaign = CampaignEvidence(
            found.fingerprint, opened_at, closed_at, run.accounts, run.sightings, sketched
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
                flags=("sketch",) if sketched else (),
                campaign=campaign,
            ),
        )
        key = wire.account_key(kept.account)
        value = wire.encode_signal(signal)
        return Output(found.cause, found.trigger, "signals", key, value)

    def _campaign(self, found: _Found, sightings: list[KeptSighting]) -> Output:
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
            sketch=found.track.sketched,
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
            activation = campaign_activation(
                self._bundle, str(rule.of), self._bundle.run_ms(rule), accounts, sightings
            )
            verdict = self._is_true(rule, rule.when.evaluate(activation))
            remembered[accounts, sightings] = verdict
        return verdict

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
