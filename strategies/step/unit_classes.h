// Units of a step that are alike, found by colour refinement (topologies/colouring.h).
//
// The problem. A step is simulated for units: devices, or those that a symmetry of mesh and fabric
// maps to each other (LinkClasses). Units that no declared symmetry joins may still do the same at
// the same time: the two ends of a line, the members of a ring that passes through nodes, places
// that no axis tells apart. Find them, and the step of one of each that stands for all.
//
// Symbols.
//   unit    u, with a colour to start with (its stage)
//   link    l of the task graph, with a colour to start with (its kind and capacity)
//   group   g: units that run one transfer together; kind(g) says which, and cost(g) has for every
//           phase a latency and the bytes b(g, l) on each link
//
// The invariant. At the end units, links and groups have colours such that
//   - units of one colour are members, in the same role, of equally many groups of each colour;
//   - groups of one colour are of one kind, with equally many members of each colour, the same
//     latencies, and the same bytes on equally many links of each colour, phase by phase;
//   - links of one colour carry the same bytes of equally many groups of each colour.
// (An equitable partition of the graph whose nodes are units, links and groups.)
//
// Why it is enough. By induction over the events of the engine: what units of one colour wait for
// ends alike, since the max-min rate of a flow (sim/engine/flow_network.h) depends on what its
// links see of groups, and on what those groups see of links. So one unit, one link and one group
// of each colour, loaded with the bytes of all groups of a colour on that link, give the same step,
// to the picosecond; tests/properties/folding_test.cc compares them with every device
// explicit.
//
// Complexity: O(rounds · E log E) for E pairs of a group with a member or a link; the classes that
// the fabric declares keep E small before it starts.
//
// Source: the 1-dimensional Weisfeiler-Leman algorithm; see topologies/colouring.h. Bytes that
// differ by rounding only (1e-12) are the same.
//
// Example: four units in a line, 0 - 1 - 2 - 3, each pair a group with a link of its own and the
// same bytes. One round tells units of one group (0, 3) from those of two (1, 2); a second tells
// the groups {0, 1}, {2, 3} from {1, 2}, and their links. Classes: units 0 1 1 0, links 0 1 0,
// groups 0 1 0; half of the step is left.

#ifndef MESHSTEP_STRATEGIES_STEP_UNIT_CLASSES_H_
#define MESHSTEP_STRATEGIES_STEP_UNIT_CLASSES_H_

#include <span>
#include <vector>

#include "sim/cost/collective.h"
#include "sim/cost/collective_model.h"

namespace meshstep {

// Units that run one transfer together.
struct UnitGroup {
  int kind = 0;              // groups of different kinds are never alike
  bool ordered = false;      // members have roles by their place in the list
  std::vector<int> members;  // units
  CollectiveCost cost;       // demands by link
};

// Classes are numbered by their first members.
struct UnitClasses {
  std::vector<int> unit, link, group;  // class of each
};

// `unit` and `link`: colours to start with.
UnitClasses RefineUnits(std::span<const int> unit, std::span<const int> link,
                        std::span<const UnitGroup> groups);

// One group of each class, with classes for units and links. `groups` are as they were given to
// RefineUnits; they come out in the order of their first members.
std::vector<UnitGroup> MergeGroups(const UnitClasses& classes, std::span<const UnitGroup> groups);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_STEP_UNIT_CLASSES_H_
