// Fluid network with max-min fair rates.
//
// Problem. Links l have capacity C_l > 0 bytes/s. Flow f drains one unit of work; draining a
// fraction x of it moves x · d_fl bytes over each link l of its demand, all at one common rate
// rho_f (fraction/s). Each flow has a weight w_f in bytes; phi_f = w_f rho_f is what is shared
// fairly:
//   sum_f d_fl rho_f <= C_l for every l, and every f has a bottleneck: a link that is full and on
//   which no flow has a larger phi.
// For a message w_f is its size. For a collective phase it is what one group moves over its busiest
// link, so that a flow that stands for n symmetric groups on shared links (d_fl is then their sum)
// gets what the n would get as flows of their own.
//
// Method. Progressive filling: phi of all unfixed flows rises together; the first full link fixes
// its flows. A heap of links by the phi at which they fill is re-evaluated lazily (that phi only
// grows). O((demands + links) log links) per solve. Flows whose rate does not change keep their
// completion time to the bit.
//
// Source: Bertsekas and Gallager, Data Networks, 2nd ed., section 6.5.2; the weighted form as in
// Casanova et al., JPDC 74(10), 2014 (SimGrid).

#ifndef MESHSTEP_SIM_ENGINE_FLOW_NETWORK_H_
#define MESHSTEP_SIM_ENGINE_FLOW_NETWORK_H_

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "sim/base/units.h"

namespace meshstep {

// Bytes that a flow moves over one link while it drains completely.
struct FlowDemand {
  std::int32_t link;
  double bytes;
};

class FlowNetwork {
 public:
  using FlowId = std::int32_t;

  explicit FlowNetwork(std::span<const BytesPerSecond> capacities);

  // `demands` must outlive the flow, hold at least one entry and name no link twice.
  FlowId Add(std::span<const FlowDemand> demands, double weight, Time now);
  void Remove(FlowId flow);

  // Solves for new rates if flows came or went. Call once after all changes of an instant.
  void Update(Time now);

  // When the first flow is drained at present rates; Time::Max() without flows. Call after Update.
  Time NextCompletion() const { return next_completion_; }
  // Appends the flows whose completion time is `now`, by id.
  void Drained(Time now, std::vector<FlowId>* flows) const;

  std::size_t active() const { return active_.size(); }
  // Fraction of the flow's work per second. For tests.
  double rate(FlowId flow) const { return flows_[static_cast<std::size_t>(flow)].rate; }
  std::int64_t solves() const { return solves_; }

 private:
  struct Flow {
    std::span<const FlowDemand> demands;
    double weight = 0;
    double remaining = 1;  // fraction of the work left at `since`
    double rate = 0;       // fraction per second since then
    double next_rate = 0;
    Time since, completion;
  };
  using LinkLevel = std::pair<double, std::int32_t>;  // phi at which a link fills, link

  void Solve();
  void BuildLinkIndex();
  void Fix(Flow* flow, double level);
  void Adopt(Flow* flow, Time now);

  std::vector<double> capacity_;
  std::vector<Flow> flows_;
  std::vector<FlowId> free_, active_;  // active_ ascends
  Time next_completion_ = Time::Max();
  bool changed_ = false;
  std::int64_t solves_ = 0;

  // Scratch of Solve, kept to avoid allocation.
  std::vector<double> left_, load_;         // per link: capacity left; sum of d/w of unfixed flows
  std::vector<std::int32_t> touched_;       // links that active flows use
  std::vector<std::int32_t> begin_, fill_;  // CSR link -> active flows
  std::vector<FlowId> link_flows_;
  std::vector<LinkLevel> heap_;
};

}  // namespace meshstep

#endif  // MESHSTEP_SIM_ENGINE_FLOW_NETWORK_H_
