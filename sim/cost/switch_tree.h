// All-reduce by switches between nodes that add up (SHARP; NCCL's CollNet and NVLS across nodes).
//
// k nodes of g ranks, p = k g; rank n g + l is chip l of node n. In all nodes chip l owns the l-th
// of g parts of the vector S:
//   inside  every chip hands each part to its owner (by itself, or added up by the node's switch);
//   up      the owners of a part send it into the network, whose switches add up what meets there;
//   down    the sum comes back to every owner;
//   out     the owners hand it to their node (by themselves, or copied by the node's switch).
// All in one pipeline. Each NIC carries S / g each way, whatever k, and so does every uplink of the
// group's unit. As flows: chip l of node 0 is where part l is added up.
// Source: R. Graham et al., "Scalable Hierarchical Aggregation Protocol (SHArP)", COMHPC 2016;
// NVIDIA/nccl src/device/all_reduce.h (CollNetDirect, CollNetChain, NVLS).

#ifndef MESHSTEP_SIM_COST_SWITCH_TREE_H_
#define MESHSTEP_SIM_COST_SWITCH_TREE_H_

#include <string_view>
#include <vector>

#include "sim/cost/collective.h"

namespace meshstep {

// How the chips of a node exchange parts.
enum class InsideNode { kChips, kSwitch };

class SwitchTree final : public CollectiveAlgorithm {
 public:
  SwitchTree(std::string_view name, InsideNode inside) : name_(name), inside_(inside) {}

  std::string_view name() const override { return name_; }
  // Several nodes whose network adds up and, for kSwitch, whose own switch does.
  bool Supports(Collective collective, const Group& group) const override;
  std::vector<TrafficPhase> Traffic(Collective collective, Bytes bytes,
                                    const Group& group) const override;
  MessageSchedule Messages(Collective collective, const Group& group) const override;
  // 2 (alpha_in + alpha_net) + max(T_in, S / (g b)); T_in is 2 (g - 1) / g S / B by chips, S / B by
  // the switch, 0 for g = 1; alpha_in only where g > 1.
  Seconds ClosedForm(Collective collective, Bytes bytes, const Group& group) const override;

 private:
  std::string_view name_;
  InsideNode inside_;
};

}  // namespace meshstep

#endif  // MESHSTEP_SIM_COST_SWITCH_TREE_H_
