"""What the program lists is what the folders hold: nothing is lost on the way into the library."""

import pathlib
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


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
