// Hierarchical: inside the node first, then along the rails (NICs of equal index).
// Dims are taken as stages: each switch, full mesh or network tier is one, and all torus dims of a
// slice are one. An all-gather runs the stages from the outermost to the innermost, so that the
// slow outer links carry each byte once per node:
//   stage i gathers V_i = S / (ranks below stage i) by the pattern natural to it;
//   T = sum_i (latency_i + drain_i(V_i)).
// An all-to-all over k nodes of g first brings everything to the right place in the node, then to
// the right node, both in a pipeline:
//   T = alpha_in + alpha_out + max(S (g - 1) / (g B_in), S (k - 1) / (k b)).
// Source: NCCL's PXN and DeepEP's dispatch; "How To Scale Your Model", chapter "GPUs" (all-reduce
// across nodes).
// Example: 2 nodes of 8 H100, all-gather of 1 GB: the NICs carry 62.5 MB each, NVLink 875 MB.

#include <algorithm>

#include "sim/cost/collective_registry.h"
#include "sim/cost/dim_gather.h"
#include "sim/cost/gather_algorithm.h"
#include "sim/cost/torus_gather.h"

namespace meshstep::collectives {
namespace {

// Dims [first, first + count): a run of torus dims or one other dim.
struct Stage {
  int first, count;
  double inside;  // ranks below
};

// Innermost first.
std::vector<Stage> StagesOf(const Group& group) {
  std::vector<Stage> stages;
  double inside = 1;
  for (std::size_t d = 0; d < group.dims.size(); ++d) {
    const Level::Kind kind = group.dims[d].kind;
    if (d > 0 && kind == Level::Kind::kTorus && group.dims[d - 1].kind == kind) {
      ++stages.back().count;
    } else {
      stages.push_back({static_cast<int>(d), 1, inside});
    }
    inside *= group.dims[d].size;
  }
  return stages;
}

const Group::Dim& DimOf(const Group& group, const Stage& stage) {
  return group.dims[static_cast<std::size_t>(stage.first)];
}

bool IsNodesOnNetwork(const Group& group) {
  if (group.dims.size() < 2) return false;
  const Level::Kind inner = group.dims.front().kind;
  if (inner != Level::Kind::kSwitch && inner != Level::Kind::kFullMesh) return false;
  return std::all_of(group.dims.begin() + 1, group.dims.end(),
                     [](const Group::Dim& dim) { return dim.kind == Level::Kind::kNetwork; });
}

Seconds AllToAllLatency(const Group& group) {
  Seconds network;
  for (std::size_t d = 1; d < group.dims.size(); ++d) {
    network = std::max(network, group.dims[d].latency);
  }
  return group.dims.front().latency + network;
}

TrafficPhase AllToAllTraffic(Bytes bytes, const Group& group) {
  const int g = group.dims.front().size, k = group.size() / g;
  TrafficPhase phase{AllToAllLatency(group), {}};
  phase.shifted = true;
  for (int i = 1; i < g; ++i) phase.flows.push_back({0, i, bytes / g});
  for (int n = 1; n < k; ++n) phase.flows.push_back({0, n * g, bytes / k});
  return phase;
}

MessageSchedule AllToAllMessages(const Group& group) {
  const int p = group.size(), g = group.dims.front().size, k = p / g;
  MessageSchedule schedule;
  for (int src = 0; src < p; ++src) {
    for (int i = 1; i < g; ++i) {
      const int local = (src + i) % g;
      Message m{0, src, src / g * g + local, {}, false};
      for (int n = 0; n < k; ++n) m.chunks.push_back(src * p + n * g + local);
      schedule.messages.push_back(std::move(m));
    }
  }
  for (int via = 0; via < p; ++via) {
    for (int n = 1; n < k; ++n) {
      const int dst = (via + n * g) % p;
      Message m{1, via, dst, {}, false};
      for (int i = 0; i < g; ++i) m.chunks.push_back((via / g * g + i) * p + dst);
      schedule.messages.push_back(std::move(m));
    }
  }
  return schedule;
}

Seconds AllToAllClosedForm(Bytes bytes, const Group& group) {
  const Group::Dim& node = group.dims.front();
  Seconds drain = GatherDrain(node, NaturalPattern(node), bytes);
  double inside = 1;
  for (const Group::Dim& dim : group.dims) {
    if (dim.kind == Level::Kind::kNetwork) {
      drain = std::max(drain, bytes * (group.size() - inside) / group.size() / dim.bandwidth);
    }
    inside *= dim.size;
  }
  return AllToAllLatency(group) + drain;
}

class HierarchicalAlgorithm final : public GatherAlgorithm {
 public:
  std::string_view name() const override { return "hierarchical"; }
  bool JoinsCopies() const override { return true; }

  bool Supports(Collective collective, const Group& group) const override {
    if (collective == Collective::kAllToAll) return IsNodesOnNetwork(group);
    return GatherAlgorithm::Supports(collective, group);
  }
  std::vector<TrafficPhase> Traffic(Collective collective, Bytes bytes,
                                    const Group& group) const override {
    if (collective == Collective::kAllToAll) return {AllToAllTraffic(bytes, group)};
    return GatherAlgorithm::Traffic(collective, bytes, group);
  }
  MessageSchedule Messages(Collective collective, const Group& group) const override {
    if (collective == Collective::kAllToAll) return AllToAllMessages(group);
    return GatherAlgorithm::Messages(collective, group);
  }
  Seconds ClosedForm(Collective collective, Bytes bytes, const Group& group) const override {
    if (collective == Collective::kAllToAll) return AllToAllClosedForm(bytes, group);
    return GatherAlgorithm::ClosedForm(collective, bytes, group);
  }

 protected:
  bool SupportsGather(const Group& group) const override { return StagesOf(group).size() > 1; }

  std::vector<TrafficPhase> GatherTraffic(Bytes bytes, const Group& group) const override {
    const RankGrid grid(group);
    std::vector<TrafficPhase> phases;
    for (const Stage& stage : StagesOf(group)) {
      const Group::Dim& dim = DimOf(group, stage);
      const Bytes v = bytes / stage.inside;
      TrafficPhase phase;
      if (stage.count > 1) {
        const TorusGather torus(group, stage.first, stage.count);
        phase.latency = torus.Latency();
        torus.AppendFlows(grid, v, &phase.flows);
      } else {
        phase.latency = GatherLatency(dim, NaturalPattern(dim));
        AppendGatherFlows(grid, stage.first, NaturalPattern(dim), v, &phase.flows);
      }
      phases.push_back(std::move(phase));
    }
    std::reverse(phases.begin(), phases.end());
    return phases;
  }

  MessageSchedule GatherMessages(const Group& group) const override {
    const RankGrid grid(group);
    std::vector<Stage> stages = StagesOf(group);
    MessageSchedule schedule = EmptySchedule(group, stages);
    std::vector<bool> gathered(group.dims.size(), false);
    int step = 0;
    std::reverse(stages.begin(), stages.end());
    for (const Stage& stage : stages) {
      if (stage.count > 1) {
        const TorusGather torus(group, stage.first, stage.count);
        torus.AppendMessages(grid, gathered, step, &schedule);
        step += torus.Steps();
      } else {
        const GatherPattern pattern = NaturalPattern(DimOf(group, stage));
        AppendGatherMessages(grid, {stage.first, pattern, gathered, 0, schedule.splits, step},
                             &schedule);
        step += GatherSteps(DimOf(group, stage), pattern);
      }
      for (int d = stage.first; d < stage.first + stage.count; ++d) {
        gathered[static_cast<std::size_t>(d)] = true;
      }
    }
    return schedule;
  }

  Seconds GatherClosedForm(Bytes bytes, const Group& group) const override {
    Seconds total;
    for (const Stage& stage : StagesOf(group)) {
      const Group::Dim& dim = DimOf(group, stage);
      const Bytes v = bytes / stage.inside;
      // Bandwidth of a tier is a device's share; links of a chip are shared by its dies.
      const double sharing = dim.kind == Level::Kind::kNetwork ? 1 : stage.inside;
      if (stage.count > 1) {
        const TorusGather torus(group, stage.first, stage.count);
        total += torus.Latency() + torus.Drain(v) * sharing;
      } else {
        const GatherPattern pattern = NaturalPattern(dim);
        total += GatherLatency(dim, pattern) + GatherDrain(dim, pattern, v) * sharing;
      }
    }
    return total;
  }

 private:
  static MessageSchedule EmptySchedule(const Group& group, const std::vector<Stage>& stages) {
    MessageSchedule schedule;
    for (const Stage& stage : stages) {
      if (stage.count > 1) {
        const TorusGather torus(group, stage.first, stage.count);
        schedule.splits = torus.pieces();
        schedule.fractions = torus.PieceFractions();
      } else if (NaturalPattern(DimOf(group, stage)) == GatherPattern::kBidirectional) {
        schedule.splits = 2;
      }
    }
    return schedule;
  }
};

}  // namespace

const CollectiveAlgorithm& Hierarchical() {
  static const HierarchicalAlgorithm algorithm;
  return algorithm;
}

}  // namespace meshstep::collectives
