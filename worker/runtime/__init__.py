"""Compose everything: the only place that knows every concrete class; imported by `cli` alone."""

from worker.runtime.engines import build_engine as build_engine
from worker.runtime.offline import build_scan as build_scan
from worker.runtime.stages import build_stage as build_stage
from worker.runtime.stages import read_bundle as read_bundle
from worker.runtime.state import StateTools as StateTools
from worker.runtime.topics import check_topics as check_topics
from worker.runtime.topics import create_topics as create_topics
from worker.runtime.topics import load_posts as load_posts
from worker.runtime.worker import run as run
