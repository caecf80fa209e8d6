// All-gather over several torus dims at once, so that every link is busy: the data is cut into one
// part per dim, part k goes through the dims in the rotated order k, k+1, ..., and parts are sized
// so that all links carry as nearly equal time as they can.
//
// Symbols: d dims of sizes X_e, N = product of X_e; B_e one link one way; w_e links per rank and
// dim (2 on a ring, 1 on a line or a pair); f_k share of part k, sum of f_k = 1.
//   load of dim e's busiest link from part k:
//     L_ek = V / N * (product of X over the dims before e in order k) * (X_e - 1) / w_e
//   f minimises max_e sum_k L_ek f_k / B_e. Where all links can be kept equally busy the drain is
//     V (1 - 1/N) / sum_e w_e B_e,
// the injection bound. Parts move on independently, cut finely enough that no dim waits for
// another, so that loads add up over the whole run; with equal dims nothing ever waits.
//
// Source: N. Jain and Y. Sabharwal, "Optimal bucket algorithms for large MPI collectives on torus
// interconnects", ICS 2010; "How To Scale Your Model", chapter 3.
// Example: 8x16 rings: parts of 97/210 (8 first) and 113/210 (16 first).

#ifndef MESHSTEP_SIM_COST_TORUS_GATHER_H_
#define MESHSTEP_SIM_COST_TORUS_GATHER_H_

#include <vector>

#include "sim/cost/collective.h"
#include "sim/cost/rank_grid.h"

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
  // V that part k holds after its dim at place j of the order, over the V of all parts.
  double GatheredFraction(int k, int j) const;
  void BalanceParts();

  const Group* group_;
  int first_, count_;
  std::vector<double> parts_;
  bool balanced_ = false;        // all links equally busy
  double seconds_per_byte_ = 0;  // max_e sum_k L_ek f_k / B_e at V = 1
};

}  // namespace meshstep

#endif  // MESHSTEP_SIM_COST_TORUS_GATHER_H_
