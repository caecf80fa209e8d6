// Bytes that one phase of a collective puts on the links of a fabric: on each link class for all
// groups of a mesh at once, or on each explicit link for one group.
//
// Method for classes. Groups of the same axes are images of each other under the shifts of the
// levels that are not fixed (topologies/mesh.h, LinkClasses), so one group per combination of fixed
// coordinates is routed. With G groups, R of them routed:
//   demand of class c = (bytes of the routed groups on links of c) · (G / R) / count(c).
// Where a pattern is uneven (trees, chains) links of one class differ; then all groups are routed
// and the class gets the load of its busiest link.

#ifndef MESHSTEP_SIM_COST_LINK_LOAD_H_
#define MESHSTEP_SIM_COST_LINK_LOAD_H_

#include <memory>
#include <span>
#include <vector>

#include "sim/cost/collective.h"
#include "sim/cost/collective_cost.h"

namespace meshstep {

struct LinkLoad {
  std::vector<LinkDemand> demands;  // by link or class, ascending; bytes > 0
  Bytes weight;                     // of one group on its busiest link
};

// What loads are counted in. It grows to the number of links once and is used again and again; it
// belongs to one thread.
class LoadCounters {
 public:
  LoadCounters();
  ~LoadCounters();
  // To be told apart from others that use the same counters.
  int AddUser() { return ++users_; }

  struct Maps;
  Maps& maps() { return *maps_; }

 private:
  std::unique_ptr<Maps> maps_;
  int users_ = 0;
};

// `classes` may be null: explicit links of the group of `device`. user: of the counters, always
// with the same classes.
LinkLoad LoadOf(const Mesh& mesh, const LinkClasses* classes, std::span<const AxisId> axes,
                DeviceId device, const TrafficPhase& phase, int user, LoadCounters* counters);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_COST_LINK_LOAD_H_
