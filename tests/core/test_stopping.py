"""A token that ends waits: whoever tells it, whenever, from wherever."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import threading
import time
import typing as t

import pytest
from signalbus import DBSerializationError
from signalbus import retry
from signalbus import stopping
from signalbus.stopping import StopToken

if t.TYPE_CHECKING:
    from collections.abc import Iterator

#: Far longer than any test may take, in seconds.
FOR_EVER = 3600.0


@contextlib.contextmanager
def alarm(seconds: float, handler: t.Callable[[], object]) -> Iterator[None]:
    """Let a signal come in some seconds."""
    before = signal.signal(signal.SIGALRM, lambda *_: handler())
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def is_readable(token: StopToken) -> bool:
    """Tell whether those who wait for the token's descriptor go on."""
    with selectors.DefaultSelector() as selector:
        selector.register(token, selectors.EVENT_READ)
        return bool(selector.select(0))


def test_a_wait_ends_by_itself() -> None:
    """Where nobody says stop, a wait takes its time and says so."""
    token = StopToken()
    begun = time.monotonic()

    assert token.wait(0.02) is False
    assert time.monotonic() - begun >= 0.02
    assert token.is_stopping is False


def test_a_wait_that_is_over_is_none() -> None:
    """No time left is no error."""
    assert StopToken().wait(-1) is False
    assert stopping.wait(-1) is False


def test_a_stopped_token_does_not_wait() -> None:
    """A stop that came before the wait is heeded, every time."""
    token = StopToken()
    token.stop()
    token.stop()

    assert token.wait(FOR_EVER) is True
    assert token.wait() is True
    assert token.is_stopping is True


def test_a_signal_handler_ends_the_wait() -> None:
    """A handler may call stop(), also in the middle of a wait."""
    token = StopToken()

    with alarm(0.05, token.stop):
        assert token.wait(FOR_EVER) is True


def test_another_thread_ends_all_waits() -> None:
    """However many threads wait, all go on."""
    token = StopToken()
    threads = [threading.Thread(target=token.wait, daemon=True) for _ in range(5)]
    for thread in threads:
        thread.start()
    token.stop()
    for thread in threads:
        thread.join(60)

    assert [False] * 5 == [thread.is_alive() for thread in threads]


def test_the_descriptor_is_readable_once_stopped() -> None:
    """Those who wait for sockets wait for the token in the same call."""
    token = StopToken()
    assert not is_readable(token)

    token.stop()

    assert token.wait() is True
    assert is_readable(token)


def test_very_many_stops_do_not_block() -> None:
    """Nobody reads what stop() writes, so it never waits for room."""
    token = StopToken()
    for _ in range(100_000):
        token.stop()

    assert token.is_stopping


def test_a_token_is_active_where_it_was_entered() -> None:
    """Waits listen to the innermost token of their thread, and of no other."""
    outer, inner = StopToken(), StopToken()
    seen: list[StopToken | None] = []
    with outer.active():
        with inner.active():
            assert inner is stopping.current()
            thread = threading.Thread(target=lambda: seen.append(stopping.current()))
            thread.start()
            thread.join()
        assert outer is stopping.current()

    assert [None] == seen
    assert stopping.current() is None


def test_waits_listen_to_the_active_token() -> None:
    """What waits need not know who says stop."""
    assert not stopping.is_stopping()
    with StopToken().active() as token:
        assert not stopping.is_stopping()
        token.stop()

        assert stopping.is_stopping()
        assert stopping.wait(FOR_EVER) is True
    assert not stopping.is_stopping()


#: A parent and a child that were one when they made their token. The child stops when
#: its name is given, then the parent; each says of itself whether it is to stop.
FAMILY = """
import os, selectors, sys
from signalbus.stopping import StopToken

def say(name):
    with selectors.DefaultSelector() as selector:
        selector.register(token, selectors.EVENT_READ)
        print(name, token.is_stopping, bool(selector.select(0)), flush=True)

token, pipe = StopToken(), os.pipe()
child = os.fork()
if not child:
    if sys.argv[1] == "child":
        token.stop()
    else:
        os.read(pipe[0], 1)
    say("child")
    os._exit(0)
if sys.argv[1] == "parent":
    token.stop()
    os.write(pipe[1], b"0")
os.waitpid(child, 0)
say("parent")
"""


@pytest.mark.parametrize("stopped", ["child", "parent"])
def test_a_fork_makes_two_tokens(interpreter: t.Any, stopped: str) -> None:
    """Neither a child nor its parent is stopped by what stops the other."""
    output, _ = interpreter(FAMILY, stopped).communicate(timeout=60)
    told = {name: stopped == name for name in ("child", "parent")}

    assert [
        f"{name} {is_stopping} {is_stopping}" for name, is_stopping in told.items()
    ] == output.splitlines()


def test_descriptors_are_given_back() -> None:
    """A token that nobody holds any more holds no descriptor."""
    token = StopToken()
    number = token.fileno()
    del token

    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)


def test_a_retry_ends_its_wait() -> None:
    """What would be tried again for long fails with its error when told to stop."""
    tries: list[int] = []

    def fail() -> None:
        tries.append(len(tries))
        token.stop()
        raise ValueError("away")

    with StopToken().active() as token, pytest.raises(ValueError, match="away"):
        retry.call_repeatedly(fail, 1_000_000, lambda _: True)

    assert [0] == tries


def test_what_must_be_finished_is_tried_again_nevertheless() -> None:
    """Behind a shield, a retry does not end before its tries do."""
    tries: list[int] = []

    def fail() -> None:
        tries.append(len(tries))
        raise ValueError("away")

    with StopToken().active() as token, stopping.shielded():
        token.stop()
        with pytest.raises(ValueError, match="away"):
            retry.call_repeatedly(fail, 3, lambda _: True)

    assert [0, 1, 2] == tries


def test_a_stopped_function_loses_its_race_but_once_more(
    db: t.Any, app_ctx: object
) -> None:
    """``retry_on_deadlock`` does not wait when told to stop, and tries a last time."""
    tries: list[int] = []

    @retry.retry_on_deadlock(db.session, retries=1000, min_wait=FOR_EVER)
    def race() -> None:
        tries.append(len(tries))
        raise DBSerializationError

    with StopToken().active() as token:
        token.stop()
        with pytest.raises(DBSerializationError):
            race()

    assert [0, 1] == tries


def test_the_first_signal_stops_the_token() -> None:
    """SIGTERM and SIGINT end the waits; whoever wants to hears which one came."""
    heard: list[int] = []
    for number in stopping.SIGNALS:
        token = StopToken()
        with token.on_signals(heard.append):
            signal.raise_signal(number)

        assert token.is_stopping

    assert list(stopping.SIGNALS) == heard


def test_after_the_first_signal_both_have_their_default_action() -> None:
    """A second signal ends the process, whatever it is doing."""
    with StopToken().on_signals():
        signal.raise_signal(signal.SIGTERM)

        assert [signal.SIG_DFL] * 2 == [signal.getsignal(n) for n in stopping.SIGNALS]


def test_handlers_of_before_come_back() -> None:
    """A program gets its own handlers back, whether a signal came or not."""
    before = [signal.getsignal(number) for number in stopping.SIGNALS]
    with StopToken().on_signals():
        signal.raise_signal(signal.SIGINT)

    assert before == [signal.getsignal(number) for number in stopping.SIGNALS]


def test_other_threads_set_no_handlers() -> None:
    """Where Python allows no handler, the work goes on without one."""
    errors: list[BaseException] = []

    def work() -> None:
        try:
            with StopToken().on_signals():
                pass
        except ValueError as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert [] == errors
