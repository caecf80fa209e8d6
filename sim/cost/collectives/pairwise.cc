// Pairwise all-to-all: in step s of p - 1 every rank r sends its block for r + s, one partner at a
// time, on a switch or network of p: (p - 1) alpha + S (p - 1) / (p B).
// Source: R. Thakur, R. Rabenseifner and W. Gropp, IJHPCA 19(1), 2005, section 4.3.
// Example: 8 H100 at 450 GB/s, 1 GiB per rank: 7 alpha + 2.09 ms.

#include "sim/cost/collective_registry.h"

namespace meshstep::collectives {
namespace {

class PairwiseAlgorithm final : public CollectiveAlgorithm {
 public:
  std::string_view name() const override { return "pairwise"; }

  bool Supports(Collective collective, const Group& group) const override {
    if (collective != Collective::kAllToAll || group.dims.size() != 1) return false;
    const Level::Kind kind = group.dims.front().kind;
    return kind == Level::Kind::kSwitch || kind == Level::Kind::kNetwork;
  }
  std::vector<TrafficPhase> Traffic(Collective, Bytes bytes, const Group& group) const override {
    const int p = group.size();
    TrafficPhase phase{(p - 1) * group.dims.front().latency, {}};
    phase.shifted = true;
    for (int s = 1; s < p; ++s) phase.flows.push_back({0, s, bytes / p});
    return {phase};
  }
  MessageSchedule Messages(Collective, const Group& group) const override {
    MessageSchedule schedule;
    const int p = group.size();
    for (int s = 1; s < p; ++s) {
      for (int src = 0; src < p; ++src) {
        const int dst = (src + s) % p;
        schedule.messages.push_back({s - 1, src, dst, {src * p + dst}, false});
      }
    }
    return schedule;
  }
  Seconds ClosedForm(Collective, Bytes bytes, const Group& group) const override {
    const double p = group.size();
    return (p - 1) * group.dims.front().latency +
           bytes * (p - 1) / p / group.dims.front().bandwidth;
  }
};

}  // namespace

const CollectiveAlgorithm& Pairwise() {
  static const PairwiseAlgorithm algorithm;
  return algorithm;
}

}  // namespace meshstep::collectives
