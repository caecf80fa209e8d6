#include "topologies/mesh.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sim/base/check.h"
#include "topologies/placement.h"

namespace meshstep {
namespace {

// Devices between neighbours in each level.
std::vector<DeviceId> DeviceStrides(const Fabric& fabric) {
  std::vector<DeviceId> strides;
  DeviceId stride = 1;
  for (const Level& level : fabric.levels()) {
    strides.push_back(stride);
    stride *= level.extent;
  }
  return strides;
}

// Joins parts of one level that continue each other, each pair at the place of the first.
void Join(std::vector<AxisPart>* parts) {
  for (std::size_t i = 0; i < parts->size();) {
    AxisPart& part = (*parts)[i];
    const auto next = std::find_if(parts->begin(), parts->end(), [&](const AxisPart& other) {
      return other.level == part.level &&
             (other.stride == part.stride * part.size || part.stride == other.stride * other.size);
    });
    if (next == parts->end()) {
      ++i;
      continue;
    }
    const auto j = static_cast<std::size_t>(next - parts->begin());
    AxisPart& first = (*parts)[std::min(i, j)];
    first = {part.level, part.size * next->size, std::min(part.stride, next->stride)};
    parts->erase(parts->begin() + static_cast<std::ptrdiff_t>(std::max(i, j)));
    i = std::min(i, j);
  }
}

// n of the twisted torus that `parts` take the whole of; 0 if there is none.
int TwistOf(const Fabric& fabric, const std::vector<AxisPart>& parts) {
  int twist = 0;
  for (std::size_t l = 0; l < fabric.levels().size(); ++l) {
    const Level& level = fabric.levels()[l];
    if (level.twist == 0) continue;
    twist = level.twist;
    const bool whole = std::any_of(parts.begin(), parts.end(), [&](const AxisPart& part) {
      return part.level == static_cast<int>(l) && part.size == level.extent;
    });
    if (!whole) return 0;
  }
  return twist;
}

}  // namespace

StatusOr<Mesh> Mesh::Place(const Fabric& fabric, std::span<const AxisRequest> requests) {
  Mesh mesh;
  mesh.fabric_ = &fabric;
  ASSIGN_OR_RETURN(mesh.axes_, PlaceAxes(fabric, requests));
  return mesh;
}

AxisId Mesh::Find(std::string_view name) const {
  for (std::size_t a = 0; a < axes_.size(); ++a) {
    if (axes_[a].name == name) return static_cast<AxisId>(a);
  }
  return -1;
}

int Mesh::Coordinate(DeviceId device, AxisId axis) const {
  int coordinate = 0, radix = 1;
  for (const AxisPart& part : axes_[static_cast<std::size_t>(axis)].parts) {
    coordinate += fabric_->Coordinate(device, part.level) / part.stride % part.size * radix;
    radix *= part.size;
  }
  return coordinate;
}

DeviceId Mesh::Device(std::span<const int> coordinates) const {
  CHECK_EQ(coordinates.size(), axes_.size());
  const std::vector<DeviceId> strides = DeviceStrides(*fabric_);
  DeviceId device = 0;
  for (std::size_t a = 0; a < axes_.size(); ++a) {
    int rest = coordinates[a];
    CHECK(rest >= 0 && rest < axes_[a].size) << "no such coordinate ";
    for (const AxisPart& part : axes_[a].parts) {
      device += rest % part.size * part.stride * strides[static_cast<std::size_t>(part.level)];
      rest /= part.size;
    }
  }
  return device;
}

Group Mesh::GroupOf(std::span<const AxisId> axes, DeviceId device) const {
  // Minor first: the last axis counts fastest, and so do the first parts of each.
  std::vector<AxisPart> parts;
  for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis) {
    for (const AxisPart& part : axes_[static_cast<std::size_t>(*axis)].parts) {
      parts.push_back(part);
    }
  }
  Join(&parts);
  const std::vector<DeviceId> strides = DeviceStrides(*fabric_);
  Group group;
  group.twist = TwistOf(*fabric_, parts);
  std::size_t size = 1;
  for (const AxisPart& part : parts) size *= static_cast<std::size_t>(part.size);
  group.members.reserve(size);
  DeviceId first = device;
  for (const AxisPart& part : parts) {
    const int digit = fabric_->Coordinate(device, part.level) / part.stride % part.size;
    first -= digit * part.stride * strides[static_cast<std::size_t>(part.level)];
  }
  group.members.push_back(first);
  for (const AxisPart& part : parts) {
    const Level& level = fabric_->levels()[static_cast<std::size_t>(part.level)];
    const bool torus = level.kind == Level::Kind::kTorus;
    // Every stride-th chip of a ring makes a ring, interleaved with stride - 1 others.
    const bool around =
        part.stride * part.size == level.extent && (part.stride == 1 || part.size > 2);
    group.dims.push_back({level.kind, part.level, part.size, part.stride,
                          torus && level.wraps && around, level.bandwidth,
                          torus ? part.stride * level.latency : level.latency,
                          level.in_network_reduction, level.extent});
    const DeviceId step = part.stride * strides[static_cast<std::size_t>(part.level)];
    const std::size_t block = group.members.size();
    for (std::size_t i = block; i < block * static_cast<std::size_t>(part.size); ++i) {
      group.members.push_back(group.members[i - block] + step);
    }
  }
  return group;
}

LinkClasses::LinkClasses(const Mesh& mesh, std::span<const AxisId> distinguished)
    : mesh_(&mesh),
      fabric_(&mesh.fabric()),
      distinguished_(distinguished.begin(), distinguished.end()),
      fixed_(mesh.fabric().levels().size(), false),
      apart_(fixed_) {
  const std::vector<Level>& levels = fabric_->levels();
  std::vector<int> parts_of(levels.size(), 0);
  for (const MeshAxis& axis : mesh.axes()) {
    for (const AxisPart& part : axis.parts) ++parts_of[static_cast<std::size_t>(part.level)];
  }
  for (std::size_t l = 0; l < levels.size(); ++l) {
    const Level& level = levels[l];
    // In a torus or a full mesh that several axes share, the links within a group are loaded and
    // those between groups are not.
    const bool direct = level.kind == Level::Kind::kTorus || level.kind == Level::Kind::kFullMesh;
    fixed_[l] = !level.shifts || (direct && parts_of[l] > 1);
    const bool torus = level.kind == Level::Kind::kTorus;
    apart_[l] = torus ? parts_of[l] > 1 : !level.shifts;
  }
  for (const AxisId axis : distinguished) {
    for (const AxisPart& part : mesh.axes()[static_cast<std::size_t>(axis)].parts) {
      fixed_[static_cast<std::size_t>(part.level)] = true;
    }
  }
  const int keys = fabric_->SymmetryKeys(fixed_);
  for (int key = 0; key < keys; ++key) {
    capacity_.push_back(fabric_->capacity(fabric_->KeyExample(key, fixed_)));
    count_.push_back(fabric_->KeyCount(key, fixed_));
  }
}

std::vector<int> LinkClasses::DeviceKey(DeviceId device) const {
  std::vector<int> key;
  for (const AxisId axis : distinguished_) key.push_back(mesh_->Coordinate(device, axis));
  for (std::size_t l = 0; l < apart_.size(); ++l) {
    if (apart_[l]) key.push_back(fabric_->Coordinate(device, static_cast<int>(l)));
  }
  return key;
}

int LinkClasses::ClassOf(LinkId link) const { return fabric_->SymmetryKey(link, fixed_); }

int LinkClasses::KindOf(int link_class) const {
  return fabric_->SymmetryKey(fabric_->KeyExample(link_class, fixed_),
                              std::vector<bool>(fixed_.size(), false));
}

std::string LinkClasses::Name(int link_class, std::int64_t links) const {
  const std::string example = fabric_->LinkName(fabric_->KeyExample(link_class, fixed_));
  const std::int64_t others = links - 1;
  return others == 0 ? example : absl::StrCat(example, " and ", others, " like it");
}

}  // namespace meshstep
