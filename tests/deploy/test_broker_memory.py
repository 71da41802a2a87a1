"""The broker's limits in rabbitmq.conf, and the memory that docker-compose.yml gives it."""

from devtools.servers.cluster import deployed_settings

from tests.deploy.compose.files import SERVICES

MB = 1024 * 1024
SETTINGS = deployed_settings()
MEMORY = int(SERVICES["broker"]["mem_limit"].removesuffix("g")) * 1024 * MB
WATERMARK = float(SETTINGS["vm_memory_high_watermark.relative"]) * MEMORY
LOG = int(SETTINGS["raft.wal_max_size_bytes"])
# Three times its size may be in memory: what is written, and what the queues have yet to store.
LOGS, EMPTY_NODE = 3, 200 * MB


def test_a_full_log_blocks_no_publisher() -> None:
    assert EMPTY_NODE + LOGS * LOG < WATERMARK


def test_a_blocked_node_still_has_memory_to_work_with() -> None:
    """To collect garbage, and for the operating system's cache of its files."""
    assert WATERMARK <= 0.7 * MEMORY


def test_the_log_holds_many_of_the_largest_messages() -> None:
    assert 32 * int(SETTINGS["max_message_size"]) <= LOG
