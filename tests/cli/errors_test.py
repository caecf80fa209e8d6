"""Wrong input and usage: exit status 2, clear lines on standard error, nothing on standard output,
never a crash.

    errors_test.py PROGRAM SOURCE_FOLDER
"""

import os
import pathlib
import random
import resource
import subprocess
import sys
import tempfile
import unittest

PROGRAM = pathlib.Path(sys.argv[1]).resolve()
EXAMPLES = pathlib.Path(sys.argv[2]).resolve() / "examples"
GOOD_FILE = EXAMPLES.parent / "tests/data/llama3-70b-h100-512.textproto"
GOOD = GOOD_FILE.read_text()

TIMEOUT_S = 60
# Far above what any scenario of the examples takes; a runaway stops here.
MEMORY_BYTES = 4 << 30
# AddressSanitizer reserves terabytes of addresses.
SANITIZED = b"__asan_init" in pathlib.Path(PROGRAM).read_bytes()


def limit_memory():
    if not SANITIZED:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


def run(*arguments, **options):
    options.setdefault("stdin", subprocess.DEVNULL)
    if "input" in options:
        del options["stdin"]
    return subprocess.run([PROGRAM, *map(str, arguments)], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=TIMEOUT_S, preexec_fn=limit_memory,
                          **options)


class ErrorsTest(unittest.TestCase):

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def write(self, content, name="s.textproto"):
        path = pathlib.Path(self.folder.name) / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def assert_refused(self, done, *parts):
        text = done.stderr.decode(errors="replace")
        self.assertEqual(done.returncode, 2, text)
        self.assertEqual(done.stdout, b"")
        for part in parts:
            self.assertIn(part, text)
        for word in ("CHECK", "terminate", "what()", "Sanitizer", "internal error"):
            self.assertNotIn(word, text)
        return text

    def refuse(self, old, new, *parts):
        """The example with `old` replaced by `new` is refused; every part is said."""
        self.assertIn(old, GOOD)
        path = self.write(GOOD.replace(old, new))
        line = next(i for i, text in enumerate(GOOD.splitlines(), 1) if old.split("\n")[0] in text)
        text = self.assert_refused(run("simulate", path), *parts)
        self.assertIn(f"{path}:{line}:", text, "file and line")

    def test_unknown_presets_name_the_nearest(self):
        self.refuse("llama-3-70b", "llama-3-7ob", "model.preset", "llama-3-7ob", "llama-3-70b")
        self.refuse("dgx-h100", "dgx-h1000", "cluster.preset", "dgx-h100")

    def test_wrong_rows_of_a_framework_are_told_in_its_file(self):
        def framework(row):
            return self.write('base: "pytorch"\nop {\n  ' + row + '\n}\n', "f.textproto")

        good = 'role: "rms-norm" label: "eager" kernel { reads: "y" writes: "y" times: 2 }'
        done = run("simulate", GOOD_FILE, "--brief", "--set", f"plan.framework={framework(good)}")
        self.assertEqual(done.returncode, 0, done.stderr)
        for old, new, said in (
                ("rms-norm", "norm", 'op[0].role[0]: is "norm", expected one of products, '),
                ('role: "rms-norm" ', "", "op[0].role: is not given"),
                ("eager", "so eager", 'op[0].label: is "so eager", expected up to 64 '),
                ('label: "eager"', "", 'op[0].label: is "", expected up to 64 '),
                ("times: 2", "times: -2", "op[0].kernel[0].times: is -2, expected above 0"),
                ("times: 2", "times: nan", "op[0].kernel[0].times: is nan, expected above 0"),
                ("times: 2 }", "} host_ops: -1", "op[0].host_ops: is -1, expected 0 to 1e6"),
                ('reads: "y"', 'reads: "q"', 'op[0].kernel[0].reads: has operand "q", expected'),
                ('reads: "y"', 'reads: "y:fp9"', 'op[0].kernel[0].reads: has type "fp9", expected'),
                ('reads: "y"', 'reads: "y*1e300"', "op[0].kernel[0].reads factor: is 1e+300, "),
                ('reads: "y" writes: "y"', "", "op[0].kernel[0]: reads and writes nothing")):
            self.assertIn(old, good)
            file = framework(good.replace(old, new))
            self.assert_refused(run("simulate", GOOD_FILE, "--set", f"plan.framework={file}"),
                                "plan.framework", f"{file}:", said)
        loop = self.write('base: "' + str(framework(good)) + '"\n', "loop.textproto")
        framework(good).write_text(f'base: "{loop}"\n')
        self.assert_refused(run("simulate", GOOD_FILE, "--set", f"plan.framework={loop}"),
                            "plan.framework", "builds on itself")

    def test_unknown_fields(self):
        self.refuse("  tensor: 8", "  tenso: 8", "tenso")

    def test_wrong_types(self):
        self.refuse("  tensor: 8", "  tensor: \"eight\"", "integer")
        self.refuse("  tensor: 8", "  tensor: 8.5", "integer")
        path = self.write(GOOD.replace("sequence_parallel: true", "sequence_parallel: maybe"))
        self.assert_refused(run("simulate", path), f"{path}:", "sequence_parallel", "maybe")

    def test_degrees_that_do_not_multiply(self):
        self.refuse("  tensor: 8", "  tensor: 7", "plan")
        self.refuse("  data: 2", "  data: 3", "plan", "512")
        # 8 tensor x 32 fsdp
        self.refuse("  data: 2", "  data: 65537", f"{8 * 32 * 65537} devices")

    def test_values_out_of_range(self):
        for value in ("0", "-1", "2147483647"):
            self.refuse("  tensor: 8", f"  tensor: {value}", "plan")
        for value in ("-1", "2147483647"):
            self.refuse("chips: 512", f"chips: {value}", "cluster.chips", value)
        self.refuse("  tensor: 8", "  tensor: 99999999999999999999", "out of range")

    def test_huge_workloads_end_soon(self):
        for field in ("global_batch_sequences: 1024", "sequence_length: 4096"):
            name = field.split(":")[0]
            for value in ("0", "-5", "9223372036854775807"):
                self.refuse(field, f"{name}: {value}", "workload." + name)
            path = self.write(GOOD.replace(field, f"{name}: 100000000"))
            self.assertIn(run("simulate", path).returncode, (0, 2))
        # As many micro-batches as a plan may have.
        path = self.write(GOOD.replace("global_batch_sequences: 1024",
                                       f"global_batch_sequences: {64 * 4 * 65536}"))
        self.assert_refused(run("simulate", path), f"{path}: ", "65536 micro-batches", "tasks")
        big = EXAMPLES / "llama3-405b-h100-16384.textproto"
        self.assert_refused(run("simulate", big, "--unfolded"), "leave out --unfolded")

    def test_huge_models_end_soon(self):
        for field in ("layers", "hidden", "heads", "ffn", "vocab"):
            for value in (0, -1, 2147483647):
                path = self.write(GOOD.replace(
                    'preset: "llama-3-70b"', f'preset: "llama-3-70b" {field}: {value}'))
                done = run("simulate", path)
                self.assertIn(done.returncode, (0, 2), done.stderr)
                self.assertNotIn(b"CHECK", done.stderr)

    def test_lines_of_a_million_chips_end_soon(self):
        # A torus of 1024x1024x1 of chips of cubes does not close: no two of its links are alike.
        huge = self.write('model { preset: "llama-3-8b" layers: 2 } cluster { chip { preset: '
                          '"tpu-v5p" interconnect { pod: [1024,1024,1] } } slice: "1024x1024x1" } '
                          'workload { global_batch_sequences: 1048576 sequence_length: 2048 } '
                          'plan { fsdp: 1048576 micro_batch_sequences: 1 }')
        self.assert_refused(run("simulate", huge), "4,190,208 links that differ", "500,000")

    def test_unknown_names(self):
        self.refuse('recompute: "full"', 'recompute: "ful"', "plan.recompute", "ful")
        self.refuse('compute: "bf16"', 'compute: "bf17"', "bf17")
        self.refuse('optimizer: "adam-fp32"', 'optimizer: "adem"', "adem")
        self.refuse("  data: 2", '  schedule: "2f2b" data: 2', "plan.schedule", "2f2b")

    def test_experts(self):
        name = 'preset: "llama-3-70b"'
        self.refuse("  data: 2", "  expert: 8\n  data: 2",
                    "plan.expert: is 8, but llama-3-70b has no routed experts")
        routed = GOOD.replace("llama-3-70b", "mixtral-8x7b")
        for old, new, problem in (
                ("  data: 2", "  data: 2 expert: 16",
                 "plan.expert: is 16, which does not divide the 8 experts of mixtral-8x7b"),
                ("  data: 2", "  data: 2 expert: 0", "plan.expert: is 0, expected 1 to"),
                ("  data: 2", "  data: 2 expert_tensor: 1024",
                 "whose product 1024 does not divide the 512 ranks"),
                ("  data: 2", "  data: 2 expert: 8 expert_imbalance: 0.5",
                 "plan.expert_imbalance: is 0.5, expected 1 to 8"),
                ("  data: 2", "  data: 2 expert: 8 capacity_factor: nan",
                 "plan.capacity_factor: is nan")):
            text = self.assert_refused(run("simulate", self.write(routed.replace(old, new))), problem)
            self.assertEqual(len(text.strip().splitlines()), 1, text)
        # Without a name the sentence still has a noun.
        unnamed = GOOD.replace(name, "layers: 2 hidden: 1024 heads: 4 ffn: 4096 vocab: 1000")
        self.assert_refused(run("simulate", self.write(unnamed)), "query heads of unnamed model")

    def test_fields_that_do_not_go_together(self):
        self.refuse("chips: 512", 'chip { preset: "tpu-v5p" } slice: "8x8x8"', "cluster.nodes")
        self.refuse("chips: 512", "chips: 512 chip { interconnect { domain_chips: -8 } }",
                    "domain_chips: is -8")
        self.refuse("chips: 512", "chips: 512 chip { datasheet { hbm_bytes_per_s: inf } }",
                    "hbm_bytes_per_s: is inf", "finite")

    def test_problems_found_after_reading_have_a_place(self):
        fsdp = "  data: 2\n  fsdp: 32\n  tensor: 8\n  sequence_parallel: true"
        self.refuse(fsdp, '  mesh { axes { name: "a" size: 512 physical: "x" } }',
                    "plan.mesh: axis \"a\" has physical \"x\"")
        self.refuse("  data: 2", '  rules { dimension: "F" axes: "fsdp" of: COMPUTE } data: 2',
                    "plan.rules: ", "share a mesh axis")
        self.refuse("  data: 2", '  rules { dimension: "B" axes: ["fsdp", "fsdp"] of: COMPUTE } '
                    "data: 2", "plan.rules[0].axes[1]: is \"fsdp\" a second time")
        self.refuse("  data: 2", '  collectives { collective: "all-gather" axis: "tensor" '
                    'algorithm: "multi-axis-ring" } data: 2',
                    "plan.collectives: algorithm: \"multi-axis-ring\" does not run all-gather")

    def test_all_problems_of_all_files_at_once(self):
        first = self.write(GOOD.replace("  tensor: 8", "  tensor: 7").replace('"full"', '"ful"'),
                           "a.textproto")
        second = self.write(GOOD.replace("dgx-h100", "dgx-h1"), "b.textproto")
        self.assert_refused(run("simulate", first, second, "missing.textproto"),
                            "a.textproto:", "plan.recompute", "b.textproto:", "cluster.preset",
                            "missing.textproto: cannot be read")

    def test_empty_files(self):
        for name in ("e.textproto", "e.json", "e.binpb"):
            for content in ("", " \n\t\n"):
                path = self.write(content, name)
                self.assert_refused(run("simulate", path), f"{path}: is empty")

    def test_files_that_say_nothing(self):
        self.assert_refused(run("simulate", self.write("# nothing\n")), "workload")
        self.assert_refused(run("simulate", self.write("{}", "e.json")), "workload")

    def test_what_is_no_scenario(self):
        for name, content in (("x.json", "[1, 2"), ("x.json", "{\"plan\": 3}"),
                              ("x.json", "{\"plan\": {\"tenso\": 3}}"), ("x.binpb", b"\xff" * 64),
                              ("x.textproto", b"\x00\x01\x02"), ("x.textproto", "plan {"),
                              ("x.textproto", "plan { " * 5000), ("x.json", "[" * 100000)):
            path = self.write(content, name)
            self.assert_refused(run("simulate", path), str(path))

    def test_truncated_and_damaged_binaries(self):
        whole = run("show", "scenario", EXAMPLES / "llama3-70b-h100-512.textproto",
                    "--format=binary")
        self.assertEqual(whole.returncode, 0, whole.stderr)
        generator = random.Random(3)
        for _ in range(60):
            content = bytearray(whole.stdout)
            if generator.random() < 0.5:
                del content[generator.randrange(len(content)):]
            else:
                for _ in range(8):
                    content[generator.randrange(len(content))] = generator.randrange(256)
            done = run("simulate", self.write(bytes(content), "x.binpb"))
            self.assertIn(done.returncode, (0, 2), done.stderr)
            self.assertNotIn(b"CHECK", done.stderr)

    def test_damaged_text(self):
        generator = random.Random(5)
        for _ in range(60):
            content = list(GOOD)
            for _ in range(3):
                content[generator.randrange(len(content))] = generator.choice("{}:\"0917 \nx")
            done = run("simulate", self.write("".join(content)))
            self.assertIn(done.returncode, (0, 2), done.stderr)
            self.assertNotIn(b"CHECK", done.stderr)

    def test_files_that_cannot_be_read(self):
        folder = self.folder.name
        self.assert_refused(run("simulate", folder), "is a folder")
        self.assert_refused(run("simulate", "no/such.textproto"), "no/such.textproto",
                            "cannot be read")
        self.assert_refused(run("simulate", self.write(GOOD, "s.yaml")), ".textproto", "yaml")
        if os.geteuid() != 0:
            path = self.write(GOOD)
            path.chmod(0)
            self.assert_refused(run("simulate", path), "cannot be read")

    def test_standard_input(self):
        self.assertEqual(run("simulate", "-", input=GOOD.encode()).returncode, 0)
        self.assert_refused(run("simulate", "-", "--input-format=json", input=b""), "-: is empty")
        self.assert_refused(run("simulate", "-", "--input-format=textproto", input=b"plan { x: 1 }"),
                            "-:1:")
        self.assert_refused(run("simulate", "-", "-", "--input-format=json", input=b""), "once")
        done = run("simulate", "-", "--input-format=textproto", input=GOOD.encode())
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_standard_output_that_cannot_be_written(self):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([PROGRAM, "list", "chips"], stdout=full, stderr=subprocess.PIPE,
                                  timeout=TIMEOUT_S)
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"standard output", done.stderr)

    def test_a_reader_that_leaves(self):
        done = subprocess.run(["sh", "-c", f"'{PROGRAM}' show chip h100-sxm | true"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=TIMEOUT_S)
        self.assertNotIn(b"terminate", done.stderr)

    def test_overrides(self):
        path = GOOD_FILE
        for assignment, parts in (
                ("plan.tenso=8", ("plan has no field", "tenso", "tensor")),
                ("pla.tensor=8", ("no field", "pla", "plan")),
                ("plan.tensor=x", ("plan.tensor", "\"x\"", "whole number")),
                ("plan.tensor=99999999999", ("plan.tensor", "whole number")),
                ("plan.sequence_parallel=yes", ("true or false",)),
                ("workload.mode=SLEEP", ("workload.mode", "TRAIN")),
                ("plan.precision=bf16", ("plan.precision", "compute")),
                ("plan.tensor.x=1", ("plan.tensor", "no fields")),
                ("plan.rules.dimension=B", ("plan.rules[INDEX]",)),
                ("plan.rules[7].dimension=B", ("next index is 0",)),
                ("plan.rules[x].dimension=B", ("rules[x]",)),
                ("plan[0].tensor=8", ("no list",)),
                ("plan.mesh={ axis { } }", ("plan.mesh",)),
                ("plan", ("PATH=VALUE",)),
                ("=8", ("PATH=VALUE",)),
                ("plan.tensor=7", ("--set: plan.tensor",))):
            with self.subTest(assignment):
                self.assert_refused(run("simulate", path, "--set", assignment), *parts)

    def test_overrides_do_what_they_say(self):
        path = GOOD_FILE
        for assignments, line in ((["plan.tensor=4", "plan.fsdp=64"], b"tensor 4, fsdp 64"),
                                  (["plan.data=", "plan.fsdp=64"], b"tensor 8, fsdp 64"),
                                  (["model.preset=llama-3-8b"], b"llama-3-8b on"),
                                  (["workload={ global_batch_sequences: 512 sequence_length: 4096 }"],
                                   b"512 sequences")):
            with self.subTest(assignments):
                sets = [part for a in assignments for part in ("--set", a)]
                done = run("simulate", path, *sets)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn(line, done.stdout)

    def test_wrong_usage(self):
        for arguments in ([], ["frobnicate"], ["simulate"], ["compare"], ["list"],
                          ["list", "cheeses"], ["show", "chip"], ["simulate", "--frob", "x"],
                          ["simulate", "x.textproto", "--fidelity=perfect"],
                          ["simulate", "x.textproto", "--format=xml"],
                          ["compare", EXAMPLES / "llama3-70b-h100-512.textproto"]):
            with self.subTest(arguments):
                self.assert_refused(run(*arguments))

    def test_show_names_the_nearest(self):
        self.assert_refused(run("show", "chip", "h100"), "chip", "h100-sxm")
        self.assert_refused(run("show", "model", "../../../etc/passwd"), "model")
        self.assert_refused(run("show", "cluster", "x" * 10000), "cluster")

    def test_help_has_an_example(self):
        for command in ("simulate", "compare", "list", "show"):
            done = run(command, "--help")
            self.assertEqual(done.returncode, 0)
            self.assertIn(b"Example:\n  meshstep " + command.encode(), done.stdout)

    def test_list_and_show_know_everything(self):
        for kind in ("chips", "clusters", "models", "collectives", "schedules", "examples"):
            done = run("list", kind)
            self.assertEqual(done.returncode, 0, done.stderr)
            lines = done.stdout.decode().splitlines()
            self.assertGreater(len(lines), 1, kind)
            self.assertTrue(all(len(line) < 100 for line in lines))
            names = [line.split()[0] for line in lines if not line.startswith(" ")]
            if kind not in ("chips", "clusters", "models"):
                continue
            for name in names:
                for form in ("text", "json"):
                    self.assertEqual(run("show", kind[:-1], name, "--format=" + form).returncode, 0)

    def test_equal_scenarios_are_as_fast(self):
        path = self.write(GOOD)
        done = run("compare", path, path)
        self.assertIn(b", 2) is as fast as ", done.stdout)  # the file's second scenario of a name
        self.assertNotIn(b"faster", done.stdout)

    def test_no_color_without_a_terminal(self):
        done = run("simulate", EXAMPLES / "llama3-70b-h100-512.textproto")
        self.assertNotIn(b"\033", done.stdout)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
