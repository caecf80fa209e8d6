"""Reads the sources and fails where they break the architecture.

Rooms are folders, in the order of ROOMS: a file may include its own room and rooms before it. A room
that implements an interface of another (an algorithm, a schedule, an op) shares its entry. A header
with its source is one place, and no two places include each other, however far around. Generated
protocol-buffer headers stay in loaders, sim/simulate and what stands above it. Every header is
guarded by its path. No file is longer than 500 lines and no room has more than 25 sources.
"""

import collections
import pathlib
import re
import sys
import unittest

ROOMS = [
    ["sim/base"],
    ["sim/engine"],
    ["topologies"],
    ["sim/cost", "sim/cost/collectives", "sim/cost/library"],
    ["strategies/algebra"],
    ["strategies/model", "strategies/model/layers"],
    ["strategies/model/hugging_face"],
    ["strategies/plan", "strategies/plan/parallelisms", "strategies/plan/schedules"],
    ["strategies/block"],
    ["strategies/framework"],
    ["strategies/passes", "strategies/passes/ops"],
    ["strategies/bounds"],
    ["strategies/einsum/notation"],
    ["strategies/einsum"],
    ["strategies/step"],
    ["strategies/bounds/plan"],
    ["sim/simulate"],
    ["sim/report", "sim/report/arithmetic", "sim/report/html", "sim/report/trace"],
    ["sim/advice"],
    ["sim/advice/sweep"],
    ["sim/advice/search"],
    ["sim/validation"],
    ["sim/calibration"],
    ["sim/cli"],
]
PLACE_OF_ROOM = {folder: i for i, folders in enumerate(ROOMS) for folder in folders}
MAX_LINES = 500
MAX_SOURCES = 25
MAX_README_LINES = 40
README_SAYS = ["**In**", "**Out**", "**Example**", "**To ", "**Never here**"]
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)
ROOT = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else pathlib.Path(__file__).parent.parent)


def sources(*folders):
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".h", ".cc"):
                yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def room_of(path):
    return path.rsplit("/", 1)[0]


def may_include_protos(path):
    name = path.rsplit("/", 1)[-1]
    is_loader = name.startswith("load_") and name.endswith(".cc")
    above = PLACE_OF_ROOM[room_of(path)] >= PLACE_OF_ROOM["sim/simulate"]
    return is_loader or above


def room_problems(path, text):
    """Includes of a file that point to a later room, nowhere, or to generated headers."""
    if room_of(path) not in PLACE_OF_ROOM:
        return [f"{path}: is in no room of ROOMS"]
    problems = []
    for include in INCLUDE.findall(text):
        if include.endswith(".pb.h"):
            if include.startswith("meshstep/") and not may_include_protos(path):
                problems.append(f"{path}: includes {include}")
            continue
        if not include.startswith(("sim/", "topologies/", "strategies/")):
            continue
        if not (ROOT / include).is_file():
            problems.append(f"{path}: includes {include}, which does not exist")
        elif PLACE_OF_ROOM[room_of(include)] > PLACE_OF_ROOM[room_of(path)]:
            problems.append(f"{path}: includes {include}, of a later room")
    return problems


def cycles(includes):
    """Sets of places that reach each other; includes: place -> places (Tarjan 1972)."""
    index, low, stack, found = {}, {}, [], []

    def visit(place):
        index[place] = low[place] = len(index)
        stack.append(place)
        for other in sorted(includes.get(place, ())):
            if other not in index:
                visit(other)
                low[place] = min(low[place], low[other])
            elif other in stack:
                low[place] = min(low[place], index[other])
        if low[place] == index[place]:
            component = [stack.pop()]
            while component[-1] != place:
                component.append(stack.pop())
            if len(component) > 1:
                found.append(sorted(component))

    for place in sorted(includes):
        if place not in index:
            visit(place)
    return found


def place_of(path):
    return re.sub(r"\.(h|cc)$", "", path)


def include_graph(files):
    graph = collections.defaultdict(set)
    for path, text in files:
        for include in INCLUDE.findall(text):
            own = include.startswith(("sim/", "topologies/", "strategies/"))
            if own and place_of(include) != place_of(path):
                graph[place_of(path)].add(place_of(include))
    return graph


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

    def test_no_include_points_to_a_later_room(self):
        problems = []
        for path, text in sources("sim", "topologies", "strategies"):
            problems += room_problems(path, text)
        self.assert_none(problems)

    def test_a_header_with_its_source_is_in_no_cycle(self):
        graph = include_graph(sources("sim", "topologies", "strategies"))
        self.assertGreater(len(graph), 50)
        self.assert_none([" <-> ".join(places) for places in cycles(graph)])

    def test_every_room_exists_and_is_small_enough(self):
        counts = collections.Counter(
            room_of(path) for path, _ in sources("sim", "topologies", "strategies")
            if path.endswith(".cc"))
        problems = [f"{room}: has no source" for room in PLACE_OF_ROOM if not counts[room]]
        problems += [f"{room}: has {n} sources, limit {MAX_SOURCES}"
                     for room, n in counts.items() if n > MAX_SOURCES]
        self.assert_none(problems)

    def test_every_room_says_what_it_is(self):
        problems = []
        for room in PLACE_OF_ROOM:
            readme = ROOT / room / "README.md"
            text = readme.read_text(encoding="utf-8") if readme.is_file() else ""
            problems += [f"{room}/README.md: lacks {words}" for words in README_SAYS
                         if words not in text]
            if text.count("\n") > MAX_README_LINES:
                problems.append(f"{room}/README.md: has {text.count(chr(10))} lines")
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
        self.assertEqual(1, len(room_problems("sim/engine/x.cc", '#include "topologies/chip.h"\n')))
        self.assertEqual([], room_problems("sim/engine/x.cc", '#include "sim/base/units.h"\n'))
        self.assertEqual(1, len(room_problems("sim/base/x.h", '# include "sim/base/none.h"\n')))
        self.assertEqual(1, len(room_problems("sim/other/x.h", "")))
        proto = '#include "meshstep/v1/plan.pb.h"\n'
        self.assertEqual(1, len(room_problems("strategies/plan/plan.cc", proto)))
        self.assertEqual(1, len(room_problems("strategies/plan/load_plan.h", proto)))
        self.assertEqual([], room_problems("strategies/plan/load_plan.cc", proto))
        self.assertEqual([], room_problems("sim/report/text.cc", proto))
        self.assertEqual(1, len(guard_problems("sim/base/x.h", "#pragma once\n")))
        files = [("sim/a.h", '#include "sim/b.h"\n'), ("sim/b.cc", '#include "sim/c.h"\n'),
                 ("sim/c.h", '#include "sim/a.h"\n'), ("sim/a.cc", '#include "sim/a.h"\n')]
        self.assertEqual([["sim/a", "sim/b", "sim/c"]], cycles(include_graph(files)))
        self.assertEqual([], cycles(include_graph(files[:2])))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
