"""Runs every command of the tutorials under examples/exercises and compares what they print.

Arguments: the program, the source folder. A command is a line "$ meshstep ..." in a console block;
what follows it up to the next one is its output, standard error included.
"""

import pathlib
import shlex
import subprocess
import sys


def commands(text):
    """Yields (command, expected output) of the console blocks of a Markdown text."""
    for block in text.split("```console\n")[1:]:
        for part in block.split("\n```")[0].split("$ ")[1:]:
            command, _, output = part.partition("\n")
            yield command, output


def main():
    program, source = sys.argv[1], pathlib.Path(sys.argv[2])
    failures = checked = 0
    for tutorial in sorted((source / "examples" / "exercises").glob("*.md")):
        for command, expected in commands(tutorial.read_text(encoding="utf-8")):
            words = shlex.split(command)
            if words[0] != "meshstep":
                continue
            run = subprocess.run([program] + words[1:], capture_output=True, text=True,
                                 timeout=60, check=False)
            printed = run.stdout + run.stderr
            checked += 1
            if printed.strip() != expected.strip():
                failures += 1
                print(f"{tutorial.name}: {command}\nprinted:\n{printed}\nexpected:\n{expected}\n")
    if checked < 10:
        failures += 1
        print(f"only {checked} commands found")
    print(f"{checked} commands, {failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
