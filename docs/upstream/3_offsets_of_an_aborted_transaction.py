"""Offsets refused in an aborted transaction are committed with the next one.

python 3_offsets_of_an_aborted_transaction.py BOOTSTRAP
"""

import os
import sys

from kafka import (
    ConsumerGroupMetadata,
    KafkaConsumer,
    KafkaProducer,
    OffsetAndMetadata,
    TopicPartition,
)
from kafka.errors import KafkaError

bootstrap = sys.argv[1]
mine, lost = TopicPartition("reproduction", 0), TopicPartition("reproduction", 3)
group = f"offsets-of-an-aborted-transaction-{os.getpid()}"
producer = KafkaProducer(bootstrap_servers=bootstrap, transactional_id=group)
producer.init_transactions()
producer.begin_transaction()
try:  # a member that the group does not know, as after a rebalance
    stale = ConsumerGroupMetadata(group, 5, "gone", None)
    producer.send_offsets_to_transaction({lost: OffsetAndMetadata(50, "", -1)}, stale)
except KafkaError as error:
    print("refused, as it must be:", repr(error))
producer.abort_transaction()
producer.begin_transaction()
producer.send_offsets_to_transaction({mine: OffsetAndMetadata(100, "", -1)}, group)
producer.commit_transaction()
consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=group)
found = {tp.partition: consumer.committed(tp) for tp in (mine, lost)}
print("committed offsets by partition:", found)
if found == {0: 100, 3: None}:
    os._exit(0)
print("DEFECT: the second commit carried an offset of the first")
os._exit(1)
