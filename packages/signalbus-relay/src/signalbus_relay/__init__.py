"""The long-running relay of signalbus: `flask signalbus run`."""
