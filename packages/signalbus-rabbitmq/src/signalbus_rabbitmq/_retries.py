"""Messages that failed, held back unacknowledged until they are tried again."""

from __future__ import annotations

import random
import time
import typing as t

from signalbus_rabbitmq._failure_log import FailureLog

if t.TYPE_CHECKING:
    from signalbus_rabbitmq._attempts import Attempts
    from signalbus_rabbitmq._settings import Settings
    from signalbus_rabbitmq._workers import Delivery

#: How many messages, and how many bytes of bodies, may be held. Beyond that, the
#: consumer takes no new messages in place of those that it holds.
MAX_HELD = 1000
MAX_HELD_BYTES = 64 * 2**20

#: How long a message is held, in seconds. Then it is requeued when it is due: RabbitMQ
#: closes the channel of a consumer that keeps a message for half an hour.
MAX_HELD_SECONDS = 600.0

#: How often a message is tried in a run that drains the queue, if nothing limits it.
DRAINING_ATTEMPTS = 3


class Outcomes(t.NamedTuple):
    """What may become of a message that failed.

    :param retry: has it processed again.
    :param requeue: returns it to its queue.
    :param reject: rejects it, to the dead letters.
    """

    retry: t.Callable[[Delivery], None]
    requeue: t.Callable[[Delivery], None]
    reject: t.Callable[[Delivery], None]


class Retries:
    """Decides what becomes of messages that failed, and holds those to be tried again.

    The methods are for the thread that serves the connection.

    :param attempts: what is known of messages that were here before.
    :param call_later: calls a function after so many seconds, in that thread.
    """

    def __init__(
        self,
        settings: Settings,
        attempts: Attempts,
        draining: bool,
        call_later: t.Callable[[float, t.Callable[[], None]], object],
        outcomes: Outcomes,
    ) -> None:
        self._settings = settings
        self._attempts = attempts
        self._draining = draining
        self._call_later = call_later
        self._outcomes = outcomes
        self._held: dict[int, Delivery] = {}
        self._held_bytes = 0
        self._failures = FailureLog()
        self.given_up = 0
        self.rejected = 0
        self.first_error: Exception | None = None

    @property
    def waiting(self) -> int:
        """How many messages are going to be tried again."""
        return len(self._held) - self.given_up

    @property
    def is_full(self) -> bool:
        """Whether no more messages should be taken in place of those held."""
        return len(self._held) >= MAX_HELD or self._held_bytes >= MAX_HELD_BYTES

    @property
    def held(self) -> t.Iterable[Delivery]:
        """The messages that are held, with their attempts."""
        return self._held.values()

    def recall(self, delivery: Delivery, redelivered: bool) -> Delivery:
        """Return *delivery* with the number of attempts that failed before."""
        earlier = self._attempts.recall(delivery, redelivered)
        return delivery._replace(earlier=earlier, attempts=earlier)

    def take(self, delivery: Delivery, error: Exception) -> None:
        """Decide what becomes of a message whose processing raised *error*."""
        failed = delivery._replace(attempts=delivery.attempts + 1)
        limit = self._settings.max_attempts
        if limit and failed.attempts >= limit:
            self._reject_for_good(failed, error)
        elif self._draining and not limit and _is_used_up(failed):
            self._give_up(failed, error)
        else:
            self._postpone(failed, error)

    def _reject_for_good(self, failed: Delivery, error: Exception) -> None:
        self._failed_for_good(error)
        self.rejected += 1
        self._failures.error(
            f"Processing {failed.name} failed {_tally(failed)}: it is rejected, to the"
            f" dead-letter exchange of {self._settings.queue!r}.",
            error,
        )
        self._outcomes.reject(failed)

    def _give_up(self, failed: Delivery, error: Exception) -> None:
        self._hold(failed)
        self._failed_for_good(error)
        self.given_up += 1
        self._failures.warn(
            f"Processing {failed.name} failed {_tally(failed)}: it goes back to"
            f" {self._settings.queue!r} in the end.",
            error,
        )

    def _postpone(self, failed: Delivery, error: Exception) -> None:
        delay = self._delay(failed.attempts)
        self._hold(failed)
        self._call_later(delay, lambda: self._release(failed))
        self._failures.warn(
            f"Processing {failed.name} failed {_tally(failed)}. It is tried again in"
            f" {delay:.1f} seconds.",
            error,
        )

    def _failed_for_good(self, error: Exception) -> None:
        self.first_error = self.first_error or error

    def _delay(self, attempts: int) -> float:
        """Return how long to wait after so many *attempts*: twice as long each time."""
        first = self._settings.retry_first_delay
        delay = first * 2.0 ** min(attempts - 1, 64)
        return min(delay, self._settings.retry_max_delay) * random.uniform(0.5, 1.0)  # noqa: S311 no secret

    def _hold(self, failed: Delivery) -> None:
        self._held[failed.tag] = failed
        self._held_bytes += len(failed.body)

    def _release(self, due: Delivery) -> None:
        del self._held[due.tag]
        self._held_bytes -= len(due.body)
        if time.monotonic() - due.at < MAX_HELD_SECONDS:
            self._outcomes.retry(due)
            return
        self._attempts.remember(due)
        self._outcomes.requeue(due)


def _tally(failed: Delivery) -> str:
    """Describe how often *failed* failed, and how much of that the broker counted."""
    times = "1 time" if failed.attempts == 1 else f"{failed.attempts} times"
    if not failed.earlier:
        return times
    return f"{times}, {failed.earlier} of them counted before this delivery"


def _is_used_up(failed: Delivery) -> bool:
    return failed.attempts - failed.earlier >= DRAINING_ATTEMPTS
