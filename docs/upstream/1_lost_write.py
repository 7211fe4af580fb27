"""A batch that passes delivery_timeout_ms is failed, and commit_transaction() succeeds without it.

python 1_lost_write.py BOOTSTRAP BROKER_PID: stops the one broker for a moment.
"""

import os
import signal
import sys
import time

from kafka import KafkaProducer
from kafka.errors import KafkaError

bootstrap, broker = sys.argv[1], int(sys.argv[2])
producer = KafkaProducer(
    bootstrap_servers=bootstrap,
    transactional_id="lost-write",
    delivery_timeout_ms=8_000,
    request_timeout_ms=4_000,
    linger_ms=0,
    transaction_timeout_ms=60_000,
)
producer.init_transactions()
producer.begin_transaction()
producer.send("reproduction", b"first", partition=0).get(30)
os.kill(broker, signal.SIGSTOP)
try:
    future = producer.send("reproduction", b"second", partition=0)
    deadline = time.monotonic() + 30
    while not future.is_done and time.monotonic() < deadline:
        time.sleep(0.1)
finally:
    os.kill(broker, signal.SIGCONT)
print("the second record:", "failed" if future.failed() else "written")
try:
    producer.commit_transaction()
except KafkaError as error:
    print("commit refused, as it must be:", repr(error))
    os._exit(0)
print("DEFECT: the commit succeeded" if future.failed() else "nothing failed")
os._exit(1 if future.failed() else 2)
