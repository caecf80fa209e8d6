"""Asks meshstep every number of seed_numbers.tsv.

    seed_numbers_test.py PROGRAM SOURCE_FOLDER
"""

import concurrent.futures
import json
import pathlib
import re
import shlex
import subprocess
import sys
import unittest

PROGRAM, SOURCE = sys.argv[1], pathlib.Path(sys.argv[2])
TOLERANCE = 0.01


def rows():
    for line in (SOURCE / "tests/exercises/seed_numbers.tsv").read_text().splitlines():
        if line and not line.startswith("#"):
            yield line.split("\t")


def ask(command):
    run = subprocess.run([PROGRAM, *shlex.split(command), "--format=json"], capture_output=True,
                         text=True, timeout=60, check=False)
    return json.loads(run.stdout) if run.returncode == 0 else run.stderr


def field(value, path):
    for part in re.findall(r"[^.\[\]]+", path):
        value = value[int(part) if part.isdigit() else part]
    return float(value)


class SeedNumbersTest(unittest.TestCase):

    def test_every_number(self):
        table = list(rows())
        self.assertEqual(76, len(table))
        commands = sorted({row[3] for row in table})
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            answers = dict(zip(commands, pool.map(ask, commands)))
        for text, question, says, command, path, right, why in table:
            with self.subTest(text=text, question=question, command=command):
                expected = eval(right, {"__builtins__": {}})
                self.assertNotIsInstance(answers[command], str, answers[command])
                self.assertAlmostEqual(1, field(answers[command], path) / expected, delta=TOLERANCE)
                differs = abs(float(says.replace(",", "")) / expected - 1) > TOLERANCE
                self.assertTrue(why or not differs, "the text says something else")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
