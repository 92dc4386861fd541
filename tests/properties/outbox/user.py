"""What a user does: the rules for sessions, transactions and savepoints."""

from __future__ import annotations

from hypothesis import stateful
from hypothesis import strategies as st

from outbox.models import KINDS
from outbox.session import UserSession
from outbox.session import entry_of

MODELS = st.sampled_from(sorted(KINDS))
ACCOUNTS = st.sampled_from("abc")
#: Which signals are recorded at once: their models and ordering keys.
SIGNALS = st.lists(st.tuples(MODELS, ACCOUNTS), min_size=1, max_size=8)
INDEX = st.integers(0, 30)

#: What is done to signals that are not committed yet.
ACTIONS = ["modify", "delete", "delete at once", "expunge"]

SAVEPOINT_ACTIONS = st.sampled_from(["begin", "begin", "release", "rollback"])

WAYS_TO_ADD = st.sampled_from(["add_all", "add_all", "merge"])

PAST_THE_UNIT_OF_WORK = st.sampled_from(
    ["insert", "core", "bulk_save_objects", "bulk_insert_mappings"]
)


class User(UserSession):
    """A user of a session, who does whatever may be done."""

    # What is recorded

    @stateful.rule(what=SIGNALS, way=WAYS_TO_ADD)
    def add(self, what: list[tuple[str, str]], way: str) -> None:
        """Add signals to the session, one by one or all at once."""
        new = dict(map(self._new, what))
        if way == "merge":
            with self.session.no_autoflush:
                new = {n: self.session.merge(signal) for n, signal in new.items()}
        else:
            self.session.add_all(new.values())
        self.instances.update(new)

    @stateful.rule(name=MODELS, account=ACCOUNTS, count=st.sampled_from([1, 3, 5, 12]))
    def add_many(self, name: str, account: str, count: int) -> None:
        """Add many signals of one key, some of which hang on something else."""
        new = dict(self._new((name, account)) for _ in range(count))
        if name == "Child":
            parent = self.shop.models.parent(text="parent")
            parent.children.extend(new.values())
            self.session.add(parent)
        else:
            self.session.add_all(new.values())
        self.instances.update(new)

    @stateful.rule(what=SIGNALS, way=PAST_THE_UNIT_OF_WORK)
    def insert(self, what: list[tuple[str, str]], way: str) -> None:
        """Insert signals past the session's unit of work."""
        for name, account in what:
            values = self._values(name, account)
            with self.session.no_autoflush:
                self._insert(name, values, way)
            self.ledger.insert(entry_of(name, values))
        self.has_written = True

    # What becomes of it

    @stateful.precondition(lambda self: self.own)
    @stateful.rule(action=st.sampled_from(ACTIONS), index=INDEX)
    def change(self, action: str, index: int) -> None:
        """Change, delete or expunge a signal that this transaction has added."""
        number = self.own[index % len(self.own)]
        if action == "modify":
            self._modify(number)
        elif action == "expunge":
            self._expunge(number)
        else:
            self._delete(number)
        if action == "delete at once":
            self._flush()

    @stateful.precondition(lambda self: self.old)
    @stateful.rule(action=st.sampled_from(["modify", "delete"]), index=INDEX)
    def change_pending(self, action: str, index: int) -> None:
        """Change or delete a signal that is committed."""
        number = self.old[index % len(self.old)]
        self._load(number)
        if action == "modify":
            self._modify(number)
        else:
            self._delete(number)
        self._flush()

    @stateful.precondition(lambda self: self.seats)
    @stateful.rule(index=INDEX, at_once=st.booleans())
    def replace(self, index: int, at_once: bool) -> None:
        """Delete a signal, and add another one with its primary key."""
        old = self.seats[index % len(self.seats)]
        signal = self._load(old)
        identifier, account = signal.id, signal.account
        self._delete(old)
        if at_once:
            self._flush()
        number, new = self._new(("Seat", account), id=identifier)
        self.session.add(new)
        self.instances[number] = new
        self._flush()

    # Transactions

    @stateful.precondition(lambda self: self.is_unwritten)
    @stateful.rule(name=st.none() | MODELS)
    def write(self, name: str | None) -> None:
        """Let the session write what it has; a query does that first."""
        if name is None:
            self._flush()
        else:
            self._query(name)

    @stateful.rule(action=SAVEPOINT_ACTIONS, depth=st.integers(0, 2))
    def go_to_savepoint(self, action: str, depth: int) -> None:
        """Begin a savepoint, release the last one, or roll back to any of them."""
        if not self.handles or (action == "begin" and len(self.handles) < 3):
            self._begin_nested()
        elif action == "rollback":
            self._rollback_to(depth % len(self.handles))
        else:
            self._release()

    @stateful.precondition(lambda self: len(self.handles) < 3)
    @stateful.rule(
        what=SIGNALS,
        action=st.none() | st.sampled_from(ACTIONS),
        is_kept=st.booleans(),
        index=INDEX,
    )
    def use_savepoint(
        self, what: list[tuple[str, str]], action: str | None, is_kept: bool, index: int
    ) -> None:
        """Record signals in a savepoint of their own, as most users do."""
        self._begin_nested()
        self.add(what, "add_all")
        if action:
            self.change(action, index)
        self._flush()
        if is_kept:
            self._release()
        else:
            self._rollback_to(len(self.handles) - 1)

    @stateful.precondition(lambda self: self.is_unwritten or self.has_written)
    @stateful.rule(way=st.sampled_from(["rollback", "close", "remove"]))
    def rollback(self, way: str) -> None:
        """Give up the transaction."""
        getattr(self.shop.db.session, way)()
        self.ledger.rollback()
        self._ended()
