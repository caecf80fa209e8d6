"""meshstep search and merge: the same bytes for any threads and shards, killed or not.

    search_test.py PROGRAM SOURCE_FOLDER
"""

import csv
import io
import json
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import unittest

PROGRAM = str(pathlib.Path(sys.argv[1]).resolve())
GPU = "llama3-70b-h100-512"
BASE = [GPU, "--set", "model.preset=llama-3-8b", "--set", "cluster.chips=16", "--set",
        "workload.global_batch_sequences=32"]
SMALL = BASE + ["--vary", "plan.tensor=2,4", "--fix", "plan.context=1", "--fix",
                "plan.recompute=full", "--fix", "plan.schedule=1f1b", "--fix",
                "plan.async_tensor=false", "--fix", "plan.micro_batch_sequences=1", "--top=3"]


def run(*arguments, **options):
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, **options)


class SearchTest(unittest.TestCase):

    def good(self, *arguments, **options):
        done = run(*arguments, **options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def folder(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        return folder.name

    def test_report(self):
        report = json.loads(self.good("search", *SMALL, "--format=json"))
        counts = report["counts"]
        self.assertEqual(report["space"],
                         sum(counts["invalid"].values()) + counts["does_not_fit"] +
                         sum(counts["pruned"].values()) + counts["simulated"])
        self.assertTrue(report["proven"])
        times = [plan["step_time_s"] for plan in report["best"]]
        self.assertEqual(times, sorted(times))
        self.assertEqual(len(times), 3)
        # Another may be as quick with less memory.
        self.assertTrue(set(report["front"]) <= {0, 1, 2} and report["front"])
        for plan in report["best"]:
            self.assertLessEqual(plan["bound_s"], plan["step_time_s"])
            self.assertLessEqual(plan["lower_bound_s"], plan["step_time_s"])
        # What simulate says of the winner, and why it beats the others.
        sets = [x for s in report["best"][0]["set"] for x in ("--set", s)]
        again = json.loads(run("simulate", *BASE, *sets, "--format=json").stdout)
        self.assertEqual(again["step_time_s"], times[0])
        self.assertEqual(again["memory"]["peak_bytes"], report["best"][0]["memory"]["peak_bytes"])
        others = [report["baseline"]] if report["baseline"] else []
        others.append(report["best"][1])
        self.assertEqual(len(report["why"]), len(others))
        for why, other in zip(report["why"], others):
            total = sum(reason["difference_s"] for reason in why["reasons"])
            self.assertAlmostEqual(total, times[0] - other["step_time_s"], places=9)

    def test_the_same_bytes_whatever_the_threads_and_shards(self):
        texts = {self.good("search", *SMALL, "--format=json", f"--threads={n}") for n in (1, 2, 4)}
        self.assertEqual(len(texts), 1)
        for shards in (2, 7):
            folder = self.folder()
            for i in range(shards):
                self.good("search", *SMALL, f"--shard={i}/{shards}", f"--out={folder}")
            texts.add(self.good("merge", folder, "--format=json"))
        self.assertEqual(len(texts), 1)

    def test_killed_and_resumed(self):
        whole = self.good("search", *SMALL, "--format=json")
        folder = self.folder()
        for wait in (0.2, 0.5):
            process = subprocess.Popen([PROGRAM, "search", *SMALL, f"--out={folder}"],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(wait)
            process.send_signal(signal.SIGKILL)
            process.wait()
        self.assertEqual(self.good("search", *SMALL, f"--out={folder}", "--format=json"), whole)
        # Cut in the middle of a record, as a full disk would.
        part = pathlib.Path(folder) / "shard-0-of-1.pb"
        part.write_bytes(part.read_bytes()[:-5])
        self.assertEqual(self.good("search", *SMALL, f"--out={folder}", "--format=json"), whole)
        self.assertEqual(self.good("merge", folder, "--format=json"), whole)

    def test_a_part_of_another_space_is_refused(self):
        folder = self.folder()
        self.good("search", *SMALL, "--shard=0/2", f"--out={folder}")
        other = run("search", *SMALL, "--set", "plan.dropout=true", "--shard=0/2",
                    f"--out={folder}")
        self.assertEqual(other.returncode, 2)
        self.assertIn("is of another search", other.stderr)
        missing = run("merge", folder)
        self.assertEqual((missing.returncode, missing.stdout), (2, ""))
        self.assertIn("part 1 of 2 is missing", missing.stderr)

    def test_other_commands_read_the_table(self):
        table = pathlib.Path(self.folder()) / "best.csv"
        table.write_text(self.good("search", *SMALL, "--format=csv"))
        rows = list(csv.DictReader(io.StringIO(table.read_text())))
        reports = json.loads(self.good("simulate", str(table), "--format=json"))
        self.assertEqual([float(row["step_time_s"]) for row in rows],
                         [report["step_time_s"] for report in reports])

    def test_the_winner_is_a_scenario(self):
        path = pathlib.Path(self.folder()) / "winner.textproto"
        report = json.loads(self.good("search", *SMALL, "--format=json", f"--winner={path}"))
        again = json.loads(self.good("simulate", str(path), "--format=json"))
        self.assertEqual(again["step_time_s"], report["best"][0]["step_time_s"])

    def test_a_space_without_a_plan_that_fits(self):
        report = json.loads(self.good("search", *SMALL, "--max-memory=1MiB", "--format=json"))
        self.assertEqual(report["best"], [])
        self.assertEqual(report["counts"]["simulated"], 0)
        self.assertTrue(report["proven"])
        self.assertIn("none of them is valid and fits",
                      self.good("search", *SMALL, "--max-memory=1MiB"))

    def test_plans_that_are_tight_are_left_out_unless_allowed(self):
        reserve = ["--set", "plan.memory_reserve.context_bytes=40e9"]
        least = json.loads(self.good("search", *SMALL, "--format=json"))
        peaks = [plan["memory"]["peak_bytes"] for plan in least["best"]]
        capacity = least["best"][0]["memory"]["capacity_bytes"]
        allowed = json.loads(self.good("search", *SMALL, *reserve, "--allow=tight",
                                       "--format=json"))
        self.assertEqual([p["memory"]["peak_bytes"] for p in allowed["best"]], peaks)
        strict = json.loads(self.good("search", *SMALL, *reserve, "--format=json"))
        self.assertTrue(any(peak + 40e9 > capacity for peak in peaks))
        self.assertTrue(strict["best"])
        for plan in strict["best"]:
            self.assertEqual(plan["memory"]["verdict"], "FITS")

    def test_several_clusters(self):
        fixed = [w for w in SMALL if w not in ("--vary", "plan.tensor=2,4")]
        both = json.loads(self.good("search", *fixed, "--vary", "cluster.chips=8,16",
                                    "--objective=step", "--price=2", "--format=json"))
        parts = [json.loads(self.good("search", *fixed, "--set", f"cluster.chips={chips}",
                                      "--price=h100-sxm=2", "--format=json"))
                 for chips in (8, 16)]
        self.assertEqual(both["space"], sum(part["space"] for part in parts))
        self.assertTrue(both["proven"])
        steps = sorted((plan["step_time_s"], plan["chips"], plan["cost"])
                       for part in parts for plan in part["best"])
        self.assertEqual([plan["step_time_s"] for plan in both["best"][:3]],
                         [step for step, chips, cost in steps[:3]])
        # Fewer chips are on the front, though slower.
        self.assertEqual({plan["chips"] for plan in both["best"]}, {8, 16})
        for plan in both["best"]:
            self.assertAlmostEqual(plan["cost"],
                                   2 * plan["chips"] * plan["step_time_s"] / 3600, places=12)
            self.assertIn(f"cluster.chips={plan['chips']}", plan["set"])

    def test_interrupted(self):
        process = subprocess.Popen([PROGRAM, "search", GPU, "--format=json"],
                                   cwd=self.folder(), stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=300)
        self.assertEqual(process.returncode, 0, errors)
        report = json.loads(output)
        self.assertFalse(report["proven"])
        self.assertIn("goes on from here", errors)

    def test_slurm(self):
        script = self.good("search", *SMALL, "--emit=slurm", "--shards=7", "--out=plans")
        self.assertIn("#SBATCH --array=0-6\n", script)
        line = next(line for line in script.splitlines() if line.startswith("exec "))
        folder = self.folder()
        words = [word.replace("plans", folder) for word in shlex.split(line)[2:]]
        words = [word for word in words if not word.startswith("--threads")]
        for i in range(2):
            environment = dict(os.environ, SLURM_ARRAY_TASK_ID=str(5 + i),
                               SLURM_ARRAY_TASK_MIN="5", SLURM_ARRAY_TASK_COUNT="2")
            self.good(*words, env=environment)
        self.assertEqual(self.good("merge", folder, "--format=json"),
                         self.good("search", *SMALL, "--format=json"))
        outside = run("search", *SMALL, "--shard=slurm", f"--out={folder}")
        self.assertEqual(outside.returncode, 2)
        self.assertIn("SLURM_ARRAY_TASK_ID", outside.stderr)

    def test_page(self):
        page = self.good("search", *SMALL, "--format=html")
        self.assertIn("<svg", page)
        self.assertEqual(page.count("<circle"), 2 * 3)  # wide and narrow
        self.assertIn("tokens/s/chip", page)

    def test_examples_of_help(self):
        lines = [line for line in run("search", "--help").stdout.splitlines()
                 if line.startswith("  meshstep search")]
        self.assertEqual(len(lines), 2)
        for line in lines:
            self.good(*shlex.split(line)[1:])

    def test_one_sentence_for_what_is_wrong(self):
        for arguments, words in {
                ("--fix", "plan.tensr=1"): "tensor", ("--shard=2/2", "--out=x"): "from 0 to n - 1",
                ("--shard=0/2",): "needs --out", ("--max-memory=x",): "expected bytes",
                ("--vary", "workload.sequence_length=8,16"): "fields of the plan",
                ("--price=x",): "expected a positive number",
                ("--fix", "plan.tensor=8,4"): "expected PATH=VALUE",
                ("--fix", "plan.tensor=3"): "none of the choices"}.items():
            done = run("search", GPU, *arguments)
            self.assertEqual((done.returncode, done.stdout), (2, ""), arguments)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
            self.assertIn(words, done.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
