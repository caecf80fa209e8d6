"""Prefill and decode through the command line: reports, traces, pages, comparison, advice.

    inference_command_test.py PROGRAM SOURCE_FOLDER
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

PROGRAM = pathlib.Path(sys.argv[1]).resolve()

SCENARIO = """
name: "{mode}"
model {{ preset: "llama-2-13b" }}
cluster {{ preset: "tpu-v5e" slice: "2x4" }}
workload {{ mode: {mode} global_batch_sequences: 16 sequence_length: 8192 }}
plan {{ {plan} }}
"""

# Llama 2 13B: 40 layers of 40 heads of 128, bf16.
KV_BYTES = 2 * 40 * 40 * 128 * 2 * 8192 * 16


def run(*arguments, text=None):
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True,
                          input=text, timeout=120)


class InferenceTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.paths = {}
        for mode in ("PREFILL", "DECODE"):
            cls.paths[mode] = pathlib.Path(cls.folder.name) / (mode.lower() + ".textproto")
            cls.paths[mode].write_text(SCENARIO.format(mode=mode, plan="tensor: 8"))

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def simulate(self, mode, *arguments):
        done = run("simulate", self.paths[mode], "--format=json", *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def test_fields_of_the_report(self):
        for mode, tokens, field in (("PREFILL", 16 * 8192, "time_to_first_token_s"),
                                    ("DECODE", 16, "time_per_token_s")):
            with self.subTest(mode):
                report = self.simulate(mode)
                self.assertEqual(report[field], report["step_time_s"])
                self.assertEqual(report["kv_cache_bytes"], KV_BYTES)
                self.assertAlmostEqual(report["tokens_per_s"] * report["step_time_s"], tokens,
                                       delta=1e-9 * tokens)
                memory = report["memory"]
                self.assertEqual(memory["kv_cache_bytes"], KV_BYTES // 8)
                buckets = ("parameters", "gradients", "optimizer", "activations", "workspace",
                           "kv_cache")
                self.assertEqual(sum(memory[b + "_bytes"] for b in buckets), memory["peak_bytes"])
                self.assertLessEqual(report["lower_bound_s"], report["step_time_s"])

    def test_training_has_no_such_fields(self):
        text = SCENARIO.format(mode="TRAIN", plan="tensor: 8")
        done = run("simulate", "-", "--input-format=textproto", "--format=json", text=text)
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(done.stdout)
        for field in ("kv_cache_bytes", "time_per_token_s", "time_to_first_token_s"):
            self.assertIsNone(report[field])
        self.assertEqual(report["memory"]["kv_cache_bytes"], 0)

    # The roofline of the book leaves out communication, activations and padding.
    def test_decode_is_near_the_roofline(self):
        done = run("roofline", "inference", "llama-2-13b", "--chip=tpu-v5e", "--chips=8",
                   "--dims=B=16,S=8192", "--rates=datasheet", "--format=json")
        self.assertEqual(done.returncode, 0, done.stderr)
        roofline = json.loads(done.stdout)["inference"]["step_s"]
        report = self.simulate("DECODE", "--fidelity=ideal")
        compute = report["breakdown"]["compute_s"]
        self.assertGreater(compute, 0.98 * roofline)
        self.assertLess(compute, 1.02 * roofline)

    def test_trace_and_page(self):
        for mode, path in self.paths.items():
            with self.subTest(mode):
                trace, page = path.with_suffix(".json"), path.with_suffix(".html")
                self.simulate(mode, f"--trace={trace}", f"--html={page}")
                events = json.loads(trace.read_text())["traceEvents"]
                self.assertIn("memory: kv-cache", {e.get("name") for e in events})
                self.assertIn("KV cache", page.read_text())

    def test_comparison_and_advice(self):
        done = run("compare", self.paths["DECODE"], self.paths["PREFILL"])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("workload.mode  DECODE  PREFILL", done.stdout)
        done = run("check", self.paths["DECODE"])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("fits", done.stdout)
        done = run("check", self.paths["PREFILL"])
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertNotIn("recompute", done.stdout)
        done = run("sensitivity", self.paths["DECODE"], "--format=json")
        self.assertEqual(done.returncode, 0, done.stderr)
        rates = {r["rate"]: r["saved_fraction"] for r in json.loads(done.stdout)["hardware"]}
        self.assertEqual(max(rates, key=rates.get), "HBM rate")

    def test_errors(self):
        done = run("simulate", self.paths["DECODE"], "--set", "plan.recompute=full")
        self.assertEqual(done.returncode, 2)
        self.assertIn("plan.recompute", done.stderr)
        self.assertEqual(done.stdout, "")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
