"""After an eviction group_metadata() names no member, and brokers do not validate such a commit.

python 4_membership_after_an_eviction.py BOOTSTRAP
"""

import os
import sys
import time

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.admin import MemberToRemove
from kafka.errors import KafkaError

bootstrap = sys.argv[1]
group, tp = f"membership-after-an-eviction-{os.getpid()}", TopicPartition("reproduction", 0)
consumer = KafkaConsumer(
    "reproduction",
    bootstrap_servers=bootstrap,
    group_id=group,
    enable_auto_commit=False,
    session_timeout_ms=6_000,
    heartbeat_interval_ms=500,
)
deadline = time.monotonic() + 30
while not consumer.assignment() and time.monotonic() < deadline:
    consumer.poll(timeout_ms=200)
joined = consumer.group_metadata()
admin = KafkaAdminClient(bootstrap_servers=bootstrap)
admin.remove_group_members(group, [MemberToRemove(joined.member_id)])
while consumer.group_metadata().state is joined.state and time.monotonic() < deadline:
    time.sleep(0.1)  # until a heartbeat learns of it; the application is busy and does not poll
now = consumer.group_metadata()
print(f"joined: {joined.generation_id} {joined.member_id}; now {now.generation_id} {now.member_id}")
producer = KafkaProducer(bootstrap_servers=bootstrap, transactional_id=group)
producer.init_transactions()
producer.begin_transaction()
try:
    producer.send_offsets_to_transaction({tp: OffsetAndMetadata(100, "", -1)}, now)
    producer.commit_transaction()
except KafkaError as error:
    print("refused, as it must be:", repr(error))
    os._exit(0)
print("DEFECT: the commit of a member that was put out stands")
os._exit(1)
