"""A leader that rejoins for new metadata forgets why while it assigns; short polls never join.

python 5_rejoin_that_freezes.py BOOTSTRAP
"""

import os
import sys
import time

from kafka import KafkaAdminClient, KafkaConsumer
from kafka.admin import NewTopic

bootstrap = sys.argv[1]
topic = f"rejoin-that-freezes-{os.getpid()}"
admin = KafkaAdminClient(bootstrap_servers=bootstrap)
admin.create_topics([NewTopic(topic, 1, 1)])
consumer = KafkaConsumer(
    topic, bootstrap_servers=bootstrap, group_id=topic, enable_auto_commit=False
)


def joined(partitions, timeout_ms=1):
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        consumer.poll(timeout_ms=timeout_ms, max_records=1)
        if len(consumer.assignment()) == partitions:
            return True
    return False


if not joined(1, timeout_ms=500):
    sys.exit("the first join did not complete")
for partitions in range(2, 8):
    admin.create_partitions({topic: partitions})
    consumer._coordinator._cluster.request_update()
    if not joined(partitions):
        print(f"DEFECT: {partitions} partitions are not assigned after 15 s of polling")
        os._exit(1)
print("every rejoin completed")
os._exit(0)
