#include "strategies/step_builder.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace meshstep {

StepBuilder::StepBuilder(const Plan& plan, const Mesh& mesh, const LinkClasses& classes,
                         const CollectiveModel& model, bool unfolded,
                         const TransferTable& transfers, StepGraph* out)
    : plan_(plan),
      mesh_(mesh),
      model_(model),
      unfolded_(unfolded),
      transfers_(transfers),
      out_(out),
      stage_units_(Index(plan.stages)) {
  const Fabric& fabric = mesh.fabric();
  if (unfolded) {
    for (LinkId l = 0; l < fabric.links(); ++l) {
      out->graph.AddLink(fabric.capacity(l));
      out->links.push_back({fabric.LinkName(l), 1});
    }
  } else {
    for (int c = 0; c < classes.size(); ++c) {
      out->graph.AddLink(classes.capacity(c));
      out->links.push_back({classes.Name(c), classes.count(c)});
    }
  }
  std::vector<bool> seen(Index(plan.stages), false);
  for (DeviceId d = 0; d < fabric.devices(); ++d) {
    const int stage = plan.pipeline < 0 ? 0 : mesh.Coordinate(d, plan.pipeline);
    if (!unfolded && seen[Index(stage)]) continue;
    seen[Index(stage)] = true;
    const int unit = static_cast<int>(out->units.size());
    stage_units_[Index(stage)].push_back(unit);
    out->units.push_back({stage, d, unfolded ? 1 : fabric.devices() / plan.stages});
    out->compute_stream.push_back(Stream(unit, "compute"));
    if (!unfolded && unit + 1 == plan.stages) break;
  }
}

const std::string* StepBuilder::Intern(const std::string& name) {
  const auto it = names_.find(name);
  if (it != names_.end()) return it->second;
  out_->names.push_back(std::make_unique<std::string>(name));
  names_[name] = out_->names.back().get();
  return out_->names.back().get();
}

StreamId StepBuilder::Stream(int unit, const std::string& name) {
  const auto [it, added] = streams_.try_emplace({unit, name}, out_->graph.streams());
  if (added) {
    out_->graph.AddStream();
    out_->streams.push_back({unit, name});
  }
  return it->second;
}

void StepBuilder::Record(const Where& where, TaskKind kind, const std::string* name, int transfer) {
  out_->tasks.push_back(
      {name, transfer, where.layer, where.micro_batch, kind, where.pass, Flops(), Bytes()});
}

UnitTasks StepBuilder::AddCompute(const Where& where, TaskKind kind, const std::string* name,
                                  Time duration, std::span<const UnitTasks* const> after,
                                  Flops flops, Bytes hbm_bytes) {
  const std::vector<int>& units = stage_units_[Index(where.stage)];
  UnitTasks tasks(units.size());
  for (std::size_t u = 0; u < units.size(); ++u) {
    scratch_.clear();
    for (const UnitTasks* list : after) {
      if ((*list)[u] >= 0) scratch_.push_back((*list)[u]);
    }
    tasks[u] = out_->graph.AddTimed(out_->compute_stream[Index(units[u])], duration, scratch_);
    Record(where, kind, name, -1);
    out_->tasks.back().flops = flops;
    out_->tasks.back().hbm_bytes = hbm_bytes;
  }
  return tasks;
}

const std::vector<StepBuilder::GroupOfUnits>& StepBuilder::Groups(int stage,
                                                                  const std::vector<AxisId>& axes) {
  const auto [it, added] = groups_.try_emplace({stage, axes});
  if (!added) return it->second;
  const std::vector<int>& units = stage_units_[Index(stage)];
  if (!unfolded_) {
    it->second.push_back({{0}});
    return it->second;
  }
  // Units with equal coordinates on all other axes are one group.
  std::map<std::vector<int>, std::size_t> index;
  for (std::size_t u = 0; u < units.size(); ++u) {
    std::vector<int> key;
    for (AxisId a = 0; a < static_cast<AxisId>(mesh_.axes().size()); ++a) {
      if (std::find(axes.begin(), axes.end(), a) != axes.end()) continue;
      key.push_back(mesh_.Coordinate(out_->units[Index(units[u])].device, a));
    }
    const auto [at, is_new] = index.try_emplace(std::move(key), it->second.size());
    if (is_new) it->second.emplace_back();
    it->second[at->second].members.push_back(static_cast<int>(u));
  }
  return it->second;
}

std::string StepBuilder::Algorithm(const TransferSpec& spec) const {
  for (const CollectiveChoice& choice : plan_.collectives) {
    if (choice.collective != NameOf(spec.collective)) continue;
    const bool everywhere = choice.axis.empty();
    if (everywhere || std::any_of(spec.axes.begin(), spec.axes.end(), [&](AxisId a) {
          return plan_.axes[Index(a)].name == choice.axis;
        })) {
      return choice.algorithm;
    }
  }
  return "auto";
}

PatternId StepBuilder::Add(const CollectiveCost& cost, int transfer) {
  StepTransfer& info = out_->transfers[Index(transfer)];
  if (cost.algorithm != nullptr) info.algorithm = std::string(cost.algorithm->name());
  info.sent_bytes_per_device = cost.sent_per_device.value();
  std::vector<Phase> phases;
  for (const CostPhase& phase : cost.phases) {
    Phase& p = phases.emplace_back();
    p.latency = phase.latency;
    p.weight = phase.weight;
    for (const LinkDemand& d : phase.demands) p.demands.push_back({d.link, d.bytes});
  }
  return out_->graph.AddPattern(std::move(phases));
}

StatusOr<PatternId> StepBuilder::Pattern(int stage, int transfer, DeviceId device) {
  const auto [it, added] = patterns_.try_emplace({transfer, unfolded_ ? device : stage, -1}, -1);
  if (!added) return it->second;
  const TransferSpec& spec = transfers_[transfer];
  ASSIGN_OR_RETURN(const CollectiveCost cost, model_.Cost(spec.collective, Bytes(spec.bytes),
                                                          spec.axes, device, Algorithm(spec)));
  it->second = Add(cost, transfer);
  return it->second;
}

StatusOr<PatternId> StepBuilder::SendPattern(int transfer, DeviceId from, DeviceId to) {
  const auto [it, added] = patterns_.try_emplace({transfer, from, to}, -1);
  if (!added) return it->second;
  it->second = Add(model_.PointToPoint(Bytes(transfers_[transfer].bytes), from, to), transfer);
  return it->second;
}

StatusOr<UnitTasks> StepBuilder::AddTransfer(const Where& where, const std::string* name,
                                             int transfer,
                                             std::span<const UnitTasks* const> after) {
  const TransferSpec& spec = transfers_[transfer];
  if (stream_name_.size() <= Index(transfer)) stream_name_.resize(Index(transfer) + 1);
  std::string& stream = stream_name_[Index(transfer)];
  if (stream.empty()) {
    stream = absl::StrCat(std::string(NameOf(spec.role)), " over");
    for (const AxisId axis : spec.axes) absl::StrAppend(&stream, " ", plan_.axes[Index(axis)].name);
  }
  const std::vector<int>& units = stage_units_[Index(where.stage)];
  UnitTasks tasks(units.size(), -1);
  for (const GroupOfUnits& group : Groups(where.stage, spec.axes)) {
    scratch_.clear();
    scratch_streams_.clear();
    for (const int u : group.members) {
      scratch_streams_.push_back(Stream(units[Index(u)], stream));
      for (const UnitTasks* list : after) {
        if ((*list)[Index(u)] >= 0) scratch_.push_back((*list)[Index(u)]);
      }
    }
    ASSIGN_OR_RETURN(const PatternId pattern,
                     Pattern(where.stage, transfer,
                             out_->units[Index(units[Index(group.members.front())])].device));
    const TaskId task = out_->graph.AddTransfer(scratch_streams_, pattern, scratch_);
    Record(where, TaskKind::kTransfer, name, transfer);
    for (const int u : group.members) tasks[Index(u)] = task;
  }
  return tasks;
}

StatusOr<UnitTasks> StepBuilder::AddSend(const Where& where, int to, const std::string* name,
                                         int transfer, const char* direction,
                                         const UnitTasks& after) {
  const std::vector<int>& from_units = stage_units_[Index(where.stage)];
  const std::vector<int>& to_units = stage_units_[Index(to)];
  UnitTasks tasks(to_units.size(), -1);
  for (std::size_t u = 0; u < from_units.size(); ++u) {
    const int sender = from_units[u];
    const DeviceId device = out_->units[Index(sender)].device;
    // Units of a stage are in device order, so counterparts share a position when unfolded; folded
    // there is one.
    const int receiver = to_units[u];
    std::vector<int> coordinates;
    for (AxisId a = 0; a < static_cast<AxisId>(mesh_.axes().size()); ++a) {
      coordinates.push_back(a == plan_.pipeline ? to : mesh_.Coordinate(device, a));
    }
    const DeviceId target = mesh_.Device(coordinates);
    CHECK_EQ(target, out_->units[Index(receiver)].device);
    ASSIGN_OR_RETURN(const PatternId pattern, SendPattern(transfer, device, target));
    const StreamId members[] = {
        Stream(sender, absl::StrCat(direction, " send to stage ", to)),
        Stream(receiver, absl::StrCat(direction, " receive from stage ", where.stage))};
    scratch_.clear();
    if (after[u] >= 0) scratch_.push_back(after[u]);
    tasks[u] = out_->graph.AddTransfer(members, pattern, scratch_);
    Record(where, TaskKind::kTransfer, name, transfer);
  }
  return tasks;
}

}  // namespace meshstep
