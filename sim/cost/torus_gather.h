// All-gather over several dims of a torus at once, so that every link is busy.
//
// Problem. N chips in a box of d dims hold V/N bytes each; in the end every chip holds all V. One
// dim after another would leave the links of d - 1 dims idle. So the data is cut into d parts; part
// k goes through the dims in the rotated order k, k + 1, ..., k - 1, and in each dim by the gather
// natural to it (sim/cost/dim_gather.h): both ways around a ring, both ways along a line. Find the
// sizes of the parts that end soonest.
//
// Symbols: X_e ranks of dim e, N their product; B_e one link, one way; w_e links per rank and dim
// (2 on a ring, 1 on a line or a pair); f_k share of part k, sum of f_k = 1.
//   G_kj = product of 1/X over the dims after place j of order k: the share of the part that a rank
//          holds when it has been through that place
//   L_ek = G_kj (X_e - 1) / (X_e w_e B_e), j the place of e in order k: seconds per byte of V that
//          part k keeps the busiest link of dim e
// Linear program: minimise max_e sum_k L_ek f_k. An optimum lies at a vertex, where as many dims
// are equally the busiest as there are parts that are not empty; all are tried, C(2d, d) at most.
//
// Invariant: a part enters a dim only with what it gathered before, so that every chunk reaches
// every rank once. Parts move on independently, cut finely enough that no dim waits for another, so
// that loads add up over the whole run. Where all links can be kept equally busy the drain is the
// injection bound,
//   V (1 - 1/N) / sum_e w_e B_e,
// with parts of 1/d where dims are alike.
//
// A twisted torus taken whole is a lattice in which all links are alike (sim/cost/twisted_torus.h):
// parts of 1/d keep all six busy, though its short dims alone are lines.
//
// Complexity: C(2d, d) systems of at most d + 1 unknowns, d <= 6, once per group; O(N d) flows.
//
// Source: N. Jain and Y. Sabharwal, "Optimal bucket algorithms for large MPI collectives on torus
// interconnects", ICS 2010; "How To Scale Your Model", chapter Sharding.
// Example: rings of 8 and 16: parts of 97/210 (8 first) and 113/210 (16 first) drain V = 1 GB at 45
// GB/s in 1e9 (1 - 1/128) / (4 * 45e9) = 5.51 ms; with halves the 16 would take 6.3 % longer.

#ifndef MESHSTEP_SIM_COST_TORUS_GATHER_H_
#define MESHSTEP_SIM_COST_TORUS_GATHER_H_

#include <optional>
#include <vector>

#include "sim/cost/collective.h"
#include "sim/cost/rank_grid.h"
#include "sim/cost/twisted_torus.h"

namespace meshstep {

// The torus dims [first, first + count) of a group.
class TorusGather {
 public:
  TorusGather(const Group& group, int first, int count);

  // f_k, part k starting with dim first + k.
  const std::vector<double>& parts() const { return parts_; }
  Seconds Latency() const;
  // By the formula above; by the loads where links cannot be kept equally busy.
  Seconds Drain(Bytes v) const;
  void AppendFlows(const RankGrid& grid, Bytes v, std::vector<RankFlow>* flows) const;

  // Pieces of a chunk: two halves of each part.
  int pieces() const { return 2 * count_; }
  std::vector<double> PieceFractions() const;
  // Steps of the longest part.
  int Steps() const;
  void AppendMessages(const RankGrid& grid, const std::vector<bool>& gathered, int first_step,
                      MessageSchedule* schedule) const;

 private:
  const Group::Dim& dim(int e) const { return group_->dims[static_cast<std::size_t>(first_ + e)]; }
  // G_kj.
  double GatheredFraction(int k, int j) const;
  void BalanceParts();
  void BalanceTwisted();
  // Part k of a twisted torus.
  void AppendTwisted(int k, std::vector<int> coset, int step, MessageSchedule* schedule) const;

  const Group* group_;
  int first_, count_;
  std::optional<TwistedTorus> twisted_;
  std::vector<double> parts_;
  double seconds_per_byte_ = 0;  // max_e sum_k L_ek f_k
};

}  // namespace meshstep

#endif  // MESHSTEP_SIM_COST_TORUS_GATHER_H_
