"""Do what a page says, as a reader would who types it all: ``reader.py PAGE``.

The blocks of the page are taken in their order, in the working directory:

- ``python`` is executed, all blocks of a page in one namespace; but a block under the
  comment ``<!-- file: NAME -->`` is saved as that file, whatever its language, and one
  under ``<!-- append: NAME -->`` is added to its end;
- ``pycon`` is executed in the same namespace, and answers as shown;
- ``console`` is typed into a shell, and answers as shown (``...`` is any text, and a
  time, such as ``9 s`` or ``2026-01-31 12:00:00``, may be any other).

Blocks of other languages are only read, and so are those under a comment that says
why: ``<!-- not run: REASON -->``.
"""

from __future__ import annotations

import dataclasses
import doctest
import re
import subprocess
import sys
import types
import typing as t
from pathlib import Path

BLOCK = re.compile(
    r"^(?:<!-- (?P<order>file|append|not run): (?P<word>[^\n]*?) -->\n)?"
    r"```(?P<language>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)

TIME = re.compile(
    r"\b\d+ (?:s|min|h|d)\b"
    r"|\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?(?:\+00:00)?"
)

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
        """Type commands into a shell, and compare what they print."""
        for command, expected in re.findall(
            r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block.text, re.MULTILINE
        ):
            printed = _shell(command)
            same = (TIME.sub("TIME", text) for text in (expected, printed))
            if not doctest.OutputChecker().check_output(*same, FLAGS):
                raise SystemExit(
                    f"{self.page}:{block.line}: $ {command}\n{printed}instead of\n"
                    f"{expected}"
                )


def _shell(command: str) -> str:
    done = subprocess.run(  # noqa: S602 our own page
        command,
        shell=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout


if __name__ == "__main__":
    sys.path[0] = ""  # files that the page has saved can be imported
    reader = Reader(Path(sys.argv[1]))
    for block in read(reader.page):
        reader.follow(block)
