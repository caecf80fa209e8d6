// Units of a step that are alike, found by colour refinement (topologies/colouring.h).
//
// A step knows units, the links of its task graph, and groups: each a transfer that some units run
// together and that moves bytes over some links. Units, links and groups get colours such that
// those of one colour see the same colours: units take part in the same colours of groups, groups
// have the same colours of members and move the same bytes over the same colours of links, links
// carry the same bytes of the same colours of groups. Then all units of one colour do the same at
// the same time: what they wait for ends alike, since max-min rates (sim/engine/flow_network.h)
// depend on what links see of groups and groups of links. One unit, one link and one group of each
// colour, loaded with the bytes of all groups of a colour on it, give the same step.
//
// It finds what the symmetries that are known beforehand (LinkClasses) do not: the two ends of a
// line, the members of a ring that passes through nodes, places that no axis tells apart.

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
