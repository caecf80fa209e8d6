#include "sim/cost/images.h"

#include <algorithm>

#include "sim/base/index.h"

namespace meshstep {
namespace {

// Other fabrics than those of levels have no level that shifts.
bool LiesOnTiersThatShift(const Mesh& mesh, AxisId axis) {
  const std::vector<AxisPart>& parts = mesh.axes()[Index(axis)].parts;
  return std::all_of(parts.begin(), parts.end(), [&](const AxisPart& part) {
    const Level& level = mesh.fabric().levels()[Index(part.level)];
    return level.kind == Level::Kind::kNetwork && level.shifts;
  });
}

}  // namespace

DeviceId FirstImage(const Mesh& mesh, const LinkClasses* classes, std::span<const AxisId> axes,
                    DeviceId device) {
  if (classes == nullptr) return device;
  std::vector<int> coordinates;
  for (AxisId axis = 0; axis < static_cast<AxisId>(mesh.axes().size()); ++axis) {
    coordinates.push_back(mesh.Coordinate(device, axis));
  }
  for (const AxisId axis : classes->distinguished()) {
    const bool own = std::find(axes.begin(), axes.end(), axis) != axes.end();
    if (!own && LiesOnTiersThatShift(mesh, axis)) coordinates[Index(axis)] = 0;
  }
  return mesh.Device(coordinates);
}

Images::Images(const Mesh& mesh, const LinkClasses& classes, DeviceId from, DeviceId to)
    : fabric_(dynamic_cast<const LevelFabric&>(mesh.fabric())), classes_(classes) {
  for (int l = 0; l < static_cast<int>(fabric_.levels().size()); ++l) {
    by_.push_back(fabric_.Coordinate(to, l) - fabric_.Coordinate(from, l));
  }
}

void Images::Move(std::vector<LinkDemand>* demands) const {
  for (LinkDemand& demand : *demands) {
    const LinkId example = fabric_.KeyExample(demand.link, classes_.fixed());
    demand.link = classes_.ClassOf(fabric_.Moved(example, by_));
  }
  std::ranges::sort(*demands, {}, &LinkDemand::link);
}

}  // namespace meshstep
