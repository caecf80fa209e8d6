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
// grows). Only the flows that share links, directly or through others, with one that came or went
// are solved again: O((their demands + links) log links). Flows whose rate does not change keep
// their completion time to the bit. Completions are a heap; an entry whose flow has since changed
// is recognised by its generation and skipped.
//
//   FlowNetwork network(capacities);
//   FlowNetwork::FlowId id = network.Add(demands, weight, now);
//   network.Update(now);
//   Time end = network.NextCompletion();
//   network.Drained(end, &drained);                 // {id}
//   network.Remove(id);
//
// Source: Bertsekas and Gallager, Data Networks, 2nd ed., section 6.5.2; the weighted form as in
// Casanova et al., JPDC 74(10), 2014 (SimGrid).

#ifndef MESHSTEP_SIM_ENGINE_FLOW_NETWORK_H_
#define MESHSTEP_SIM_ENGINE_FLOW_NETWORK_H_

#include <bit>
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

  // kAlone: every flow drains as if it were the only one; what sharing costs is the difference.
  enum class Sharing { kFair, kAlone };
  explicit FlowNetwork(std::span<const BytesPerSecond> capacities,
                       Sharing sharing = Sharing::kFair);

  // `demands` must outlive the flow, hold at least one entry, all above zero, and name no link
  // twice.
  FlowId Add(std::span<const FlowDemand> demands, double weight, Time now);
  void Remove(FlowId flow);

  // Solves for new rates if flows came or went. Call once after all changes of an instant.
  void Update(Time now);

  // When the first flow is drained at present rates; Time::Max() without flows. Call after Update.
  Time NextCompletion() const { return next_completion_; }
  // Appends the flows that are drained by `now`, by (completion time, id). Each is told once; the
  // caller removes it.
  void Drained(Time now, std::vector<FlowId>* flows);

  // Who uses each link, in order, and what is left of every flow (see recurrence.h). name(flow): two
  // numbers that stand for it. Call after Update.
  template <class Name>
  void AppendState(Time now, std::vector<std::int64_t>* numbers, Name name) const;

  std::size_t active() const { return active_; }
  // Fraction of the flow's work per second. For tests.
  double rate(FlowId flow) const { return flows_[static_cast<std::size_t>(flow)].rate; }
  std::int64_t solves() const { return solves_; }

 private:
  struct Flow {
    std::span<const FlowDemand> demands;
    double weight = 0;     // 0: removed
    double remaining = 1;  // fraction of the work left at `since`
    double rate = 0;       // fraction per second since then
    Time since, completion;
    std::uint32_t generation = 0;  // changes whenever `completion` does
  };
  struct Use {
    FlowId flow;
    double bytes;
  };
  struct Link {
    double capacity = 0;
    std::vector<Use> uses;  // by active flows, and by removed ones until the next solve
    // Valid during a solve.
    double left = 0;                 // capacity not yet given away
    double load = 0, full_load = 0;  // sum of d/w of unfixed flows, of all flows
    std::int32_t unfixed = 0;
    bool affected = false;
  };
  struct Completion {
    Time time;
    FlowId flow;
    std::uint32_t generation;
    bool operator>(const Completion& o) const {
      return time != o.time ? time > o.time : flow > o.flow;
    }
  };
  using LinkLevel = std::pair<double, std::int32_t>;  // phi at which a link fills, link

  double RateAlone(const Flow& flow) const;
  void Affect(std::int32_t link);
  void CollectAffected();
  void Solve();
  double FillLevel(const Link& link) const;
  double FillLevelAtLeast(double level, const Link& link) const;
  void Fix(FlowId id, double level);
  void Adopt(FlowId id, Time now);
  void SkipStaleCompletions();
  void DropStaleCompletions();

  const Sharing sharing_;
  std::vector<Link> links_;
  std::vector<Flow> flows_;
  std::vector<double> next_rate_;  // per flow; 0: affected and not fixed yet
  std::vector<FlowId> free_, removed_;
  std::vector<Completion> completions_;  // min-heap, with stale entries
  Time next_completion_ = Time::Max();
  std::size_t active_ = 0;
  std::int64_t solves_ = 0;

  // What the changes since the last solve reach. Kept between solves to avoid allocation.
  std::vector<std::int32_t> affected_links_;
  std::vector<FlowId> affected_flows_;
  std::vector<LinkLevel> heap_;
};

template <class Name>
void FlowNetwork::AppendState(Time now, std::vector<std::int64_t>* numbers, Name name) const {
  for (std::size_t l = 0; l < links_.size(); ++l) {
    for (const Use& use : links_[l].uses) {
      const Flow& flow = flows_[static_cast<std::size_t>(use.flow)];
      const auto [a, b] = name(use.flow);
      numbers->insert(numbers->end(), {static_cast<std::int64_t>(l), a, b});
      if (static_cast<std::size_t>(flow.demands.front().link) != l) continue;
      numbers->insert(numbers->end(), {std::bit_cast<std::int64_t>(flow.remaining),
                                       std::bit_cast<std::int64_t>(flow.rate),
                                       (flow.since - now).ps(), (flow.completion - now).ps()});
    }
  }
}

}  // namespace meshstep

#endif  // MESHSTEP_SIM_ENGINE_FLOW_NETWORK_H_
