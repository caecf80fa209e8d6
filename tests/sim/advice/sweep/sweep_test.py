"""meshstep sweep: the grid, its order, its forms, and that other commands read what it writes.

    sweep_test.py PROGRAM SOURCE_FOLDER
"""

import csv
import io
import json
import pathlib
import shlex
import subprocess
import sys
import tempfile
import unittest

PROGRAM = str(pathlib.Path(sys.argv[1]).resolve())
EXAMPLES = pathlib.Path(sys.argv[2]).resolve() / "examples"
GPU = str(EXAMPLES.parent / "tests/data/llama3-70b-h100-512.textproto")
TENSOR = ["--vary", "plan.tensor=2,8,3", "--vary", "plan.fsdp=rest"]


def run(*arguments, **options):
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, **options)


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


class SweepTest(unittest.TestCase):

    def sweep(self, *arguments):
        done = run("sweep", *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_a_row_says_what_simulate_says(self):
        rows = json.loads(self.sweep(GPU, *TENSOR, "--format=json"))["rows"]
        self.assertEqual([row["set"][0] for row in rows[:2]], ["plan.tensor=2", "plan.tensor=8"])
        for row in rows[:2]:
            sets = [x for s in row["set"] for x in ("--set", s)]
            report = json.loads(run("simulate", GPU, *sets, "--format=json").stdout)
            for field in ("step_time_s", "tokens_per_s_per_chip", "mfu", "memory", "chips"):
                self.assertEqual(row[field], report[field], field)
        # 512 devices over tensor 3 and data 2.
        self.assertIn("do not divide the 512 devices", rows[2]["reason"])

    def test_rest_is_what_the_other_degrees_leave(self):
        rows = rows_of(self.sweep(GPU, *TENSOR, "--format=csv"))
        self.assertEqual([int(row["plan.fsdp"]) for row in rows[:2]], [512 // 2 // 2, 512 // 2 // 8])

    def test_best_first_then_what_does_not_fit_then_failures(self):
        rows = rows_of(self.sweep(GPU, "--vary", "plan.micro_batch_sequences=1,3,2,16",
                                  "--vary", "plan.recompute=full,none", "--format=csv"))
        ranks = [2 if row["reason"] else row["memory.verdict"] == "DOES_NOT_FIT" for row in rows]
        self.assertEqual(ranks, sorted(ranks))
        self.assertEqual(set(ranks), {0, 1, 2})
        fits = [float(row["tokens_per_s_per_chip"]) for row in rows if row["memory.verdict"] == "FITS"]
        self.assertEqual(fits, sorted(fits, reverse=True))

    def test_ranges(self):
        def values(text):
            rows = rows_of(self.sweep(GPU, "--vary", f"plan.prefetch_layers={text}", "--format=csv"))
            return sorted(int(row["plan.prefetch_layers"]) for row in rows)
        self.assertEqual(values("0..3"), [0, 1, 2, 3])
        self.assertEqual(values("1..9x2"), [1, 2, 4, 8])
        self.assertEqual(values("1..8+3"), [1, 4, 7])
        self.assertEqual(values("0,2..3"), [0, 2, 3])

    def test_other_commands_read_the_table(self):
        with tempfile.TemporaryDirectory() as folder:
            table = pathlib.Path(folder) / "sweep.csv"
            text = self.sweep(GPU, *TENSOR, "--set", "plan.recompute=selective", "--format=csv")
            table.write_text(text)
            rows = rows_of(text)
            reports = json.loads(run("simulate", str(table), "--format=json").stdout)
            self.assertEqual([r["scenario"] for r in reports], [row["name"] for row in rows[:2]])
            for row, report in zip(rows, reports):
                self.assertEqual(float(row["step_time_s"]), report["step_time_s"])
            compared = run("compare", str(table), "--format=json")
            self.assertEqual(compared.returncode, 0, compared.stderr)
            self.assertIn("1 row with a reason left out", compared.stderr)
            self.assertEqual(len(json.loads(compared.stdout)["comparisons"]), 1)

    def test_whole_scenarios_are_written_and_read_back(self):
        for example in sorted(EXAMPLES.glob("*.textproto")):
            done = run("sweep", "-", "--input-format=textproto", "--vary",
                       "plan.collectives_take_units=true", "--format=csv",
                       input=example.read_text(), cwd=EXAMPLES)
            self.assertEqual(done.returncode, 0, done.stderr)
            with tempfile.NamedTemporaryFile("w", suffix=".csv") as table:
                table.write(done.stdout)
                table.flush()
                again = json.loads(run("simulate", table.name, "--format=json").stdout)
            again = again[0] if isinstance(again, list) else again
            self.assertEqual(float(rows_of(done.stdout)[0]["step_time_s"]), again["step_time_s"],
                             example.stem)

    def test_the_same_bytes_whatever_the_threads(self):
        arguments = [GPU, "--vary", "plan.micro_batch_sequences=1..4", "--vary",
                     "plan.tensor=4,8", "--vary", "plan.fsdp=rest"]
        for form in ("csv", "json", "markdown", "html", "text"):
            texts = {self.sweep(*arguments, f"--format={form}", f"--threads={n}") for n in (1, 2, 4)}
            self.assertEqual(len(texts), 1, form)

    def test_examples_of_help(self):
        lines = [line for line in run("sweep", "--help").stdout.splitlines()
                 if line.startswith("  meshstep sweep")]
        self.assertEqual(len(lines), 2)
        for line in lines:
            self.sweep(*shlex.split(line)[2:])

    def test_one_sentence_for_what_is_wrong(self):
        for vary, words in {
                "plan.tensr=1": "tensor", "plan.tensor=8..4": "is empty", "plan.tensor=": "no values",
                "plan.tensor=1..8x1": "does not grow", "plan.tensor=x": "whole number",
                "plan.tensor": "expected PATH=", "plan.schedule=rest": "rest is of",
                "plan.tensor=1..99999": "more than 10000 values"}.items():
            done = run("sweep", GPU, "--vary", vary)
            self.assertEqual((done.returncode, done.stdout), (2, ""), vary)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
            self.assertIn(words, done.stderr)
        big = ["--vary", "plan.tensor=1..9999", "--vary", "plan.fsdp=1..9999"]
        done = run("sweep", GPU, *big)
        self.assertEqual(done.returncode, 2)
        self.assertIn("expected at most 100000", done.stderr)
        twice = run("sweep", GPU, "--vary", "plan.tensor=1", "--vary", "plan.tensor=2")
        self.assertIn("is given twice", twice.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
