"""Do what a page says, as a reader would who types it all: ``reader.py PAGE``.

The blocks of the page are taken in their order, in the working directory:

- ``python`` is executed, all blocks of a page in one namespace; but a block under the
  comment ``<!-- file: NAME -->`` is saved as that file, whatever its language, and one
  under ``<!-- append: NAME -->`` is added to its end;
- ``pycon`` is executed in the same namespace, and answers as shown;
- ``console`` is typed into a shell, the same for the whole page, and answers as shown
  (``...`` is any text, and a time, such as ``9 s`` or ``2026-01-31 12:00:00``, may be
  any other); but a command under ``<!-- another terminal: REASON -->`` is started in a
  shell of its own, prints what is shown, and runs until the page ends.

Blocks of other languages are only read, and so are those under a comment that says
why: ``<!-- not run: REASON -->``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import doctest
import os
import re
import signal
import subprocess
import sys
import types
import typing as t
from pathlib import Path

BLOCK = re.compile(
    r"^(?:<!-- (?P<order>file|append|not run|another terminal):"
    r" (?P<word>[^\n]*?) -->\n)?"
    r"```(?P<language>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)

TIME = re.compile(
    r"\b\d+ (?:s|min|h|d)\b"
    r"|\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?(?:\+00:00)?"
)

#: What the shell prints when a command has ended, before the name of its folder.
DONE = "--- done in "

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclasses.dataclass(frozen=True)
class Block:
    """A block of code: its *text*, and the *line* of the page where that begins."""

    language: str
    text: str
    line: int
    order: str | None
    word: str | None


def read(page: Path) -> t.Iterator[Block]:
    """Yield the blocks of *page*."""
    text = page.read_text()
    for match in BLOCK.finditer(text):
        line = text.count("\n", 0, match.start("text"))
        yield Block(
            match["language"], match["text"], line, match["order"], match["word"]
        )


class Reader:
    """Somebody who follows a page to the letter."""

    def __init__(self, page: Path) -> None:
        """Begin with an empty module in the working directory."""
        self.page = page
        self.terminals = [Terminal()]
        module = sys.modules["program"] = types.ModuleType("program")
        module.__file__ = str(Path("program.py").absolute())
        self.namespace = vars(module)

    def follow(self, block: Block) -> None:
        """Do what *block* says."""
        if block.order == "file":
            Path(str(block.word)).write_text(block.text)
        elif block.order == "append":
            with Path(str(block.word)).open("a") as file:
                file.write(f"\n\n{block.text}")
        elif block.order == "another terminal":
            self.start(block)
        elif block.order is None:
            act = {"python": self.run, "pycon": self.converse, "console": self.type}
            act.get(block.language, lambda _: None)(block)

    def run(self, block: Block) -> None:
        """Execute Python; a traceback names the line of the page."""
        source = "\n" * block.line + block.text
        code = compile(source, self.page, "exec", dont_inherit=True)
        exec(code, self.namespace)  # noqa: S102 our own page

    def converse(self, block: Block) -> None:
        """Execute what stands behind the prompts, and compare the answers."""
        test = doctest.DocTestParser().get_doctest(
            block.text, {}, self.page.name, str(self.page), block.line
        )
        test.globs = self.namespace
        failed, _ = doctest.DocTestRunner(optionflags=FLAGS).run(
            test, clear_globs=False
        )
        if failed:
            raise SystemExit(f"{self.page}:{block.line}: the answers are others")

    def type(self, block: Block) -> None:
        """Type commands into a terminal, and compare what they print."""
        for command, expected in _commands(block):
            self.compare(block, command, expected, self.terminals[0].type(command))

    def start(self, block: Block) -> None:
        """Type a command that goes on, and compare what it prints at first."""
        ((command, expected),) = _commands(block)
        self.terminals.append(Terminal())
        printed = self.terminals[-1].start(command, expected.count("\n"))
        self.compare(block, command, expected, printed)

    def compare(self, block: Block, command: str, expected: str, printed: str) -> None:
        """End with what *command* has *printed* if something else is *expected*."""
        same = (TIME.sub("TIME", text) for text in (expected, printed))
        if not doctest.OutputChecker().check_output(*same, FLAGS):
            raise SystemExit(
                f"{self.page}:{block.line}: $ {command}\n{printed}instead of\n"
                f"{expected}"
            )

    def close(self) -> None:
        """End what still runs."""
        for terminal in self.terminals:
            terminal.close()


class Terminal:
    """A shell that knows what was typed before: where it is, and what was exported.

    Where it goes, the reader goes, too.
    """

    def __init__(self) -> None:
        """Open it in the working directory."""
        self._shell: t.Any = subprocess.Popen(
            ["/bin/sh"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def type(self, command: str) -> str:
        """Type *command*, and return what it prints."""
        self._enter(command, f"printf '\\n{DONE}%s\\n' \"$PWD\"")
        printed = ""
        for line in self._shell.stdout:
            if line.startswith(DONE):
                os.chdir(line.removeprefix(DONE).removesuffix("\n"))
                return printed.removesuffix("\n")
            printed += line
        raise SystemExit(f"The shell has ended: $ {command}\n{printed}")

    def start(self, command: str, lines: int) -> str:
        """Type a *command* that goes on; return the first *lines* that it prints."""
        self._enter(command)
        return "".join(self._shell.stdout.readline() for _ in range(lines))

    def close(self) -> None:
        """End the shell, and all that it has started."""
        os.killpg(self._shell.pid, signal.SIGKILL)
        self._shell.communicate()

    def _enter(self, command: str, *more: str) -> None:
        lines = (f"{{ {command}", "} </dev/null", *more)
        self._shell.stdin.write("".join(f"{line}\n" for line in lines))
        self._shell.stdin.flush()


def _commands(block: Block) -> list[tuple[str, str]]:
    """Return what is typed, and what is printed then."""
    return re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block.text, re.MULTILINE)


if __name__ == "__main__":
    sys.path[0] = ""  # files that the page has saved can be imported
    with contextlib.closing(Reader(Path(sys.argv[1]))) as reader:
        for block in read(reader.page):
            reader.follow(block)
