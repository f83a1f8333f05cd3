"""Runs what a page shows: its files are written, its commands are run, and what they print is compared."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


class Page:
    """A page of docs/, in the working directory."""

    def __init__(self, name: str) -> None:
        self.text = (DOCS / name).read_text(encoding="utf-8")

    def blocks(self, language: str) -> list[str]:
        """Return the text of each block in a language."""
        return re.findall(rf"^```{language}\n(.*?)^```$", self.text, re.M | re.S)

    @property
    def consoles(self) -> list[str]:
        """The text of each console block."""
        return self.blocks("console")

    def write_files(self) -> None:
        """Write each block whose first line is a comment with the path of a file of one's own."""
        for body in self.blocks("(?:python|yaml)"):
            named = re.match(r"# (\S+\.(?:py|yaml))\n", body)
            if named and not named[1].startswith(("docs/", "contrib/")):
                path = Path(named[1])
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(body, encoding="utf-8")

    @staticmethod
    def run(console: str) -> int:
        """Run the commands of a console block and return how many; each prints what is shown.

        `...` stands for any lines.
        """
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        commands = re.findall(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", console, re.M)
        for command, shown in commands:
            ran = subprocess.run(
                command, shell=True, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
            )
            assert prints(ran.stdout + ran.stderr, shown), f"{command}\n{ran.stdout}{ran.stderr}"
        return len(commands)


def prints(printed: str, shown: str) -> bool:
    """Whether a text is what is shown: without trailing blanks and lines, where ` ...` ends a line early.

    A line of `...` alone stands for any number of them.
    """
    lines = [line.rstrip() for line in shown.splitlines()]
    pattern = "".join(r"(?:.*\n)*?" if line == "..." else _pattern(line) + r"\n" for line in lines)
    return re.fullmatch(pattern, "".join(f"{line.rstrip()}\n" for line in printed.rstrip().splitlines())) is not None


def _pattern(line: str) -> str:
    return re.escape(line.removesuffix(" ...")) + (".*" if line.endswith(" ...") else "")


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[Page]:
    """Return what makes a page by its name; the working directory is the test's own."""
    monkeypatch.chdir(tmp_path)
    return Page
