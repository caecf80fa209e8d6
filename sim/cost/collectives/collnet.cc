// Switches between nodes that add up (NCCL's CollNet), the chips of a node exchanging parts by
// themselves: 2 (alpha_in + alpha_net) + max(2 (g - 1) / g S / B, S / (g b)), by
// sim/cost/switch_tree.h. Example: 4 nodes of 8 A100, NICs of 25 GB/s, 1 GiB: S / 200 GB/s on the
// NICs, 7 / 4 S / 300 GB/s on NVLink, which binds: 6.26 ms.

#include "sim/cost/collective_registry.h"
#include "sim/cost/switch_tree.h"

namespace meshstep::collectives {
namespace {

class CollNetAlgorithm final : public CollectiveAlgorithm {
 public:
  std::string_view name() const override { return "collnet"; }
  bool Supports(Collective collective, const Group& group) const override {
    return SwitchTreeSupports(collective, group, InsideNode::kChips);
  }
  std::vector<TrafficPhase> Traffic(Collective, Bytes bytes, const Group& group) const override {
    return SwitchTreeTraffic(bytes, group, InsideNode::kChips);
  }
  MessageSchedule Messages(Collective, const Group& group) const override {
    return SwitchTreeMessages(group, InsideNode::kChips);
  }
  Seconds ClosedForm(Collective, Bytes bytes, const Group& group) const override {
    return SwitchTreeClosedForm(bytes, group, InsideNode::kChips);
  }
};

}  // namespace

const CollectiveAlgorithm& CollNet() {
  static const CollNetAlgorithm algorithm;
  return algorithm;
}

}  // namespace meshstep::collectives
