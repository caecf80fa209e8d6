// Switches that add up, inside nodes and between them (NCCL's NVLS with SHARP):
// 2 (alpha_in + alpha_net) + max(S / B, S / (g b)), by sim/cost/switch_tree.h. Example: 4 nodes of 8
// H100, NICs of 50 GB/s, 1 GiB: S / 400 GB/s on the NICs, S / 450 GB/s on NVLink: 2.68 ms.

#include "sim/cost/collective_registry.h"
#include "sim/cost/switch_tree.h"

namespace meshstep::collectives {

const CollectiveAlgorithm& NvlsSharp() {
  static const SwitchTree algorithm("nvls-sharp", InsideNode::kSwitch);
  return algorithm;
}

}  // namespace meshstep::collectives
