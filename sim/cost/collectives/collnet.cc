// Switches between nodes that add up (NCCL's CollNet), the chips of a node exchanging parts by
// themselves: 2 (alpha_in + alpha_net) + max(2 (g - 1) / g S / B, S / (g b)), by
// sim/cost/switch_tree.h. Example: 4 nodes of 8 A100, NICs of 25 GB/s, 1 GiB: S / 200 GB/s on the
// NICs, 7 / 4 S / 300 GB/s on NVLink, which binds: 6.26 ms.

#include "sim/cost/collective_registry.h"
#include "sim/cost/switch_tree.h"

namespace meshstep::collectives {

const CollectiveAlgorithm& CollNet() {
  static const SwitchTree algorithm("collnet", InsideNode::kChips);
  return algorithm;
}

}  // namespace meshstep::collectives
