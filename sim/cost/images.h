// Groups that are images of others: those of a pipeline's stages on whole units of a network are
// the first stage's, moved on, and so are their loads.
//
// Moving every coordinate of a level that shifts maps the fabric onto itself, routes onto routes
// and link classes onto link classes. Along a network tier no coordinate passes the end of the
// level on the way, so that even the order of the links stays.

#ifndef MESHSTEP_SIM_COST_IMAGES_H_
#define MESHSTEP_SIM_COST_IMAGES_H_

#include <span>
#include <vector>

#include "sim/cost/collective_cost.h"
#include "topologies/level_fabric.h"
#include "topologies/mesh.h"

namespace meshstep {

// The device at the first place of every distinguished axis that lies on network tiers which shift,
// but for those among `axes`, which the groups span. `device` itself if `classes` is null.
DeviceId FirstImage(const Mesh& mesh, const LinkClasses* classes, std::span<const AxisId> axes,
                    DeviceId device);

// Leads from what the groups of device `from` load to what those of `to`, its image, do.
class Images {
 public:
  Images(const Mesh& mesh, const LinkClasses& classes, DeviceId from, DeviceId to);
  // Of link classes, ascending.
  void Move(std::vector<LinkDemand>* demands) const;

 private:
  const LevelFabric& fabric_;
  const LinkClasses& classes_;
  std::vector<int> by_;  // per level
};

}  // namespace meshstep

#endif  // MESHSTEP_SIM_COST_IMAGES_H_
