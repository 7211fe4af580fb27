"""Start a development broker in the foreground; Ctrl-C or SIGTERM stops it and removes its data."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import types

from deploy.local.broker import LocalKafka, LocalKafkaError


def _interrupt(_signal: int, _frame: types.FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> int:
    """Run until a signal, the end of the broker, or (--with-parent) the end of standard input."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description=__doc__)
    parser.add_argument("--port", type=int, help="a fixed port; a free one is chosen otherwise")
    parser.add_argument("--heap", default="1g", help="heap of the broker, default 1g")
    parser.add_argument(
        "--with-parent",
        action="store_true",
        help="print one JSON line, and stop when standard input ends",
    )
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _interrupt)
    kafka = LocalKafka(options.port, options.heap)
    try:
        servers = kafka.start()
        if options.with_parent:
            # An own group: Ctrl-C on a test run must not take the broker away under its tests.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            print(json.dumps({"bootstrap_servers": servers}), flush=True)
            sys.stdin.read()
        else:
            print(f"Kafka serves at {servers}; Ctrl-C stops it. Log: {kafka.log}", flush=True)
            print(f"export WEIR_KAFKA__BOOTSTRAP_SERVERS={servers}", flush=True)
            if kafka.process is not None:
                kafka.process.wait()
                print("the broker ended by itself", file=sys.stderr)
                return 1
    except KeyboardInterrupt:
        pass
    except LocalKafkaError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        kafka.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
