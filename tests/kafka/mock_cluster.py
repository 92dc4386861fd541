"""A Kafka cluster in a process of its own: the mock cluster of librdkafka.

    python mock_cluster.py [BROKERS]

It speaks Kafka's protocol over TCP, and keeps messages in memory, the last 5 MB of each
partition. It prints the addresses of its brokers, then obeys the commands that come as
lines of standard input; each is answered by ``ok``, or by an error. It ends when the
input does.

The library is the one in the wheel of confluent-kafka, which must be the only one that
is loaded.
"""

from __future__ import annotations

import ctypes
import sys
import typing as t
from pathlib import Path

import confluent_kafka

ALL_BROKERS = -1
PRODUCER = 0

#: The commands: the function of librdkafka behind ``rd_kafka_mock_``, and how its
#: arguments are written.
COMMANDS: dict[str, tuple[str, tuple[t.Any, ...]]] = {
    "topic": ("topic_create", (str, int, int)),  # name, partitions, replicas
    "topic-error": ("topic_set_error", (str, int)),  # in metadata; 0 for none
    "down": ("broker_set_down", (int,)),  # a broker, or -1 for all
    "up": ("broker_set_up", (int,)),
    "leader": ("partition_set_leader", (str, int, int)),  # topic, partition, broker
    "latency": ("broker_set_rtt", (int, int)),  # broker, milliseconds
}


def load_library() -> ctypes.CDLL:
    """Load librdkafka."""
    package = Path(confluent_kafka.__file__).parent
    folders = (package.parent / "confluent_kafka.libs", package / ".dylibs")
    (path,) = (each for folder in folders for each in folder.glob("librdkafka*"))
    return ctypes.CDLL(str(path))


class MockCluster:
    """A cluster with *brokers* brokers."""

    def __init__(self, brokers: int) -> None:
        """Start the brokers."""
        self._library = load_library()
        pointer = ctypes.c_void_p
        new_conf = self._function("rd_kafka_conf_new", pointer)
        new_client = self._function("rd_kafka_new", pointer)
        new_cluster = self._function("rd_kafka_mock_cluster_new", pointer)
        self._function("rd_kafka_conf_set")(
            conf := pointer(new_conf()), b"bootstrap.servers", b"127.0.0.1:1", None, 0
        )
        self._function("rd_kafka_conf_set")(conf, b"log_level", b"0", None, 0)
        client = new_client(PRODUCER, conf, None, ctypes.c_size_t(0))
        self._cluster = pointer(new_cluster(pointer(client), brokers))

    @property
    def addresses(self) -> str:
        """The brokers' hosts and ports."""
        name = "rd_kafka_mock_cluster_bootstraps"
        found: bytes = self._function(name, ctypes.c_char_p)(self._cluster)
        return found.decode()

    def obey(self, command: str, *words: str) -> str:
        """Do what *command* says; return the answer."""
        if command == "errors":  # of the next requests: the API's number, then codes
            api, *codes = map(int, words)
            push = self._function("rd_kafka_mock_push_request_errors_array", None)
            array = (ctypes.c_int * len(codes))(*codes)
            number = ctypes.c_int16(api)
            push(self._cluster, number, ctypes.c_size_t(len(codes)), array)
            return "ok"
        name, types = COMMANDS[command]
        arguments = [
            word.encode() if kind is str else int(word)
            for kind, word in zip(types, words, strict=True)
        ]
        restype = None if command == "topic-error" else ctypes.c_int
        function = self._function(f"rd_kafka_mock_{name}", restype)
        code = function(self._cluster, *arguments)
        return f"error {code}" if code else "ok"

    def _function(self, name: str, restype: t.Any = ctypes.c_int) -> t.Any:
        function = getattr(self._library, name)
        function.restype = restype
        return function


if __name__ == "__main__":
    cluster = MockCluster(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
    print(cluster.addresses, flush=True)  # noqa: T201 a program
    for line in sys.stdin:
        print(cluster.obey(*line.split()), flush=True)  # noqa: T201
