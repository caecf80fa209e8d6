#include "sim/cost/torus_overheads.h"

namespace meshstep {
namespace {

const TorusCollective* EntryFor(const std::vector<TorusCollective>& entries,
                                Collective collective) {
  const TorusCollective* any = nullptr;
  for (const TorusCollective& entry : entries) {
    if (entry.collective == NameOf(collective)) return &entry;
    if (entry.collective.empty() && any == nullptr) any = &entry;
  }
  return any;
}

}  // namespace

void AddTorusOverheads(const Fabric& fabric, const Group& group, Collective collective,
                       std::vector<TrafficPhase>* phases) {
  const auto level = static_cast<std::size_t>(group.dims.front().level);
  const TorusCollective* entry = EntryFor(fabric.levels()[level].torus, collective);
  if (entry == nullptr || phases->empty()) return;
  const bool crosses = group.dims.back().kind == Level::Kind::kNetwork;
  const int passes = collective == Collective::kAllReduce ? 2 : 1;
  const double axes = static_cast<double>(group.dims.size());
  const Seconds latency =
      entry->launch + passes * axes * entry->axis + (crosses ? entry->network_launch : Seconds(0));
  const int per_slice = crosses ? group.size() / group.dims.back().size : group.size();
  for (TrafficPhase& phase : *phases) {
    phase.latency += latency / static_cast<double>(phases->size());
    for (RankFlow& flow : phase.flows) {
      if (flow.src / per_slice == flow.dst / per_slice)
        flow.bytes = flow.bytes / entry->link_fraction;
    }
  }
}

Seconds SendOverhead(const Fabric& fabric, DeviceId src, DeviceId dst) {
  const int last = static_cast<int>(fabric.levels().size()) - 1;
  const Level& outermost = fabric.levels().back();
  const TorusCollective* entry = EntryFor(outermost.torus, Collective::kPermute);
  if (entry == nullptr) return Seconds(0);
  const bool crosses = outermost.kind == Level::Kind::kNetwork &&
                       fabric.Coordinate(src, last) != fabric.Coordinate(dst, last);
  return entry->launch + entry->axis + (crosses ? entry->network_launch : Seconds(0));
}

}  // namespace meshstep
