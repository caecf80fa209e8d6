"""einsum, roofline and collective price one question alike, and say what they assume.

    exercise_commands_test.py PROGRAM SOURCE_FOLDER
"""

import json
import subprocess
import sys
import unittest

PROGRAM = sys.argv[1]


def run(*arguments):
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=60)


def ask(*arguments):
    done = run(*arguments, "--format=json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def gather(array, mesh, dims, *more):
    whole = array.replace("_X", "")
    return ask("einsum", f"{array} -> {whole}", f"--mesh={mesh}", f"--dims={dims}", *more)


class OneGatherTest(unittest.TestCase):

    # 128 MiB over X=4 of a v5p, alone or beside Y=8: 3/4 V over both links of a ring.
    def test_einsum_and_collective_agree(self):
        volume = 2 * 8192 * 8192
        expected = volume * 3 / 4 / 1.8e11
        for mesh in ("X=4", "X=4,Y=8"):
            answer = gather("A[I_X,J]", mesh, "I=8192,J=8192", "--chip=tpu-v5p")
            self.assertAlmostEqual(answer["plans"][0]["communication_s"], expected, delta=1e-9)
            report = ask("collective", "all-gather", f"--bytes={volume}", "--chip=tpu-v5p",
                         f"--mesh={mesh}", "--over=X", "--rates=book", "--fidelity=ideal")
            self.assertIn("4x4x4 with rings along x, y, z; ideal" if mesh == "X=4" else "4x8x4",
                          report["fabric"])
            # The collective counts the latency of its two hops each way beside the bytes.
            self.assertAlmostEqual(report["time_s"], expected, delta=3e-6)

    def test_lines_agree_too(self):
        volume = 2 * 8192 * 8192
        answer = gather("A[I_X,J]", "X=8", "I=8192,J=8192", "--chip=tpu-v5e")
        report = ask("collective", "all-gather", f"--bytes={volume}", "--chip=tpu-v5e",
                     "--mesh=X=8", "--over=X", "--rates=book", "--fidelity=ideal")
        self.assertAlmostEqual(answer["plans"][0]["communication_s"], volume * 7 / 8 / 4.5e10,
                               delta=1e-9)
        self.assertLess(abs(report["time_s"] / answer["plans"][0]["communication_s"] - 1), 0.01)

    def test_the_books_formula_is_v_over_w_and_said_so(self):
        answer = gather("A[I_X,J]", "X=4", "I=8192,J=8192", "--chip=tpu-v5p", "--cost=book")
        self.assertAlmostEqual(answer["plans"][0]["communication_s"], 2 * 8192**2 / 1.8e11,
                               delta=1e-9)
        self.assertIn("V/(W n)", answer["cost_formula"])


class NodesTest(unittest.TestCase):

    # FSDP over 512 nodes beside tensor 8 inside: each GPU has 50 GB/s for its part of both weights.
    def test_training_roofline_prices_each_axis_where_it_is(self):
        training = ask("roofline", "training", "--chip=h100-sxm",
                       "--dims=B=4Mi,D=8192,F=28672,X=512,Y=8")["training"]
        one = gather("W[D_X,F_Y]", "X=512,Y=8", "D=8192,F=28672", "--chip=h100-sxm")
        fsdp = training["forward"]["fsdp_s"]
        self.assertAlmostEqual(fsdp, 2 * one["plans"][0]["communication_s"], delta=1e-9)
        self.assertAlmostEqual(fsdp, 4 * 8192 * 28672 / 8 * 511 / 512 / 50e9, delta=1e-9)
        self.assertEqual(training["forward"]["bound_max"], "communication")
        self.assertIn("512 nodes", training["placement"])
        # Two of [B,D] of one replica over the 450 GB/s of a GPU into its node.
        self.assertAlmostEqual(training["forward"]["tensor_s"],
                               4 * 4 * 2**20 * 8192 / 512 * 7 / 8 / 450e9, delta=1e-9)

    # 2,475 tokens per GPU across nodes ("How To Scale Your Model", chapter GPUs).
    def test_tokens_per_gpu_across_nodes(self):
        for tokens, bound in ((2300, "communication"), (2600, "compute")):
            training = ask("roofline", "training", "--chip=h100-sxm",
                           f"--dims=B={tokens}*16000,D=8192,F=28672,X=16000")["training"]
            self.assertEqual(training["forward"]["bound_max"], bound)
            self.assertAlmostEqual(training["critical_scale_out"], 2475)

    def test_collective_reaches_the_same_tier(self):
        # 64 GPUs of 8 nodes, 16 GiB: V 7/8 over 400 GB/s of a node.
        expected = 2**34 * 7 / 8 / 400e9
        answer = gather("A[I_X]", "X=64", f"I={2**33}", "--chip=h100-sxm")
        self.assertAlmostEqual(answer["plans"][0]["communication_s"], expected, delta=1e-9)
        report = ask("collective", "all-gather", f"--bytes={2**34}", "--cluster=dgx-h100",
                     "--chips=64", "--rates=book", "--fidelity=ideal")
        self.assertGreater(report["time_s"], expected * 0.999)
        self.assertLess(report["time_s"], expected * 1.3)

    def test_the_order_of_axes_is_said_and_chosen(self):
        arguments = ("W[D_X,F]", "X=4,Y=4,Z=4", "D=8192,F=28672")
        volume = 2 * 8192 * 28672
        far = gather(*arguments, "--chip=h100-sxm")
        self.assertAlmostEqual(far["plans"][0]["communication_s"], volume * 3 / 4 / 50e9, delta=1e-9)
        self.assertIn("X 1 in each of 4 nodes", far["placement"])
        self.assertIn("--order=X,Z,Y", " ".join(far["notes"]))
        near = gather(*arguments, "--cluster=dgx-h100", "--order=X,Z,Y")
        self.assertAlmostEqual(near["plans"][0]["communication_s"], volume * 3 / 4 / 450e9,
                               delta=1e-9)
        self.assertIn("X inside a node of 8", near["placement"])
        for order in ("X,Y", "X,Y,Y", "A,B,C"):
            done = run("einsum", "A[I_X] -> A[I]", "--mesh=X=4,Y=4,Z=4", "--chip=h100-sxm",
                       f"--order={order}")
            self.assertEqual(done.returncode, 2)
            self.assertIn("--order", done.stderr)

    def test_a_way_out_that_is_not_known_is_asked_for(self):
        done = run("roofline", "training", "--hw=C=1e15,W=4.5e11,node=8",
                   "--dims=B=1Mi,D=8192,F=8192,X=64")
        self.assertEqual(done.returncode, 2)
        self.assertIn("--hw=dcn=", done.stderr)


class SaysTest(unittest.TestCase):

    def test_shapes_have_no_thousands(self):
        done = run("einsum", "A[I,J] -> A[I,J]", "--dims=I=2048,J=8192", "--mesh=X=1")
        self.assertIn("[2048,8192]", done.stdout)

    def test_likely_misreadings_are_warned_of(self):
        done = run("einsum", "A[IX,J]", "--mesh=X=4", "--format=json")
        self.assertEqual(done.returncode, 0)
        self.assertIn("warning: IX in A[IX,J]", done.stderr)
        self.assertIn("I_X", json.loads(done.stdout)["warnings"][0])
        self.assertEqual(run("einsum", "A[I_X,J]", "--mesh=X=4").stderr, "")

    def test_budget_says_the_utilisation_that_it_takes(self):
        arguments = ("budget", "--params=70B", "--tokens=15T", "--chip=h100-sxm", "--chips=4096")
        assumed = ask(*arguments)
        self.assertIn("MFU of 40 %", assumed["assumed"][0])
        self.assertAlmostEqual(assumed["time"]["days"],
                               6 * 70e9 * 15e12 / (4096 * 9.9e14 * 0.4) / 86400)
        self.assertIn("Assumed: an MFU of 40 %", run(*arguments).stdout)
        self.assertEqual(ask(*arguments, "--mfu=0.45").get("assumed", []), [])
        self.assertEqual(ask(*arguments, "--hours=6.4e6").get("assumed", []), [])

    def test_model_says_what_it_takes_for_missing_letters(self):
        assumed = " ".join(ask("model", "--dims=D=4096,F=16384,N=32")["assumed"])
        for word in ("one layer, as L", "no embedding and no head, as V", "as K", "gated MLP"):
            self.assertIn(word, assumed)
        self.assertEqual(ask("model", "llama-3-8b", "--seq=8192").get("assumed", []), [])

    # CS336: gated, untied, no biases, no position table.
    def test_gpt2_xl_of_cs336(self):
        for arguments in (("gpt2-xl", "--mlp=gated", "--untied", "--no-biases", "--dims=P=0"),
                          ("--dims=L=48,D=1600,F=6400,N=25,K=25,H=64,V=50257",)):
            self.assertEqual(ask("model", *arguments)["parameters"]["total"], 2127057600)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
