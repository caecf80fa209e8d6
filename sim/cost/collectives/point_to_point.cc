// Point to point: rank i sends its buffer to rank i + 1, the last to the first. alpha + S / B over
// one hop; on a line without wraparound the last rank's message goes all the way back. Ring
// attention hands on keys and values so. Example: 2 stages on one NIC each of 50 GB/s, 16 MB: alpha
// + 320 us.

#include <algorithm>

#include "sim/base/check.h"
#include "sim/cost/collective_registry.h"
#include "sim/cost/dim_gather.h"

namespace meshstep::collectives {
namespace {

class PointToPointAlgorithm final : public CollectiveAlgorithm {
 public:
  std::string_view name() const override { return "point-to-point"; }
  bool Supports(Collective collective, const Group& group) const override {
    return collective == Collective::kPermute && group.size() > 1;
  }
  std::vector<TrafficPhase> Traffic(Collective, Bytes bytes, const Group& group) const override {
    TrafficPhase phase{Latency(group), {}};
    phase.uneven = !group.ShiftsEvenly();
    for (int rank = 0; rank < group.size(); ++rank) {
      phase.flows.push_back({rank, (rank + 1) % group.size(), bytes});
    }
    return {phase};
  }
  MessageSchedule Messages(Collective, const Group& group) const override {
    MessageSchedule schedule;
    for (int rank = 0; rank < group.size(); ++rank) {
      schedule.messages.push_back({0, rank, (rank + 1) % group.size(), {rank}, false});
    }
    return schedule;
  }
  Seconds ClosedForm(Collective, Bytes bytes, const Group& group) const override {
    BytesPerSecond slowest = LinkBandwidth(group.dims.front());
    for (const Group::Dim& dim : group.dims) slowest = std::min(slowest, LinkBandwidth(dim));
    return Latency(group) + bytes / slowest;
  }

 private:
  // The longest way from a rank to the next: a carry into dim d goes back along the torus dims
  // below it (one hop if they close), and the last rank's message along all of them.
  static Seconds Latency(const Group& group) {
    Seconds longest, back;
    for (const Group::Dim& dim : group.dims) {
      if (dim.kind == Level::Kind::kTorus) {
        longest = std::max(longest, back + dim.latency);
        back += (dim.ring ? 1 : dim.size - 1) * dim.latency;
      } else {
        longest = std::max(longest, dim.latency);
      }
    }
    return std::max(longest, back);
  }
};

}  // namespace

const CollectiveAlgorithm& PointToPoint() {
  static const PointToPointAlgorithm algorithm;
  return algorithm;
}

}  // namespace meshstep::collectives
