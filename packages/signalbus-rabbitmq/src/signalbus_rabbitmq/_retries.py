"""Messages that failed, held back unacknowledged until they are tried again."""

from __future__ import annotations

import random
import time
import typing as t

from signalbus_rabbitmq._failure_log import FailureLog

if t.TYPE_CHECKING:
    from signalbus_rabbitmq._attempts import Attempts
    from signalbus_rabbitmq._settings import Settings
    from signalbus_rabbitmq._workers import Delivered

#: How many messages may be held back, and how many bytes their bodies may have. Beyond
#: that, the consumer takes no new ones in place of those it holds.
HELD_MAX = 1000
HELD_BYTES_MAX = 64 * 2**20

#: How long a message is held, in seconds. RabbitMQ closes the channel of a consumer
#: that keeps one for half an hour; so it gets it back before that, when it is due.
HELD_SECONDS_MAX = 600.0

#: How often a message is tried in a run that drains the queue, if nothing limits it.
DRAINING_ATTEMPTS = 3


class Fates(t.NamedTuple):
    """What may become of a message that failed.

    :param retry: has it processed again.
    :param give_back: returns it to its queue.
    :param reject: rejects it, to the dead letters.
    """

    retry: t.Callable[[Delivered], None]
    give_back: t.Callable[[Delivered], None]
    reject: t.Callable[[Delivered], None]


class Retries:
    """Decide what becomes of messages that failed, and hold those to be tried again.

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
        fates: Fates,
    ) -> None:
        self._settings = settings
        self._attempts = attempts
        self._draining = draining
        self._call_later = call_later
        self._fates = fates
        self._held: dict[int, Delivered] = {}
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
        return len(self._held) >= HELD_MAX or self._held_bytes >= HELD_BYTES_MAX

    @property
    def held(self) -> t.Iterable[Delivered]:
        """The messages that are held, with their attempts."""
        return self._held.values()

    def held_of(self, consumer_tag: str | None) -> int:
        """Return how many of a consumer's messages are held."""
        return sum(each.consumer_tag == consumer_tag for each in self._held.values())

    def recall(self, delivered: Delivered, redelivered: bool) -> Delivered:
        """Return *delivered* with the number of attempts that failed before."""
        earlier = self._attempts.recall(delivered, redelivered)
        return delivered._replace(earlier=earlier, attempts=earlier)

    def take(self, delivered: Delivered, error: Exception) -> None:
        """Decide what becomes of a message whose processing raised *error*."""
        failed = delivered._replace(attempts=delivered.attempts + 1)
        limit = self._settings.max_attempts
        if limit and failed.attempts >= limit:
            self._reject_for_good(failed, error)
        elif self._draining and not limit and _is_used_up(failed):
            self._give_up(failed, error)
        else:
            self._postpone(failed, error)

    def _reject_for_good(self, failed: Delivered, error: Exception) -> None:
        self._failed_for_good(error)
        self.rejected += 1
        self._failures.tell(
            f"Processing {failed.name} failed {_tally(failed)}: it is rejected, to the"
            f" dead-letter exchange of {self._settings.queue!r}.",
            error,
        )
        self._fates.reject(failed)

    def _give_up(self, failed: Delivered, error: Exception) -> None:
        self._hold(failed)
        self._failed_for_good(error)
        self.given_up += 1
        self._failures.note(
            f"Processing {failed.name} failed {_tally(failed)}: it goes back to"
            f" {self._settings.queue!r} in the end.",
            error,
        )

    def _postpone(self, failed: Delivered, error: Exception) -> None:
        delay = self._delay(failed.attempts)
        self._hold(failed)
        self._call_later(delay, lambda: self._release(failed))
        self._failures.note(
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

    def _hold(self, failed: Delivered) -> None:
        self._held[failed.tag] = failed
        self._held_bytes += len(failed.body)

    def _release(self, due: Delivered) -> None:
        del self._held[due.tag]
        self._held_bytes -= len(due.body)
        if time.monotonic() - due.at < HELD_SECONDS_MAX:
            self._fates.retry(due)
            return
        self._attempts.remember(due)
        self._fates.give_back(due)


def _tally(failed: Delivered) -> str:
    """Say how often *failed* failed, and how much of that is the broker's count."""
    times = "1 time" if failed.attempts == 1 else f"{failed.attempts} times"
    if not failed.earlier:
        return times
    return f"{times}, {failed.earlier} of them counted before this delivery"


def _is_used_up(failed: Delivered) -> bool:
    return failed.attempts - failed.earlier >= DRAINING_ATTEMPTS
