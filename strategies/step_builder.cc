#include "strategies/step_builder.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace meshstep {
namespace {

constexpr char kHostStream[] = "host";

}  // namespace

StepBuilder::StepBuilder(const Plan& plan, const Mesh& mesh, const LinkClasses& classes,
                         const CollectiveModel& model, const CollectiveModel* explicit_model,
                         const TransferTable& transfers, std::int32_t taken, double slowest,
                         BytesPerSecond host, StepGraph* out)
    : plan_(plan),
      mesh_(mesh),
      classes_(classes),
      model_(model),
      explicit_model_(explicit_model),
      unfolded_(explicit_model != nullptr),
      transfers_(transfers),
      taken_(taken),
      slowest_(slowest),
      host_(host),
      out_(out),
      stage_units_(Index(plan.stages)) {
  const Fabric& fabric = mesh.fabric();
  if (unfolded_) {
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
  std::vector<DeviceId> devices;
  std::vector<int> coordinates(mesh.axes().size(), 0);
  ListUnits(0, &coordinates, &devices);
  std::sort(devices.begin(), devices.end());
  for (const DeviceId d : devices) {
    const int unit = static_cast<int>(out->units.size());
    const int stage = plan.pipeline < 0 ? 0 : mesh.Coordinate(d, plan.pipeline);
    unit_of_[KeyOf(d)] = {unit, static_cast<int>(stage_units_[Index(stage)].size())};
    stage_units_[Index(stage)].push_back(unit);
    out->units.push_back({stage, d, fabric.devices() / static_cast<std::int64_t>(devices.size())});
    out->compute_stream.push_back(Stream(unit, "compute"));
  }
}

// One device of every class: each axis runs through the coordinates that make devices differ.
void StepBuilder::ListUnits(AxisId axis, std::vector<int>* coordinates,
                            std::vector<DeviceId>* devices) const {
  if (Index(axis) == mesh_.axes().size()) {
    devices->push_back(mesh_.Device(*coordinates));
    return;
  }
  const bool every = unfolded_ || IsDistinguished(axis);
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

bool StepBuilder::IsDistinguished(AxisId axis) const {
  const std::vector<AxisId>& axes = classes_.distinguished();
  return std::find(axes.begin(), axes.end(), axis) != axes.end();
}

// Folded: what tells device classes apart. Unfolded: the device.
std::vector<int> StepBuilder::KeyOf(DeviceId device) const {
  return unfolded_ ? std::vector<int>{device} : classes_.DeviceKey(device);
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
    // The host is no part of the processor.
    out_->graph.AddStream(name == kHostStream ? kNoProcessor : unit);
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
  if (slowest_ > 1 && flops > Flops()) {
    duration = Time::RoundUp(Seconds(duration.seconds() * slowest_));
  }
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

UnitTasks StepBuilder::AddHost(const Where& where, const std::string* name, Time duration,
                               std::span<const UnitTasks* const> after) {
  const std::vector<int>& units = stage_units_[Index(where.stage)];
  UnitTasks tasks;
  for (std::size_t u = 0; u < units.size(); ++u) {
    scratch_.clear();
    for (const UnitTasks* list : after) {
      if ((*list)[u] >= 0) scratch_.push_back((*list)[u]);
    }
    tasks.push_back(out_->graph.AddTimed(Stream(units[u], kHostStream), duration, scratch_));
    Record(where, TaskKind::kHost, name, -1);
  }
  return tasks;
}

const std::vector<StepBuilder::GroupOfUnits>& StepBuilder::Groups(int stage,
                                                                  const std::vector<AxisId>& axes) {
  const auto [it, added] = groups_.try_emplace({stage, axes});
  if (!added) return it->second;
  // Units that agree on everything the axes do not cover are one group.
  const std::vector<int>& units = stage_units_[Index(stage)];
  std::map<std::vector<int>, std::size_t> index;
  for (std::size_t u = 0; u < units.size(); ++u) {
    std::vector<int> key;
    for (AxisId a = 0; a < static_cast<AxisId>(mesh_.axes().size()); ++a) {
      if (std::find(axes.begin(), axes.end(), a) != axes.end()) continue;
      int coordinate = mesh_.Coordinate(out_->units[Index(units[u])].device, a);
      for (const AxisPart& part : mesh_.axes()[Index(a)].parts) {
        if (unfolded_ || IsDistinguished(a) || classes_.IsDistinguished(part.level)) {
          key.push_back(coordinate % part.size);
        }
        coordinate /= part.size;
      }
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
    const std::vector<std::string> axes = AxisNames(plan_, spec.axes, spec.experts);
    const bool everywhere = choice.axis.empty();
    if (everywhere || std::find(axes.begin(), axes.end(), choice.axis) != axes.end()) {
      return choice.algorithm;
    }
  }
  // What is handed on along a ring beside kernels goes by the library's messages, where ranks have
  // a switch in common.
  constexpr char kMessages[] = "send-recv";
  const bool ring = spec.collective == Collective::kPermute && spec.role == Role::kActivations;
  return ring && FindAlgorithm(kMessages)->Supports(spec.collective, mesh_.GroupOf(spec.axes, 0))
             ? kMessages
             : "auto";
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
  // Point-to-point copies are small; their engines are not counted.
  return out_->graph.AddPattern(std::move(phases), cost.algorithm != nullptr ? taken_ : 0);
}

// A copy engine moves the bytes; nothing else uses the link in that direction.
PatternId StepBuilder::HostPattern(int transfer) {
  const Bytes bytes(transfers_[transfer].bytes);
  StepTransfer& info = out_->transfers[Index(transfer)];
  info.algorithm = "copy";
  info.sent_bytes_per_device = bytes.value();
  Phase phase;
  phase.latency = Time::RoundUp(bytes / host_);
  return out_->graph.AddPattern({phase}, 0);
}

StatusOr<PatternId> StepBuilder::Pattern(int transfer, DeviceId device) {
  const auto [it, added] = patterns_.try_emplace({transfer, device, -1}, -1);
  if (!added) return it->second;
  const TransferSpec& spec = transfers_[transfer];
  if (spec.role == Role::kToHost || spec.role == Role::kFromHost) {
    it->second = HostPattern(transfer);
    return it->second;
  }
  const StatusOr<CollectiveCost> priced = model_.Cost(spec.collective, Bytes(spec.bytes), spec.axes,
                                                      device, Algorithm(spec), spec.copies);
  if (!priced.ok()) {
    return InvalidInput("plan.collectives: " + std::string(priced.status().message()));
  }
  const CollectiveCost& cost = *priced;
  if (!unfolded_ || cost.algorithm == nullptr) {
    it->second = Add(cost, transfer);
    return it->second;
  }
  // The same algorithm as folded, where the choice knows of all groups that share links.
  ASSIGN_OR_RETURN(const CollectiveCost one,
                   explicit_model_->Cost(spec.collective, Bytes(spec.bytes), spec.axes, device,
                                         cost.algorithm->name(), spec.copies));
  it->second = Add(one, transfer);
  return it->second;
}

StatusOr<PatternId> StepBuilder::SendPattern(int transfer, DeviceId from, DeviceId to) {
  const auto [it, added] = patterns_.try_emplace({transfer, from, to}, -1);
  if (!added) return it->second;
  const CollectiveModel& model = unfolded_ ? *explicit_model_ : model_;
  it->second = Add(model.PointToPoint(Bytes(transfers_[transfer].bytes), plan_.pipeline, from, to),
                   transfer);
  return it->second;
}

StatusOr<UnitTasks> StepBuilder::AddTransfer(const Where& where, const std::string* name,
                                             int transfer,
                                             std::span<const UnitTasks* const> after) {
  const TransferSpec& spec = transfers_[transfer];
  if (stream_name_.size() <= Index(transfer)) stream_name_.resize(Index(transfer) + 1);
  std::string& stream = stream_name_[Index(transfer)];
  if (stream.empty()) {
    stream = absl::StrCat(std::string(NameOf(spec.role)), spec.axes.empty() ? "" : " over");
    for (const std::string& axis : out_->transfers[Index(transfer)].axes) {
      absl::StrAppend(&stream, " ", axis);
    }
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
    ASSIGN_OR_RETURN(
        const PatternId pattern,
        Pattern(transfer, out_->units[Index(units[Index(group.members.front())])].device));
    const TaskId task = out_->graph.AddTransfer(scratch_streams_, pattern, scratch_);
    Record(where, TaskKind::kTransfer, name, transfer);
    for (const int u : group.members) tasks[Index(u)] = task;
  }
  return tasks;
}

StatusOr<UnitTasks> StepBuilder::AddSend(const Where& where, int to, const std::string* name,
                                         int transfer, const char* direction,
                                         std::span<const UnitTasks* const> after) {
  const std::vector<int>& from_units = stage_units_[Index(where.stage)];
  const std::vector<int>& to_units = stage_units_[Index(to)];
  UnitTasks tasks(to_units.size(), -1);
  for (std::size_t u = 0; u < from_units.size(); ++u) {
    const int sender = from_units[u];
    const DeviceId device = out_->units[Index(sender)].device;
    std::vector<int> coordinates;
    coordinates.reserve(mesh_.axes().size());
    for (AxisId a = 0; a < static_cast<AxisId>(mesh_.axes().size()); ++a) {
      coordinates.push_back(a == plan_.pipeline ? to : mesh_.Coordinate(device, a));
    }
    const DeviceId target = mesh_.Device(coordinates);
    const auto [receiver, position] = unit_of_.at(KeyOf(target));
    CHECK_EQ(out_->units[Index(receiver)].stage, to);
    ASSIGN_OR_RETURN(const PatternId pattern, SendPattern(transfer, device, target));
    const StreamId members[] = {
        Stream(sender, absl::StrCat(direction, " send to stage ", to)),
        Stream(receiver, absl::StrCat(direction, " receive from stage ", where.stage))};
    scratch_.clear();
    for (const UnitTasks* list : after) {
      if ((*list)[u] >= 0) scratch_.push_back((*list)[u]);
    }
    tasks[Index(position)] = out_->graph.AddTransfer(members, pattern, scratch_);
    Record(where, TaskKind::kTransfer, name, transfer);
  }
  return tasks;
}

}  // namespace meshstep
