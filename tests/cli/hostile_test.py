"""Input that went wrong once: every file of the corpora is refused or answered, in one sentence per
cause, and nothing of it reaches a terminal as a command.

    hostile_test.py PROGRAM SOURCE_FOLDER
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

PROGRAM = pathlib.Path(sys.argv[1]).resolve()
CORPUS = pathlib.Path(sys.argv[2]).resolve() / "tests/fuzz/corpus"
SCENARIO = ('model { preset: "llama-3-8b" layers: 2 } '
            'cluster { preset: "dgx-h100" chips: 8 %s } '
            'workload { global_batch_sequences: 8 sequence_length: 128 } plan { %s }')
TIMEOUT_S = 120


def run(*arguments, **options):
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, timeout=TIMEOUT_S,
                          **options)


class HostileTest(unittest.TestCase):

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def write(self, content, name="s.textproto"):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return path

    def lines(self, path, *arguments, **options):
        """Of the refusal of a scenario."""
        done = run("simulate", path, *arguments, **options)
        text = done.stderr.decode()
        self.assertEqual((done.returncode, done.stdout), (2, b""), text)
        return text.splitlines()

    def test_every_file_of_the_corpus(self):
        for path in sorted((CORPUS / "simulate").iterdir()):
            with self.subTest(path.name):
                done = run("simulate", path)
                self.assertIn(done.returncode, (0, 2), done.stderr)
                for text in (done.stdout, done.stderr):
                    self.assertNotIn(b"CHECK", text)
                    self.assertEqual([c for c in text if c < 32 and c != 10 or c == 127], [])
                if done.returncode == 2:
                    for line in done.stderr.decode().splitlines():
                        self.assertIn(str(path), line)

    def test_one_cause_is_one_line(self):
        for name, field in (("sigfpe-degrees", "plan.data: degrees multiply to 4294967296"),
                            ("sigfpe-mesh", "plan.mesh: degrees multiply to 1099511627776"),
                            ("misplaced-sequence-parallel", "plan.context: is 8, but the sequence"),
                            ("abort-collective-units", "collective_units: is 3, expected 0 to the 1")):
            lines = self.lines(CORPUS / f"simulate/{name}.textproto")
            self.assertEqual(len(lines), 1, lines)
            self.assertIn(field, lines[0])

    def test_a_wrong_unit_is_told(self):
        for field, value, meant in (
                ("hbm_bytes_per_s", "3350", "3350 GB/s are 3.35e+12"),
                ("hbm_bytes", "80", "80 GB are 8e+10"),
                ("link_gbytes_per_s", "4.5e11", "4.5e+11 bytes per second are 450"),
                ("matmul", '{ dtype: "bf16" flops_per_s: 989 }', "989 TFLOP/s are 9.89e+14")):
            colon = "" if value.startswith("{") else ":"
            path = self.write(SCENARIO % (f"chip {{ datasheet {{ {field}{colon} {value} }} }}",
                                          "data: 8"))
            self.assertIn(meant, self.lines(path)[0])

    def test_ranges_of_rates(self):
        for field, values in (("hbm_bytes_per_s", ("1e6", "1e18")),
                              ("link_gbytes_per_s", ("1e-6", "1e9")),
                              ("scale_out_gbytes_per_s", ("1e-6", "1e9"))):
            for value in values:
                path = self.write(SCENARIO % (f"chip {{ datasheet {{ {field}: {value} }} }}",
                                              "data: 8"))
                done = run("simulate", path)
                if done.returncode != 0:  # 26 days are the longest
                    self.assertIn(b"the simulated time passes", done.stderr)
            for value in ("9e5", "1.1e18") if "hbm" in field else ("9e-7", "1.1e9"):
                path = self.write(SCENARIO % (f"chip {{ datasheet {{ {field}: {value} }} }}",
                                              "data: 8"))
                self.assertIn(f"{field}: is ", self.lines(path)[0])

    def test_a_name_cannot_forge_a_line(self):
        path = self.write(SCENARIO % ("", r'data: 8 recompute: "a\nx.textproto:1:1: plan\033[2J"'))
        lines = self.lines(path)
        self.assertEqual(len(lines), 1)
        self.assertIn(r'plan.recompute: is "a\nx.textproto:1:1: plan\x1b[2J"', lines[0])

    def test_bytes_of_options_and_names_are_escaped(self):
        path = self.write(SCENARIO % ("", "data: 8"))
        done = run("simulate", path, "--set", "name=a\033[31m\u202eb\u009bc")
        self.assertEqual(done.returncode, 0)
        self.assertTrue(done.stdout.startswith(r"a\x1b[31m\u202eb\u009bc".encode()), done.stdout)
        named = self.write(SCENARIO % ("", "data: 8"), "x\033[2J\ny.textproto")
        self.assertNotIn(b"\033", run("simulate", named).stdout)
        done = run("simulate", self.folder / "no\033[2Jsuch.textproto")
        self.assertNotIn(b"\033", done.stderr)

    def test_a_schedule_table_that_is_another_file_is_not_quoted(self):
        secret = self.write("alice:secret:1000:Alice\n", "passwd")
        path = self.write(SCENARIO % ("", 'pipeline: 2 data: 4 schedule_table: "passwd"'))
        lines = self.lines(path)
        self.assertEqual(len(lines), 1)
        self.assertIn(f"{secret}: is not a schedule table", lines[0])
        self.assertNotIn("alice", lines[0])

    def test_a_fault_of_a_preset_is_told_where_it_stands(self):
        chip = self.write('preset: "h100-sxm"\ncalibration {\n  hbm_fraction: 7\n}\n'
                          "compute_units: 0\n", "chips/bad.textproto")
        path = self.write(SCENARIO % ('chip { preset: "chips/bad.textproto" compute_units: -1 }',
                                      "data: 8"))
        lines = self.lines(path)
        self.assertTrue(lines[0].startswith(f"{path}:1:"), lines)
        self.assertIn("cluster.chip.compute_units: is -1", lines[0])
        self.assertTrue(lines[1].startswith(f"{chip}:3:3: cluster.chip.calibration.hbm_fraction: "
                                            "is 7, expected a number above 0"), lines)

    def test_show_says_what_is_wrong_with_a_file(self):
        chip = self.write('preset: "h100-sxm"\ncalibration {\n  hbm_fraction: 7\n}\n',
                          "bad.textproto")
        for form in ("text", "json"):
            done = run("show", "chip", chip, "--format=" + form)
            self.assertEqual((done.returncode, done.stdout), (2, b""))
            self.assertIn(f"{chip}:3:3: chip.calibration.hbm_fraction: is 7".encode(), done.stderr)
        model = self.write('preset: "llama-3-8b"\nheads: 7\n', "m.textproto")
        done = run("show", "model", model)
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"kv_heads", done.stderr)

    def test_paths_are_relative_to_the_file_that_names_them(self):
        self.write('preset: "h100-sxm"\n', "data/chips/mine.textproto")
        self.write('preset: "dgx-h100" chip { preset: "chips/mine.textproto" }\n',
                   "data/cluster.textproto")
        self.write("0F0,0B0\n1F0,1B0\n", "data/table.csv")
        path = self.write('model { preset: "llama-3-8b" layers: 2 } '
                          'cluster { preset: "cluster.textproto" chips: 8 } workload { '
                          'global_batch_sequences: 4 sequence_length: 128 } plan { pipeline: 2 '
                          'data: 4 micro_batch_sequences: 1 schedule_table: "table.csv" }',
                          "data/s.textproto")
        self.assertEqual(run("simulate", path, cwd="/").returncode, 0)
        self.assertEqual(run("simulate", "s.textproto", cwd=path.parent).returncode, 0)
        # --set is of the command line: relative to where it runs.
        os.rename(self.folder / "data/table.csv", self.folder / "t.csv")
        done = run("simulate", path, "--set", "plan.schedule_table=t.csv", cwd=self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
