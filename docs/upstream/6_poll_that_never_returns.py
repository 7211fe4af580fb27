"""A record that cannot be decoded raises once; the next poll() spins at 100 % CPU for ever.

python 6_poll_that_never_returns.py BOOTSTRAP: a value deserializer that raises is the shortest way.
"""

import faulthandler
import os
import sys

from kafka import KafkaConsumer, KafkaProducer, TopicPartition


def refuse(_value):
    raise ValueError("not decodable")


bootstrap = sys.argv[1]
producer = KafkaProducer(bootstrap_servers=bootstrap)
producer.send("reproduction", b"x", partition=2).get(30)
consumer = KafkaConsumer(
    bootstrap_servers=bootstrap, value_deserializer=refuse, auto_offset_reset="earliest"
)
consumer.assign([TopicPartition("reproduction", 2)])
raised = 0
faulthandler.dump_traceback_later(20, exit=True)  # ends the process with 1: the defect
for number in range(3):
    try:
        while True:
            consumer.poll(timeout_ms=500)
    except ValueError:
        raised += 1
        print(f"poll {number} raised")
print("each poll() raised:", raised == 3)
os._exit(0 if raised == 3 else 2)
