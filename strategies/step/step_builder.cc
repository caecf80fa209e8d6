#include "strategies/step/step_builder.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"

namespace meshstep {
namespace {

constexpr char kHostStream[] = "host";

}  // namespace

StepBuilder::StepBuilder(const StepUnits& units, const TransferTable& transfers,
                         const StepRates& rates, StepGraph* out)
    : step_units_(units),
      transfers_(transfers),
      rates_(rates),
      out_(out),
      stage_units_(units.stages()),
      position_(units.units().size(), 0),
      host_stream_(units.units().size(), -1),
      groups_(Index(transfers.size())) {
  for (const StepUnits::Link& link : units.links()) {
    out->graph.AddLink(link.capacity);
    out->links.push_back(link.info);
  }
  out->link_of_class = units.link_of_class();
  out->units = units.units();
  for (const std::vector<int>& stage : stage_units_) {
    int position = 0;
    std::int64_t devices = 0;
    for (const int unit : stage) {
      position_[Index(unit)] = position++;
      devices += out->units[Index(unit)].devices;
    }
    devices_.push_back(devices);
  }
  for (std::size_t u = 0; u < out->units.size(); ++u) {
    out->compute_stream.push_back(Stream(static_cast<int>(u), "compute"));
  }
}

void StepBuilder::Reserve(std::size_t tasks) {
  out_->graph.Reserve(tasks);
  out_->tasks.reserve(tasks);
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

StreamId StepBuilder::HostStream(int unit) {
  StreamId& stream = host_stream_[Index(unit)];
  if (stream < 0) stream = Stream(unit, kHostStream);
  return stream;
}

void StepBuilder::Record(const Where& where, TaskKind kind, const std::string* name, int transfer) {
  out_->tasks.push_back(
      {name, transfer, where.layer, where.micro_batch, kind, where.pass, Flops(), Bytes()});
}

Time StepBuilder::OnSlowest(Time duration, Flops flops) const {
  if (rates_.slowest_chip <= 1 || flops <= Flops()) return duration;
  return Time::RoundUp(Seconds(duration.seconds() * rates_.slowest_chip));
}

UnitTasks StepBuilder::AddCompute(const Where& where, TaskKind kind, const std::string* name,
                                  Time duration, std::span<const UnitTasks* const> after,
                                  Flops flops, Bytes hbm_bytes, bool slowed) {
  const std::vector<int>& units = stage_units_[Index(where.stage)];
  UnitTasks tasks(units.size());
  if (!slowed) duration = OnSlowest(duration, flops);
  out_->hardware_flops += static_cast<double>(DevicesOf(where.stage)) * flops;
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
  UnitTasks tasks(units.size());
  for (std::size_t u = 0; u < units.size(); ++u) {
    scratch_.clear();
    for (const UnitTasks* list : after) {
      if ((*list)[u] >= 0) scratch_.push_back((*list)[u]);
    }
    tasks[u] = out_->graph.AddTimed(HostStream(units[u]), duration, scratch_);
    Record(where, TaskKind::kHost, name, -1);
  }
  return tasks;
}

PatternId StepBuilder::Add(const CollectiveCost& cost, int transfer) {
  StepTransfer& info = out_->transfers[Index(transfer)];
  if (cost.algorithm != nullptr) info.algorithm = std::string(cost.algorithm->name());
  info.sent_bytes_per_device = cost.sent_per_device.value();
  std::vector<Phase> phases;
  for (const CostPhase& phase : cost.phases) {
    Phase& p = phases.emplace_back();
    p.latency = phase.latency;
    p.weight = phase.weight.value();
    for (const LinkDemand& d : phase.demands) p.demands.push_back({d.link, d.bytes.value()});
  }
  // As many compute units as the library's choice has channels, at most all; fewer over one NIC.
  const auto units = static_cast<std::int32_t>(
      std::lround(std::min(1e6, rates_.taken_by_collectives * cost.units)));
  return out_->graph.AddPattern(std::move(phases), cost.algorithm != nullptr ? units : 0);
}

// A copy engine moves the bytes; nothing else uses the link in that direction.
PatternId StepBuilder::HostPattern(int transfer) {
  const Bytes bytes = transfers_[transfer].bytes;
  StepTransfer& info = out_->transfers[Index(transfer)];
  info.algorithm = "copy";
  info.sent_bytes_per_device = bytes.value();
  Phase phase;
  phase.latency = Time::RoundUp(bytes / rates_.host_link);
  return out_->graph.AddPattern({phase}, 0);
}

// "activations over tensor"
std::string StepBuilder::StreamName(int transfer) const {
  const TransferSpec& spec = transfers_[transfer];
  std::string name = absl::StrCat(std::string(NameOf(spec.role)), spec.axes.empty() ? "" : " over");
  for (const std::string& axis : out_->transfers[Index(transfer)].axes) {
    absl::StrAppend(&name, " ", axis);
  }
  return name;
}

StatusOr<const std::vector<StepBuilder::Group>*> StepBuilder::Groups(int transfer, int stage) {
  std::vector<std::vector<Group>>& by_stage = groups_[Index(transfer)];
  by_stage.resize(stage_units_.size());
  std::vector<Group>& groups = by_stage[Index(stage)];
  if (!groups.empty()) return &groups;
  const Role role = transfers_[transfer].role;
  const bool host = role == Role::kToHost || role == Role::kFromHost;
  const std::string stream = StreamName(transfer);
  ASSIGN_OR_RETURN(const std::vector<UnitGroup> all, step_units_.Groups(transfer, stage));
  for (const UnitGroup& one : all) {
    Group& group = groups.emplace_back();
    for (const int unit : one.members) {
      group.members.push_back(position_[Index(unit)]);
      group.ends.push_back(position_[Index(unit)]);
      group.streams.push_back(Stream(unit, stream));
    }
    group.pattern = host ? HostPattern(transfer) : Add(one.cost, transfer);
  }
  return &groups;
}

UnitTasks StepBuilder::AddToGroups(const Where& where, const std::string* name, int transfer,
                                   const std::vector<Group>& groups, std::size_t units,
                                   std::span<const UnitTasks* const> after) {
  UnitTasks tasks(units, -1);
  for (const Group& group : groups) {
    scratch_.clear();
    for (const int u : group.members) {
      for (const UnitTasks* list : after) {
        if ((*list)[Index(u)] >= 0) scratch_.push_back((*list)[Index(u)]);
      }
    }
    const TaskId task = out_->graph.AddTransfer(group.streams, group.pattern, scratch_);
    Record(where, TaskKind::kTransfer, name, transfer);
    for (const int u : group.ends) tasks[Index(u)] = task;
  }
  return tasks;
}

StatusOr<UnitTasks> StepBuilder::AddTransfer(const Where& where, const std::string* name,
                                             int transfer,
                                             std::span<const UnitTasks* const> after) {
  ASSIGN_OR_RETURN(const std::vector<Group>* groups, Groups(transfer, where.stage));
  return AddToGroups(where, name, transfer, *groups, stage_units_[Index(where.stage)].size(),
                     after);
}

UnitTasks StepBuilder::AddSend(const Where& where, int to, const std::string* name, int transfer,
                               const char* direction, std::span<const UnitTasks* const> after) {
  const StageSend send{transfer, where.stage, to};
  std::vector<Group>& groups = sends_[{send, direction}];
  if (groups.empty()) {
    for (const UnitGroup& one : step_units_.Sends(send)) {
      const int sender = one.members[0], receiver = one.members[1];
      const auto [pattern, added] = send_patterns_.try_emplace({send, sender}, -1);
      if (added) pattern->second = Add(one.cost, transfer);
      groups.push_back(
          {{position_[Index(sender)]},
           {position_[Index(receiver)]},
           {Stream(sender, absl::StrCat(direction, " send to stage ", to)),
            Stream(receiver, absl::StrCat(direction, " receive from stage ", where.stage))},
           pattern->second});
    }
  }
  return AddToGroups(where, name, transfer, groups, stage_units_[Index(to)].size(), after);
}

}  // namespace meshstep
