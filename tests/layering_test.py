"""Reads the sources and fails where they break the architecture.

Layers, each may include those before it only:
  sim/base, sim/engine, topologies, sim/cost, strategies, sim/report, sim/cli.
Generated protocol-buffer headers stay in load_*.cc, the report and the command line. Every header
is guarded by its path. No file is longer than 500 lines.
"""

import pathlib
import re
import sys
import unittest

LAYERS = ["sim/base", "sim/engine", "topologies", "sim/cost", "strategies", "sim/report", "sim/cli"]
MAX_LINES = 500
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)
ROOT = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else pathlib.Path(__file__).parent.parent)


def sources(*folders):
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".h", ".cc"):
                yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def layer_of(path):
    for i, layer in enumerate(LAYERS):
        if path.startswith(layer + "/"):
            return i
    return None


def may_include_protos(path):
    name = path.rsplit("/", 1)[-1]
    is_loader = name.startswith("load_") and name.endswith(".cc")
    return is_loader or path.startswith(("sim/report/", "sim/cli/"))


def layer_problems(path, text):
    """Includes of a file that point to a later layer, nowhere, or to generated headers."""
    own = layer_of(path)
    if own is None:
        return [f"{path}: is in no layer"]
    problems = []
    for include in INCLUDE.findall(text):
        if include.endswith(".pb.h"):
            if include.startswith("meshstep/") and not may_include_protos(path):
                problems.append(f"{path}: includes {include}")
            continue
        other = layer_of(include)
        if other is None:
            continue
        if other > own:
            problems.append(f"{path}: includes {include}, of a later layer")
        if not (ROOT / include).is_file():
            problems.append(f"{path}: includes {include}, which does not exist")
    return problems


def guard_problems(path, text):
    guard = "MESHSTEP_" + re.sub(r"[/.]", "_", path).upper() + "_"
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("//")]
    if lines[:2] != [f"#ifndef {guard}", f"#define {guard}"]:
        return [f"{path}: does not begin with the include guard {guard}"]
    if lines[-1] != f"#endif  // {guard}":
        return [f"{path}: does not end with #endif  // {guard}"]
    return []


class LayeringTest(unittest.TestCase):
    def assert_none(self, problems):
        self.assertEqual([], problems, "\n" + "\n".join(problems))

    def test_there_is_something_to_check(self):
        self.assertGreater(len(list(sources("sim", "topologies", "strategies"))), 50)

    def test_no_include_points_to_a_later_layer(self):
        problems = []
        for path, text in sources("sim", "topologies", "strategies"):
            problems += layer_problems(path, text)
        self.assert_none(problems)

    def test_headers_are_guarded_by_their_path(self):
        problems = []
        for path, text in sources("sim", "topologies", "strategies", "tests"):
            if path.endswith(".h"):
                problems += guard_problems(path, text)
        self.assert_none(problems)

    def test_no_file_is_too_long(self):
        problems = []
        for path, text in sources("sim", "topologies", "strategies", "tests"):
            if text.count("\n") > MAX_LINES:
                problems.append(f"{path}: has {text.count(chr(10))} lines, limit {MAX_LINES}")
        self.assert_none(problems)

    def test_the_checks_find_what_they_look_for(self):
        self.assertEqual(1, len(layer_problems("sim/engine/x.cc", '#include "topologies/chip.h"\n')))
        self.assertEqual([], layer_problems("sim/engine/x.cc", '#include "sim/base/units.h"\n')),
        self.assertEqual(1, len(layer_problems("sim/base/x.h", '# include "sim/base/none.h"\n')))
        proto = '#include "meshstep/v1/plan.pb.h"\n'
        self.assertEqual(1, len(layer_problems("strategies/plan.cc", proto)))
        self.assertEqual(1, len(layer_problems("strategies/load_plan.h", proto)))
        self.assertEqual([], layer_problems("strategies/load_plan.cc", proto))
        self.assertEqual([], layer_problems("sim/report/report.cc", proto))
        self.assertEqual(1, len(guard_problems("sim/base/x.h", "#pragma once\n")))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
