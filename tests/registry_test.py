"""What the program lists is what the folders hold: nothing is lost on the way into the library."""

import pathlib
import re
import subprocess
import sys
import unittest

PROGRAM, ROOT = sys.argv[1], pathlib.Path(sys.argv[2])


def listed(kind):
    done = subprocess.run([PROGRAM, "list", kind], capture_output=True, text=True, check=True)
    return done.stdout


def files(folder, pattern):
    return sorted(p.stem for p in (ROOT / folder).glob(pattern))


class RegistryTest(unittest.TestCase):
    def assert_lists(self, kind, names):
        self.assertGreater(len(names), 2)
        words = set(listed(kind).split())
        missing = [name for name in names if name not in words]
        self.assertEqual([], missing, f"meshstep list {kind} lacks {missing}")

    def test_collectives(self):
        names = files("sim/cost/collectives", "*.cc")
        self.assert_lists("collectives", [name.replace("_", "-") for name in names])

    def test_schedules(self):
        # The names of the papers where a C++ file name cannot begin with a digit.
        paper = {"one_f_one_b": "1f1b"}
        names = [n for n in files("strategies/plan/schedules", "*.cc") if n != "schedule"]
        self.assert_lists("schedules", [paper.get(n, n.replace("_", "-")) for n in names])

    def test_data_files(self):
        self.assert_lists("chips", files("topologies/chips", "*.textproto"))
        self.assert_lists("clusters", files("topologies/clusters", "*.textproto"))
        self.assert_lists("models", files("strategies/models", "*.textproto"))
        self.assert_lists("frameworks", files("strategies/frameworks", "*.textproto"))
        self.assert_lists("examples", files("examples", "*.textproto"))

    def test_frameworks_show_every_row_with_its_source(self):
        rows = 0
        for name in files("strategies/frameworks", "*.textproto"):
            file = (ROOT / "strategies/frameworks" / (name + ".textproto")).read_text()
            shown = subprocess.run([PROGRAM, "show", "framework", name], capture_output=True,
                                   text=True, check=True).stdout
            words = " ".join(shown.split())
            for row in re.findall(r"^op \{$.*?^\}$", file, re.MULTILINE | re.DOTALL):
                rows += 1
                source = re.search(r'source: "([^"]*)"', row).group(1)
                label = re.search(r'label: "([^"]*)"', row).group(1)
                self.assertIn(f"({' '.join(source.split())})", words, name)
                self.assertIn(f"{label}:", words, name)
                for kernel in re.findall(r'reads: "[^"]*" writes: "[^"]*"', row):
                    self.assertIn(kernel, words, name)
        self.assertGreater(rows, 80)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
