"""The worked additions of CONTRIBUTING.md: each diff applies to a copy of the tree, compiles without a
warning, and what it adds passes the tests that hold every one of its kind."""

import json
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest

PROGRAM, ROOT = (pathlib.Path(a).resolve() for a in sys.argv[1:3])
BUILD = PROGRAM.parent
GUIDE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def run(command, **more):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False,
                          **more)
    if done.returncode != 0:
        raise AssertionError(f"{command} gave {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done.stdout


def section(title):
    return re.search(rf"^## {title}$(.*?)(?=^## |\Z)", GUIDE, re.MULTILINE | re.DOTALL).group(1)


class Copy:
    """The sources with the diff of one section applied; `changed` are its sources."""

    def __init__(self, title):
        self.folder = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.folder.name)
        for name in ("sim", "strategies", "topologies"):
            shutil.copytree(ROOT / name, self.root / name)
        diff = re.search(r"```diff\n(.*?)```", section(title), re.DOTALL).group(1)
        run(["patch", "--strip=1", "--batch", "--fuzz=0", "--directory", self.root], input=diff)
        self.files = re.findall(r"^\+\+\+ b/(\S+)", diff, re.MULTILINE)

    def compile(self):
        """Objects of the sources that the diff adds or changes, with the flags of this build."""
        commands = json.loads((BUILD / "compile_commands.json").read_text(encoding="utf-8"))
        objects = []
        for name in self.files:
            if not name.endswith(".cc"):
                continue
            neighbours = [c for c in commands
                          if pathlib.Path(c["file"]).parent == (ROOT / name).parent]
            words = shlex.split(neighbours[0]["command"])
            at = words.index("-o")
            del words[at:]
            words = [w.replace(f"-I{ROOT}", f"-I{self.root}") if w == f"-I{ROOT}" else w
                     for w in words]
            out = self.root / (name.replace("/", "_") + ".o")
            run(words + ["-Werror", "-o", out, "-c", self.root / name], cwd=neighbours[0]["directory"])
            objects.append(out)
        return objects

    def link(self, target, objects):
        """`target` of this build with `objects` before all others."""
        lines = run(["ninja", "-C", BUILD, "-t", "commands", target]).splitlines()
        words = shlex.split(re.sub(r"^: && | && :$", "", lines[-1]))
        at = words.index("-o")
        out = self.root / target
        words[at + 1] = str(out)
        first = next(i for i, w in enumerate(words) if w.endswith(".o"))
        run(words[:first] + objects + words[first:], cwd=BUILD)
        return out


class ContributingTest(unittest.TestCase):
    def test_chip(self):
        copy = Copy("A chip")
        self.addCleanup(copy.folder.cleanup)
        chip = copy.root / copy.files[0]
        shown = run([PROGRAM, "show", "chip", chip])
        self.assertIn("a100-80gb-pcie", shown)
        report = json.loads(run([PROGRAM, "simulate", "llama3-70b-h100-512", "--format=json", "--set",
                                 f"cluster.chip.preset={chip}"]))
        self.assertGreater(report["step_time_s"], 0)

    def test_collective_algorithm(self):
        copy = Copy("A collective algorithm")
        self.addCleanup(copy.folder.cleanup)
        objects = copy.compile()
        test = copy.link("sim_cost_collective_algorithms_test", objects)
        # The program under test knows one more than the folder that the test reads.
        out = run([test, "--gtest_filter=-*RegistryIsTheFolder"])
        self.assertIn("[  PASSED  ]", out)
        self.assertIn("bruck", run([copy.link("meshstep_main", objects), "list", "collectives"]))

    def test_schedule(self):
        copy = Copy("A pipeline schedule")
        self.addCleanup(copy.folder.cleanup)
        objects = copy.compile()
        self.assertIn("[  PASSED  ]", run([copy.link(
            "strategies_plan_schedules_schedule_test", objects)]))
        program = copy.link("meshstep_main", objects)
        self.assertIn("eager-1f1b", run([program, "list", "schedules"]))

    def test_every_diff_of_the_guide_is_tried(self):
        self.assertEqual(3, GUIDE.count("```diff"))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
