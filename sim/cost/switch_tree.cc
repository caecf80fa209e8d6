#include "sim/cost/switch_tree.h"

#include <algorithm>

#include "sim/cost/unit_load.h"

namespace meshstep {
namespace {

const Group::Dim* NodeDim(const Group& group) {
  const Group::Dim& first = group.dims.front();
  return first.kind == Level::Kind::kNetwork ? nullptr : &first;
}

// In and out of the node, up and down the slowest network level.
Seconds Latency(const Group& group) {
  const Group::Dim* node = NodeDim(group);
  Seconds network;
  for (const Group::Dim& dim : group.dims) {
    if (dim.kind == Level::Kind::kNetwork) network = std::max(network, dim.latency);
  }
  return 2.0 * ((node == nullptr ? Seconds(0) : node->latency) + network);
}

// Chunks of the part that chip `local` of a node owns.
std::vector<int> PartOf(int local, int p, int g) {
  std::vector<int> chunks;
  for (int chunk = local; chunk < p; chunk += g) chunks.push_back(chunk);
  return chunks;
}

void AppendInside(int p, int g, int step, bool reduce, InsideNode inside,
                  MessageSchedule* schedule) {
  const bool joint = inside == InsideNode::kSwitch;
  const Combine combine = !joint ? Combine::kNone : reduce ? Combine::kReduce : Combine::kMulticast;
  for (int owner = 0; owner < p; ++owner) {
    for (int i = 1; i < g; ++i) {
      const int other = owner / g * g + (owner + i) % g;
      schedule->messages.push_back({step, reduce ? other : owner, reduce ? owner : other,
                                    PartOf(owner % g, p, g), reduce, combine});
    }
  }
}

}  // namespace

bool SwitchTree::Supports(Collective collective, const Group& group) const {
  if (collective != Collective::kAllReduce || group.dims.empty()) return false;
  const Group::Dim* node = NodeDim(group);
  if (inside_ == InsideNode::kSwitch && (node == nullptr || !node->in_network_reduction)) {
    return false;
  }
  const auto first = group.dims.begin() + (node == nullptr ? 0 : 1);
  return first != group.dims.end() &&
         std::all_of(first, group.dims.end(), [](const Group::Dim& dim) {
           return dim.kind == Level::Kind::kNetwork && dim.in_network_reduction;
         });
}

std::vector<TrafficPhase> SwitchTree::Traffic(Collective, Bytes bytes, const Group& group) const {
  const int p = group.size(), g = RanksPerNode(group);
  const Bytes part = bytes / g;
  const bool joint = inside_ == InsideNode::kSwitch;
  TrafficPhase phase{Latency(group), {}};
  for (int owner = 0; owner < p; ++owner) {
    for (int i = 1; i < g; ++i) {
      const int other = owner / g * g + (owner + i) % g;
      phase.flows.push_back({other, owner, part, joint ? Combine::kReduce : Combine::kNone});
      phase.flows.push_back({owner, other, part, joint ? Combine::kMulticast : Combine::kNone});
    }
    if (owner < g) continue;
    phase.flows.push_back({owner, owner % g, part, Combine::kReduce});
    phase.flows.push_back({owner % g, owner, part, Combine::kMulticast});
  }
  return {phase};
}

MessageSchedule SwitchTree::Messages(Collective, const Group& group) const {
  const int p = group.size(), g = RanksPerNode(group);
  MessageSchedule schedule;
  AppendInside(p, g, 0, true, inside_, &schedule);
  for (const bool reduce : {true, false}) {
    for (int rank = g; rank < p; ++rank) {
      const int root = rank % g;
      schedule.messages.push_back({reduce ? 1 : 2, reduce ? rank : root, reduce ? root : rank,
                                   PartOf(root, p, g), reduce,
                                   reduce ? Combine::kReduce : Combine::kMulticast});
    }
  }
  AppendInside(p, g, 3, false, inside_, &schedule);
  return schedule;
}

Seconds SwitchTree::ClosedForm(Collective, Bytes bytes, const Group& group) const {
  const double g = RanksPerNode(group);
  Seconds drain;
  if (const Group::Dim* node = NodeDim(group)) {
    const double times = inside_ == InsideNode::kSwitch ? 1 : 2 * (g - 1) / g;
    drain = bytes * times / node->bandwidth;
  }
  double nodes = 1;  // below this level
  for (const Group::Dim& dim : group.dims) {
    if (dim.kind != Level::Kind::kNetwork) continue;
    drain = std::max(drain, bytes / (g * nodes * dim.bandwidth));
    nodes *= dim.size;
  }
  return Latency(group) + drain;
}

}  // namespace meshstep
