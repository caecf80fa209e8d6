#include "sim/cost/unit_load.h"

#include <algorithm>
#include <utility>

namespace meshstep {
namespace {

// Both lists ascend.
std::vector<LinkDemand> Sum(const std::vector<LinkDemand>& a, double times_a,
                            const std::vector<LinkDemand>& b, double times_b) {
  std::vector<LinkDemand> sum;
  sum.reserve(a.size() + b.size());
  auto i = a.begin();
  auto j = b.begin();
  while (i != a.end() || j != b.end()) {
    if (j == b.end() || (i != a.end() && i->link < j->link)) {
      sum.push_back({i->link, i->bytes * times_a});
      ++i;
    } else if (i == a.end() || j->link < i->link) {
      sum.push_back({j->link, j->bytes * times_b});
      ++j;
    } else {
      sum.push_back({i->link, i->bytes * times_a + j->bytes * times_b});
      ++i;
      ++j;
    }
  }
  return sum;
}

}  // namespace

int RanksPerNode(const Group& group) {
  int ranks = 1;
  for (const Group::Dim& dim : group.dims) {
    if (dim.kind != Level::Kind::kNetwork) ranks *= dim.size;
  }
  return ranks;
}

UnitLoad UnitLoadOf(const CollectiveAlgorithm& algorithm, Collective collective, const Group& group,
                    const std::function<LinkLoad(const TrafficPhase&)>& load_of) {
  const int per_node = RanksPerNode(group);
  UnitLoad load;
  std::vector<Bytes> sent_inside(group.members.size()), sent_across = sent_inside;
  for (TrafficPhase& phase : algorithm.Traffic(collective, Bytes(1), group)) {
    TrafficPhase inside{phase.latency, {}, phase.shifted, phase.uneven}, across = inside;
    for (const RankFlow& flow : phase.flows) {
      const bool stays = flow.src / per_node == flow.dst / per_node;
      (stays ? sent_inside : sent_across)[static_cast<std::size_t>(flow.src)] += flow.bytes;
      (stays ? inside : across).flows.push_back(flow);
    }
    UnitPhase unit;
    if (!inside.flows.empty()) unit.inside = load_of(inside);
    if (!across.flows.empty()) unit.across = load_of(across);
    load.phases.push_back(std::move(unit));
  }
  for (std::size_t rank = 0; rank < sent_inside.size(); ++rank) {
    if (sent_inside[rank] + sent_across[rank] <= load.sent_inside + load.sent_across) continue;
    load.sent_inside = sent_inside[rank];
    load.sent_across = sent_across[rank];
  }
  return load;
}

CollectiveCost Scaled(const UnitLoad& load, Bytes bytes, double inside, double across,
                      Seconds latency) {
  CollectiveCost cost;
  const double in = bytes.value() * inside, out = bytes.value() * across;  // of the unit byte
  for (const UnitPhase& phase : load.phases) {
    cost.phases.push_back({Time::RoundUp(latency / static_cast<double>(load.phases.size())),
                           Sum(phase.inside.demands, in, phase.across.demands, out),
                           std::max(phase.inside.weight * in, phase.across.weight * out)});
  }
  return cost;
}

}  // namespace meshstep
