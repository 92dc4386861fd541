"""The reader of the pages notices what is wrong with one."""

from __future__ import annotations

import typing as t

import pytest

if t.TYPE_CHECKING:
    import subprocess
    from pathlib import Path

RIGHT = """
<!-- file: answer.py -->
```python
answer = 42
```

```python
from answer import answer
```

```pycon
>>> answer
42

```

```console
$ cat answer.py
answer = 42
$ echo on the standard error >&2
on the standard error
$ mkdir folder; cd folder; export QUESTION="6 * 9"
$ printf "$QUESTION in $(basename "$PWD")"
6 * 9 in folder
$ date -u '+2 min ago: %Y-%m-%dT%H:%M:%S.%N+00:00'
9 s ago: 2026-01-31T12:00:00+00:00
```

```python
from pathlib import Path

Path("question.txt").write_text("6 * 9")
```

<!-- another terminal: it runs for a while -->
```console
$ echo begun; sleep 1000; echo awake
begun
```

```console
$ cat ../folder/question.txt
6 * 9
```

<!-- not run: it is about an answer that nobody has -->
```python
raise RuntimeError
```
"""

WRONG = [
    ("from answer import answer", "from answer import question"),
    (">>> answer\n42", ">>> answer\n43"),
    ("$ cat answer.py\nanswer = 42", "$ cat answer.py\nanswer = 43"),
    ("$ cat answer.py\nanswer = 42", "$ cat answer.py"),
    ("9 s ago: 2026", "9 s and: 2026"),
    ("6 * 9 in folder", "6 * 9 elsewhere"),
    ("$ echo begun", "$ echo began"),
    ("$ mkdir", "$ exit; mkdir"),
    ("folder/question", "question"),
    ("<!-- not run: it is about an answer that nobody has -->", ""),
]


@pytest.fixture
def status(
    tmp_path: Path, follow: t.Callable[[Path], subprocess.CompletedProcess[str]]
) -> t.Callable[[str], int]:
    """Follow a page with this text, and return the exit status."""

    def run(text: str) -> int:
        page = tmp_path / "page.md"
        page.write_text(text)
        return follow(page).returncode

    return run


def test_a_page_that_is_right_can_be_followed(status: t.Callable[[str], int]) -> None:
    """Files are saved, code is run, answers are compared, exceptions are heeded."""
    assert status(RIGHT) == 0


@pytest.mark.parametrize(("right", "wrong"), WRONG)
def test_a_page_that_is_wrong_is_noticed(
    status: t.Callable[[str], int], right: str, wrong: str
) -> None:
    """Any answer that is another, and any code that fails."""
    assert right in RIGHT
    assert status(RIGHT.replace(right, wrong)) == 1
