"""commit_transaction() returns although the broker aborted the transaction and bumped the epoch.

python 2_commit_of_an_aborted_transaction.py BOOTSTRAP
"""

import os
import sys
import time

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

bootstrap = sys.argv[1]
producer = KafkaProducer(
    bootstrap_servers=bootstrap,
    transactional_id="commit-of-an-aborted-transaction",
    transaction_timeout_ms=1_000,
    linger_ms=500,
)
tp = TopicPartition("reproduction", 1)
producer.init_transactions()
producer.begin_transaction()
producer.send(tp.topic, b"first", partition=tp.partition).get(30)
# The broker ends the transaction when its timeout has passed: the marker moves the end.
consumer = KafkaConsumer(bootstrap_servers=bootstrap, isolation_level="read_uncommitted")
end = consumer.end_offsets([tp])[tp]
deadline = time.monotonic() + 30
while consumer.end_offsets([tp])[tp] == end and time.monotonic() < deadline:
    time.sleep(0.1)
future = producer.send(tp.topic, b"second", partition=tp.partition)
try:
    producer.commit_transaction()  # waits for the second record, which meets the new epoch
except KafkaError as error:
    print("commit refused, as it must be:", repr(error))
    os._exit(0)
print("DEFECT: the commit succeeded; the second record:", future.exception)
os._exit(1)
