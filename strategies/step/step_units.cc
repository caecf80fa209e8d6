#include "strategies/step/step_units.h"

#include <algorithm>

#include "sim/base/check.h"
#include "sim/base/index.h"
#include "sim/cost/collective_model.h"
#include "sim/cost/collective_registry.h"

namespace meshstep {
namespace {

bool IsCollective(Role role) {
  return role == Role::kActivations || role == Role::kParameters || role == Role::kGradients;
}

}  // namespace

StepUnits::StepUnits(const Plan& plan, const Mesh& mesh, const LinkClasses& classes,
                     const CollectiveModel& model, const CollectiveModel* explicit_model,
                     const TransferTable& transfers, const std::set<StageSend>* sends)
    : plan_(plan),
      mesh_(mesh),
      classes_(classes),
      model_(model),
      explicit_model_(explicit_model),
      transfers_(transfers),
      stages_(Index(plan.stages)) {
  ListLinks();
  std::vector<DeviceId> devices;
  std::vector<int> coordinates(mesh.axes().size(), 0);
  ListUnits(0, &coordinates, &devices);
  std::sort(devices.begin(), devices.end());
  const std::int64_t each = mesh.fabric().devices() / static_cast<std::int64_t>(devices.size());
  for (const DeviceId d : devices) {
    const int unit = static_cast<int>(units_.size());
    const int stage = plan.pipeline < 0 ? 0 : mesh.Coordinate(d, plan.pipeline);
    unit_of_[KeyOf(d)] = unit;
    stages_[Index(stage)].push_back(unit);
    units_.push_back({stage, d, each});
  }
  if (!unfolded() && sends != nullptr) Merge(*sends);
}

void StepUnits::ListLinks() {
  const Fabric& fabric = mesh_.fabric();
  for (LinkId l = 0; unfolded() && l < fabric.links(); ++l) {
    links_.push_back({{fabric.LinkName(l), 1}, fabric.capacity(l)});
  }
  for (int c = 0; !unfolded() && c < classes_.size(); ++c) {
    link_of_class_.push_back(c);
    links_.push_back({{classes_.Name(c), classes_.count(c)}, classes_.capacity(c)});
  }
}

// One device of every class: each axis runs through the coordinates that make devices differ.
void StepUnits::ListUnits(AxisId axis, std::vector<int>* coordinates,
                          std::vector<DeviceId>* devices) const {
  if (Index(axis) == mesh_.axes().size()) {
    devices->push_back(mesh_.Device(*coordinates));
    return;
  }
  const bool every = unfolded() || IsDistinguished(axis);
  for (int c = 0; c < mesh_.size(axis); ++c) {
    int left = c;
    bool differs = true;
    for (const AxisPart& part : mesh_.axes()[Index(axis)].parts) {
      differs &= every || left % part.size == 0 || classes_.IsDistinguished(part.level);
      left /= part.size;
    }
    if (!differs) continue;
    (*coordinates)[Index(axis)] = c;
    ListUnits(axis + 1, coordinates, devices);
  }
  (*coordinates)[Index(axis)] = 0;
}

bool StepUnits::IsDistinguished(AxisId axis) const {
  const std::vector<AxisId>& axes = classes_.distinguished();
  return std::find(axes.begin(), axes.end(), axis) != axes.end();
}

// Folded: what tells device classes apart. Unfolded: the device.
std::vector<int> StepUnits::KeyOf(DeviceId device) const {
  return unfolded() ? std::vector<int>{device} : classes_.DeviceKey(device);
}

// Units that agree on everything the axes do not cover are one group.
std::vector<UnitGroup> StepUnits::Members(int stage, const std::vector<AxisId>& axes) const {
  std::vector<UnitGroup> groups;
  std::map<std::vector<int>, std::size_t> index;
  for (const int unit : stages_[Index(stage)]) {
    std::vector<int> key;
    for (AxisId a = 0; a < static_cast<AxisId>(mesh_.axes().size()); ++a) {
      if (std::find(axes.begin(), axes.end(), a) != axes.end()) continue;
      int coordinate = mesh_.Coordinate(units_[Index(unit)].device, a);
      for (const AxisPart& part : mesh_.axes()[Index(a)].parts) {
        if (unfolded() || IsDistinguished(a) || classes_.IsDistinguished(part.level)) {
          key.push_back(coordinate % part.size);
        }
        coordinate /= part.size;
      }
    }
    const auto [at, is_new] = index.try_emplace(std::move(key), groups.size());
    if (is_new) groups.emplace_back();
    groups[at->second].members.push_back(unit);
  }
  return groups;
}

std::string StepUnits::Algorithm(const TransferSpec& spec) const {
  for (const CollectiveChoice& choice : plan_.collectives) {
    if (choice.collective != NameOf(spec.collective)) continue;
    const std::vector<AxisId>& named = spec.experts ? choice.expert_axes : choice.axes;
    const bool here = std::find_first_of(spec.axes.begin(), spec.axes.end(), named.begin(),
                                         named.end()) != spec.axes.end();
    if (choice.axis.empty() || here) return choice.algorithm;
  }
  // What is handed on along a ring beside kernels goes by the library's messages, where ranks have
  // a switch in common.
  constexpr char kMessages[] = "send-recv";
  const bool ring = spec.collective == Collective::kPermute && spec.role == Role::kActivations;
  return ring && FindAlgorithm(kMessages)->Supports(spec.collective, mesh_.GroupOf(spec.axes, 0))
             ? kMessages
             : "auto";
}

StatusOr<CollectiveCost> StepUnits::CostOf(const TransferSpec& spec, DeviceId device) const {
  StatusOr<CollectiveCost> cost =
      model_.Cost(spec.collective, spec.bytes, spec.axes, device, Algorithm(spec), spec.copies);
  if (!cost.ok()) {
    return InvalidInput("plan.collectives: " + std::string(cost.status().message()));
  }
  if (!unfolded() || cost->algorithm == nullptr) return cost;
  // The same algorithm and protocol as folded, where the choice knows of all groups that share
  // links.
  return explicit_model_->Cost(spec.collective, spec.bytes, spec.axes, device,
                               cost->algorithm->name(), spec.copies, &*cost);
}

StatusOr<std::vector<UnitGroup>> StepUnits::Groups(int transfer, int stage) const {
  const TransferSpec& spec = transfers_[transfer];
  if (is_merged_ && IsCollective(spec.role)) return merged_groups_.at({transfer, stage});
  std::vector<UnitGroup> groups;
  if (!IsCollective(spec.role)) {
    for (const int unit : stages_[Index(stage)]) groups.emplace_back().members = {unit};
    return groups;
  }
  groups = Members(stage, spec.axes);
  for (UnitGroup& group : groups) {
    ASSIGN_OR_RETURN(group.cost, CostOf(spec, units_[Index(group.members.front())].device));
  }
  return groups;
}

std::vector<UnitGroup> StepUnits::Sends(const StageSend& send) const {
  if (is_merged_) return merged_sends_.at(send);
  const CollectiveModel& model = unfolded() ? *explicit_model_ : model_;
  const Bytes bytes = transfers_[send.transfer].bytes;
  std::vector<UnitGroup> groups;
  std::vector<int> coordinates(mesh_.axes().size());
  for (const int sender : stages_[Index(send.from)]) {
    const DeviceId device = units_[Index(sender)].device;
    for (AxisId a = 0; a < static_cast<AxisId>(coordinates.size()); ++a) {
      coordinates[Index(a)] = a == plan_.pipeline ? send.to : mesh_.Coordinate(device, a);
    }
    const DeviceId target = mesh_.Device(coordinates);
    const int receiver = unit_of_.at(KeyOf(target));
    CHECK_EQ(units_[Index(receiver)].stage, send.to);
    groups.push_back({.kind = 0,
                      .ordered = true,
                      .members = {sender, receiver},
                      .cost = model.PointToPoint(bytes, plan_.pipeline, device, target)});
  }
  return groups;
}

// Units that the transfers of the step do not tell apart become one.
void StepUnits::Merge(const std::set<StageSend>& sends) {
  std::vector<UnitGroup> groups;
  std::vector<std::pair<int, int>> collectives;  // transfer and stage, by kind of group
  int kind = 0;
  const auto add = [&](std::vector<UnitGroup> more) {
    for (UnitGroup& group : more) {
      group.kind = kind;
      groups.push_back(std::move(group));
    }
    ++kind;
  };
  for (int t = 0; t < transfers_.size(); ++t) {
    if (!IsCollective(transfers_[t].role)) continue;
    for (int stage = 0; stage < plan_.stages; ++stage) {
      StatusOr<std::vector<UnitGroup>> more = Groups(t, stage);
      if (!more.ok()) return;  // told when a task needs it
      collectives.emplace_back(t, stage);
      add(*std::move(more));
    }
  }
  for (const StageSend& send : sends) add(Sends(send));
  std::vector<int> unit, link;
  for (const UnitInfo& info : units_) unit.push_back(info.stage);
  std::map<std::pair<int, double>, int> kinds;
  for (int c = 0; c < classes_.size(); ++c) {
    const std::pair key(classes_.KindOf(c), classes_.capacity(c).value());
    link.push_back(kinds.try_emplace(key, static_cast<int>(kinds.size())).first->second);
  }
  const UnitClasses classes = RefineUnits(unit, link, groups);
  Adopt(classes);
  for (UnitGroup& group : MergeGroups(classes, groups)) {
    const std::size_t k = Index(group.kind);
    if (k < collectives.size()) {
      merged_groups_[collectives[k]].push_back(std::move(group));
    } else {
      const auto send =
          std::next(sends.begin(), static_cast<std::ptrdiff_t>(k - collectives.size()));
      merged_sends_[*send].push_back(std::move(group));
    }
  }
  is_merged_ = true;
}

// One unit and one link of each class, which stand for all of it.
void StepUnits::Adopt(const UnitClasses& classes) {
  std::vector<UnitInfo> units;
  for (std::vector<int>& stage : stages_) stage.clear();
  for (std::size_t u = 0; u < units_.size(); ++u) {
    const std::size_t c = Index(classes.unit[u]);
    if (c == units.size()) {
      units.push_back(units_[u]);
      stages_[Index(units_[u].stage)].push_back(classes.unit[u]);
    } else {
      units[c].devices += units_[u].devices;
    }
  }
  std::vector<Link> links;
  std::vector<std::size_t> example;
  for (std::size_t l = 0; l < links_.size(); ++l) {
    const std::size_t c = Index(classes.link[l]);
    if (c == links.size()) {
      links.push_back(links_[l]);
      example.push_back(l);
    } else {
      links[c].info.links += links_[l].info.links;
    }
  }
  for (std::size_t c = 0; c < links.size(); ++c) {
    links[c].info.name = classes_.Name(static_cast<int>(example[c]), links[c].info.links);
  }
  units_ = std::move(units);
  links_ = std::move(links);
  link_of_class_.assign(classes.link.begin(), classes.link.end());
  unit_of_.clear();
}

}  // namespace meshstep
