"""The chaos suite: faults on one side, ledgers on the other, and a verdict by counting.

Writers record signals while servers and processes are killed, frozen and cut off. What
was recorded is in the database; what arrived is in a ledger behind the broker. Whatever
happened in between, the two must agree.

`hatch run chaos` runs it. A scenario is a function in `chaos.scenarios`.
"""
