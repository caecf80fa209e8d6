"""Every example prints what examples/expected says.

    examples_test.py PROGRAM SOURCE_FOLDER            compares
    examples_test.py PROGRAM SOURCE_FOLDER --update   writes examples/expected anew
"""

import difflib
import json
import math
import pathlib
import subprocess
import sys
import unittest

PROGRAM = pathlib.Path(sys.argv[1]).resolve()
EXAMPLES = pathlib.Path(sys.argv[2]).resolve() / "examples"
EXPECTED = EXAMPLES / "expected"

# The promise of the interface: names and their types.
FIELDS = {
    "scenario": str, "chips": int, "fidelity": str, "step_time_s": float, "tokens_per_s": float,
    "tokens_per_s_per_chip": float, "mfu": float, "mfu_full_attention": float, "mfu_6nd": float,
    "hfu": float, "lower_bound_s": float, "flops": dict, "breakdown": dict, "communication": list,
    "memory": dict, "simulation": dict,
}
PARTS = ["compute_s", "communication_exposed_s", "bubble_s", "optimizer_s", "other_s"]
FLOPS = ["model", "model_full_attention", "model_6nd", "hardware"]
BUCKETS = ["parameters_bytes", "gradients_bytes", "optimizer_bytes", "activations_bytes",
           "workspace_bytes", "kv_cache_bytes"]
ROW = {"axis": str, "collective": str, "tensor": str, "count": int, "bytes_per_chip": float,
       "busy_s": float, "exposed_s": float}
SIMULATION = ["device_classes", "tasks", "events", "flows"]
# Parts are whole picoseconds; only the sum of doubles rounds.
ROUNDING_S = 1e-12


def examples():
    return sorted(EXAMPLES.glob("*.textproto"))


def run(*arguments, cwd=EXAMPLES):
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True,
                          cwd=cwd, timeout=120)


class ExamplesTest(unittest.TestCase):

    def test_there_are_examples(self):
        self.assertGreaterEqual(len(examples()), 3)

    def test_text_is_as_expected(self):
        for path in examples():
            with self.subTest(path.stem):
                done = run("simulate", path)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual(done.stderr, "")
                want = (EXPECTED / (path.stem + ".txt")).read_text()
                difference = "\n".join(difflib.unified_diff(
                    want.splitlines(), done.stdout.splitlines(), "expected", "printed",
                    lineterm=""))
                self.assertEqual(done.stdout, want, "\n" + difference)

    def test_nothing_is_expected_of_an_example_that_is_gone(self):
        self.assertEqual(sorted(p.stem for p in EXPECTED.glob("*.txt")),
                         [p.stem for p in examples()])

    def test_names_do_as_well_as_files(self):
        path = examples()[0]
        self.assertEqual(run("simulate", path.stem, cwd="/").stdout,
                         run("simulate", path).stdout)

    def test_json_keeps_the_interface(self):
        for path in examples():
            for fidelity in ("calibrated", "ideal"):
                with self.subTest(path.stem, fidelity=fidelity):
                    done = run("simulate", path, "--format=json", "--fidelity=" + fidelity)
                    self.assertEqual(done.returncode, 0, done.stderr)
                    self.check_report(json.loads(done.stdout), fidelity)

    def check_report(self, r, fidelity):
        for name, kind in FIELDS.items():
            self.assertIsInstance(r[name], kind, name)
        self.assertEqual(r["fidelity"], fidelity)
        self.assertEqual(list(r["flops"]), FLOPS)
        self.assertEqual(list(r["breakdown"]), PARTS)
        self.assertEqual(list(r["simulation"]), SIMULATION)
        self.assertAlmostEqual(sum(r["breakdown"].values()), r["step_time_s"], delta=ROUNDING_S)
        exposed = math.fsum(row["exposed_s"] for row in r["communication"])
        self.assertAlmostEqual(exposed, r["breakdown"]["communication_exposed_s"],
                               delta=ROUNDING_S)
        for row in r["communication"]:
            for name, kind in ROW.items():
                self.assertIsInstance(row[name], kind, name)
        memory = r["memory"]
        self.assertEqual(sum(memory[b] for b in BUCKETS), memory["peak_bytes"])
        self.assertEqual(memory["fits"], memory["peak_bytes"] <= memory["capacity_bytes"])
        self.assertLessEqual(r["lower_bound_s"], r["step_time_s"])
        for name in ("mfu", "mfu_full_attention", "mfu_6nd", "hfu"):
            self.assertTrue(0 < r[name] < 1, name)

    def test_several_scenarios_are_an_array(self):
        reports = json.loads(run("simulate", *examples(), "--format=json").stdout)
        self.assertEqual([r["scenario"] for r in reports], [p.stem for p in examples()])

    def test_the_same_input_gives_the_same_bytes(self):
        for form in ("text", "json", "textproto"):
            once, again = (run("compare", *examples()[:2], "--format=" + form) for _ in range(2))
            self.assertEqual(once.returncode, 0, once.stderr)
            self.assertEqual(once.stdout, again.stdout)

    def test_the_expansion_simulates_alike(self):
        for path in examples():
            with self.subTest(path.stem):
                expanded = run("show", "scenario", path)
                self.assertEqual(expanded.returncode, 0, expanded.stderr)
                done = subprocess.run(
                    [PROGRAM, "simulate", "-", "--input-format=textproto", "--format=json"],
                    input=expanded.stdout, capture_output=True, text=True, timeout=120)
                self.assertEqual(done.returncode, 0, done.stderr)
                short = json.loads(run("simulate", path, "--format=json").stdout)
                full = json.loads(done.stdout)
                for name in ("step_time_s", "breakdown", "communication", "memory", "flops"):
                    self.assertEqual(full[name], short[name], name)

    def test_what_does_not_fit_is_status_3_only_when_asked(self):
        path = EXAMPLES / "llama3-70b-h100-512.textproto"
        big = ["simulate", path, "--set", "plan.recompute=none", "--set",
               "plan.micro_batch_sequences=4"]
        self.assertEqual(run(*big).returncode, 0)
        done = run(*big, "--require-fit")
        self.assertEqual(done.returncode, 3)
        self.assertIn("does not fit", done.stderr)
        self.assertEqual(run("simulate", path, "--require-fit").returncode, 0)


def update():
    EXPECTED.mkdir(exist_ok=True)
    for old in EXPECTED.glob("*.txt"):
        old.unlink()
    for path in examples():
        done = run("simulate", path)
        if done.returncode != 0:
            sys.exit(done.stderr)
        (EXPECTED / (path.stem + ".txt")).write_text(done.stdout)


if __name__ == "__main__":
    if "--update" in sys.argv:
        update()
    else:
        unittest.main(argv=sys.argv[:1])
