#include "sim/cost/measured_collectives.h"

#include <algorithm>
#include <vector>

#include "sim/cost/library/tuner.h"

namespace meshstep {

bool HoldsFor(const NetworkCalibration& entry, const Measured& what) {
  return entry.collective == NameOf(what.collective) && entry.dispatcher == NameOf(what.mover) &&
         entry.algorithm == (what.algorithm == "rail-ring" ? "ring" : what.algorithm);
}

std::span<const NetworkCalibration> MeasuredAcross(const Fabric& fabric, const Group& group,
                                                   const Measured& what) {
  if (group.dims.back().kind != Level::Kind::kNetwork) return {};
  const std::vector<NetworkCalibration>& entries =
      fabric.levels()[static_cast<std::size_t>(group.dims.back().level)].across;
  const bool any =
      std::any_of(entries.begin(), entries.end(),
                  [&](const NetworkCalibration& entry) { return HoldsFor(entry, what); });
  return any ? std::span<const NetworkCalibration>(entries) : std::span<const NetworkCalibration>();
}

const CollectiveCalibration* MeasuredOn(const Fabric& fabric, const Group& group,
                                        const Measured& what) {
  if (group.dims.size() != 1) return nullptr;
  const int level = group.dims.front().level;
  const CollectiveCalibration* found = nullptr;
  for (const CollectiveCalibration& entry :
       fabric.levels()[static_cast<std::size_t>(level)].measured) {
    const bool own = entry.dispatcher == NameOf(what.mover);
    if ((!own && !entry.dispatcher.empty()) || entry.collective != NameOf(what.collective) ||
        entry.algorithm != what.algorithm || !entry.Holds(group.size())) {
      continue;
    }
    if (found == nullptr || (own && found->dispatcher.empty())) found = &entry;
    if (found->dispatcher == NameOf(what.mover)) break;
  }
  return found;
}

Seconds MeasuredLatency(const Fabric& fabric, const CollectiveCalibration& measured,
                        const CollectiveAlgorithm& algorithm, const Group& group) {
  const Seconds latency = measured.Latency(group.size());
  const int edge =
      std::clamp(group.size(), measured.groups.front().ranks, measured.groups.back().ranks);
  const StatusOr<Collective> collective = ParseCollective(measured.collective);
  const CollectiveLibrary* library = fabric.library();
  if (edge == group.size() || library == nullptr || !collective.ok()) return latency;
  LibraryShape shape = ShapeOf(fabric, group);
  const auto least = [&](int ranks) {
    shape.ranks = ranks;
    Seconds best(0);
    for (const LibraryEntry& entry : EntriesOf(*library, shape, *collective, group)) {
      if (entry.runs != &algorithm) continue;
      if (!(best > Seconds(0)) || entry.latency < best) best = entry.latency;
    }
    return best;
  };
  const Seconds there = least(edge), here = least(group.size());
  return there > Seconds(0) && here > Seconds(0) ? latency * (here / there) : latency;
}

}  // namespace meshstep
