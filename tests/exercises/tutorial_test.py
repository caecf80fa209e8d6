"""Runs every command of the tutorials under examples/exercises and compares what they print.

Arguments: the program, the source folder, and --update to write what is printed into the tutorials.
A command is a line "$ meshstep ..." in a console block; what follows it up to the next one is its
output, standard error included.
"""

import pathlib
import re
import shlex
import subprocess
import sys

BLOCK = re.compile(r"(```console\n)(.*?)(^```$)", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"^\$ (meshstep .*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)


class Tutorial:
    """One Markdown file, its commands and how many print something else."""

    def __init__(self, program, path):
        self.program = program
        self.path = path
        self.checked = 0
        self.failures = 0

    def run(self, match):
        command, expected = match.group(1), match.group(2)
        words = shlex.split(command)
        run = subprocess.run([self.program] + words[1:], capture_output=True, text=True,
                             timeout=60, check=False)
        printed = run.stdout + run.stderr
        self.checked += 1
        if printed.strip() != expected.strip():
            self.failures += 1
            print(f"{self.path.name}: {command}\nprinted:\n{printed}\nexpected:\n{expected}\n")
        return f"$ {command}\n{printed.rstrip()}\n"

    def text(self):
        """The file with each output replaced by what the program prints now."""
        old = self.path.read_text(encoding="utf-8")
        return BLOCK.sub(lambda b: b[1] + COMMAND.sub(self.run, b[2]) + b[3], old)


def main():
    program, source = sys.argv[1], pathlib.Path(sys.argv[2])
    update = sys.argv[3:] == ["--update"]
    checked = failures = 0
    for path in sorted((source / "examples" / "exercises").glob("*.md")):
        tutorial = Tutorial(program, path)
        text = tutorial.text()
        if update:
            path.write_text(text, encoding="utf-8")
        checked += tutorial.checked
        failures += tutorial.failures
    print(f"{checked} commands, {failures} print something else")
    return 1 if checked < 18 or (failures and not update) else 0


if __name__ == "__main__":
    sys.exit(main())
