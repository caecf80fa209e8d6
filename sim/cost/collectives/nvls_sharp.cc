// Switches that add up, inside nodes and between them (NCCL's NVLS with SHARP):
// 2 (alpha_in + alpha_net) + max(S / B, S / (g b)), by sim/cost/switch_tree.h. Example: 4 nodes of 8
// H100, NICs of 50 GB/s, 1 GiB: S / 400 GB/s on the NICs, S / 450 GB/s on NVLink: 2.68 ms.

#include "sim/cost/collective_registry.h"
#include "sim/cost/switch_tree.h"

namespace meshstep::collectives {
namespace {

class NvlsSharpAlgorithm final : public CollectiveAlgorithm {
 public:
  std::string_view name() const override { return "nvls-sharp"; }
  bool Supports(Collective collective, const Group& group) const override {
    return SwitchTreeSupports(collective, group, InsideNode::kSwitch);
  }
  std::vector<TrafficPhase> Traffic(Collective, Bytes bytes, const Group& group) const override {
    return SwitchTreeTraffic(bytes, group, InsideNode::kSwitch);
  }
  MessageSchedule Messages(Collective, const Group& group) const override {
    return SwitchTreeMessages(group, InsideNode::kSwitch);
  }
  Seconds ClosedForm(Collective, Bytes bytes, const Group& group) const override {
    return SwitchTreeClosedForm(bytes, group, InsideNode::kSwitch);
  }
};

}  // namespace

const CollectiveAlgorithm& NvlsSharp() {
  static const NvlsSharpAlgorithm algorithm;
  return algorithm;
}

}  // namespace meshstep::collectives
