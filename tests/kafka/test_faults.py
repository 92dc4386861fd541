"""Threads that send while the cluster has faults of all kinds, one after the other."""

from __future__ import annotations

import random
import threading
import time
import typing as t

from signalbus.exceptions import BrokerUnavailableError
from signalbus.exceptions import PartialDeliveryError

if t.TYPE_CHECKING:
    from conftest import Cluster
    from conftest import Shop

SECONDS = 10


class Sender(threading.Thread):
    """Sends bursts, some of them in a hurry, and knows what was confirmed."""

    def __init__(self, shop: Shop, model: t.Any, number: int, until: float) -> None:
        super().__init__()
        self.confirmed: set[bytes] = set()
        self.overruns: list[float] = []
        self.errors: list[BaseException] = []
        self._shop = shop
        self._model = model
        self._number = number
        self._until = until
        self._random = random.Random(number)  # noqa: S311 no secret

    def run(self) -> None:
        """Send until the end."""
        with self._shop.app.app_context():
            count = 0
            while time.monotonic() < self._until:
                size = self._random.choice([1, 5, 100])
                texts = [f"{self._number}-{count + each}" for each in range(size)]
                count += size
                self._send(texts, self._random.choice([0.3, 0.6, 2]))
                time.sleep(self._random.random() * 0.1)

    def _send(self, texts: list[str], timeout: float) -> None:
        model = self._model
        signals = [model(id=number, text=text) for number, text in enumerate(texts)]
        began, failed = time.monotonic(), set(range(len(texts)))
        try:
            self._shop.bus.plugin_manager.hook.signalbus_send_burst(
                bus=self._shop.bus, model=model, signals=signals, timeout=timeout
            )
            failed = set()
        except PartialDeliveryError as error:
            failed = set(error.failures)
        except BrokerUnavailableError:
            pass
        except BaseException as error:  # noqa: BLE001 the test looks at it
            self.errors.append(error)
        self.overruns.append(time.monotonic() - began - timeout)
        sent = [each for at, each in enumerate(texts) if at not in failed]
        self.confirmed |= {each.encode() for each in sent}


def test_nothing_that_was_confirmed_is_lost(
    shop: Shop, cluster: Cluster, topic: str
) -> None:
    """Nobody waits for much longer than allowed, and duplicates are few."""
    paid = shop.declare(
        signalbus_topic=topic, signalbus_partition_key=lambda signal: signal.text[:2]
    )
    until = time.monotonic() + SECONDS
    senders = [Sender(shop, paid, number, until) for number in range(5)]
    for sender in senders:
        sender.start()
    faults = random.Random(7)  # noqa: S311 no secret
    while time.monotonic() < until:
        fault, repair = faults.choice(
            [(cluster.stop, cluster.start), (cluster.freeze, cluster.thaw)]
        )
        fault()
        time.sleep(faults.random())
        repair()
        time.sleep(faults.random() * 2)
    for sender in senders:
        sender.join()

    stored = cluster.values(topic)
    assert [] == [error for sender in senders for error in sender.errors]
    confirmed = set().union(*(sender.confirmed for sender in senders))
    assert 100 < len(confirmed)
    assert set() == confirmed - set(stored)
    assert 2 > max(overrun for sender in senders for overrun in sender.overruns)
    assert 3 >= max(map(stored.count, set(stored[:500])))
