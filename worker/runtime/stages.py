"""Compose the stages, the same ones for files and for Kafka."""

from __future__ import annotations

import gc
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from fastpath.spec import ScreenSpec
from worker.domain.errors import ConfigError
from worker.policy.bundle import Bundle, load_bundle
from worker.settings import Settings, StageName
from worker.stages.correlate import CorrelateStage
from worker.stages.enforce import EnforceStage
from worker.stages.protocols import StatefulStage
from worker.stages.screen import Screen, ScreenStage

VERSION = version("weir")
SEED_BYTES = 16  # of the secret that keeps hash tables from being crowded; never in a decision


@dataclass(frozen=True, slots=True)
class BuiltStage:
    """Hold a stage and every counter it keeps, its compiled core's included."""

    stage: StatefulStage
    counters: Callable[[], Mapping[str, int]]


def read_bundle(settings: Settings) -> Bundle:
    """Load the policy bundle named in the settings.

    Raises:
        ConfigError: none is named.
        PolicyError: it is refused, with every diagnostic.
    """
    if settings.bundle is None:
        raise ConfigError("bundle is not set: name the directory of a policy bundle (--bundle DIR)")
    return load_bundle(settings.bundle)


def build_screen(
    settings: Settings,
    bundle: Bundle,
    deployment_key: bytes,
    *,
    topic: str,
    from_file: bool,
    sighting_partitions: int,
) -> Any:
    """Build the screen, compiled or, only where the settings say so, its slow twin."""
    spec = bundle.screen_spec(
        deployment_key=deployment_key,
        topic=topic,
        time_source="created_at" if from_file else "record",
        check_key=not from_file,
        field_map=settings.input.field_map,
        preset=settings.input.preset,
        sighting_partitions=sighting_partitions,
        max_window_keys=settings.screen.max_window_keys,
    )
    return new_screen(settings, spec)


def new_screen(settings: Settings, spec: ScreenSpec) -> Any:
    """Build a screen from its specification with the backend that the settings name."""
    if settings.screen.backend == "reference":
        from fastpath.reference.screen import Screen as TwinScreen

        return TwinScreen(spec)
    from fastpath.screen import Screen as CompiledScreen

    return CompiledScreen(spec)


def build_stage(
    settings: Settings,
    name: StageName,
    bundle: Bundle,
    deployment_key: bytes,
    screen: Screen | None = None,
) -> BuiltStage:
    """Build one stage; `screen` is needed for the stage of that name."""
    stage: StatefulStage
    if name == "screen":
        assert screen is not None  # noqa: S101  # held by the callers below
        stage = ScreenStage(
            bundle,
            screen,
            placement_seed=secrets.token_bytes(SEED_BYTES),
            reviews_topic=settings.topic("reviews"),
            receipts_topic=settings.topic("receipts"),
        )
        core: Any = screen
        return BuiltStage(stage, lambda: {**core.counters(), **stage.counters})
    if name == "correlate":
        stage = CorrelateStage(
            bundle,
            settings.correlate.lateness,
            deployment_key,
            placement_seed=secrets.token_bytes(SEED_BYTES),
            max_sightings=settings.correlate.max_sightings,
        )
    else:
        stage = EnforceStage(bundle, settings.deployment, deployment_key, act_after(settings))
    return BuiltStage(stage, lambda: stage.counters)


def keep_built() -> None:
    """Take what was built until now out of the garbage collector's sight; called before the work.

    Lists, policies and clients stay until the process ends. The collector would walk over all of
    it again and again while batches come and go.
    """
    gc.collect()
    gc.freeze()


def act_after(settings: Settings) -> int | None:
    """Return when decisions begin to act, epoch ms; None where they always do.

    Raises:
        ConfigError: it was not said.
    """
    value = settings.enforce.act_after
    if value is None:
        raise ConfigError(
            "enforce.act_after is not set: give a time (2026-01-31T12:00:00Z), so that decisions "
            "on older posts become reviews, or none; it must be equal on all workers"
        )
    return None if value == "none" else value
