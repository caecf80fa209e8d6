// Point to point by the library's own send and receive or a copy kernel, between ranks that one
// switch or full mesh joins: the messages of point-to-point, at the rate measured for them. Tables
// of the permute of a compiler (XLA) are far slower below 256 MB, so the two are told apart. What
// is handed on along a ring beside kernels (ring attention, userbuffers) goes so. Example: 4 MB to
// the next of 8 H100: 7.3 us + 4.2 MB / 362 GB/s = 19 us.

#include "sim/cost/collective_registry.h"

namespace meshstep::collectives {
namespace {

class SendRecvAlgorithm final : public CollectiveAlgorithm {
 public:
  std::string_view name() const override { return "send-recv"; }
  bool ByNameOnly() const override { return true; }
  bool Supports(Collective collective, const Group& group) const override {
    if (group.dims.size() != 1) return false;
    const Level::Kind kind = group.dims.front().kind;
    return PointToPoint().Supports(collective, group) &&
           (kind == Level::Kind::kSwitch || kind == Level::Kind::kFullMesh);
  }
  std::vector<TrafficPhase> Traffic(Collective collective, Bytes bytes,
                                    const Group& group) const override {
    return PointToPoint().Traffic(collective, bytes, group);
  }
  MessageSchedule Messages(Collective collective, const Group& group) const override {
    return PointToPoint().Messages(collective, group);
  }
  Seconds ClosedForm(Collective collective, Bytes bytes, const Group& group) const override {
    return PointToPoint().ClosedForm(collective, bytes, group);
  }
};

}  // namespace

const CollectiveAlgorithm& SendRecv() {
  static const SendRecvAlgorithm algorithm;
  return algorithm;
}

}  // namespace meshstep::collectives
