// A twisted torus as a lattice: the ranks of a group that has the whole of it, and steps between
// them.
//
// Coordinates c_d in [0, X_d), X_d = n (short) or 2n (long). A step past the end of a short dim
// moves every long one on by n (topologies/torus_fabric.h), so that the ranks are the integer
// vectors modulo
//   n e_s - n (sum of e_l over the long dims)  for each short dim s,   2n e_l  for each long dim l,
// an abelian group in which all links are alike. Going straight on in any dim closes after 2n
// steps. Where some dims have been gathered, their ranks hold the same and count as one: in the
// quotient by them the next dim closes after 2n steps or n. In every order of the dims those that
// come first close after 2n, as many as there are long dims, the others after n:
//   n x n x 2n: 2n, n, n          n x 2n x 2n: 2n, 2n, n          product: all ranks.
//
// Source: J. M. Camara et al., "Twisted Torus Topologies for Enhanced Interconnection Networks",
// TPDS 2010. Example: 4x4x8: x+ from (3,0,0) leads to (0,0,4); from x first, 8 steps, then y and z
// in 4 each.

#ifndef MESHSTEP_SIM_COST_TWISTED_TORUS_H_
#define MESHSTEP_SIM_COST_TWISTED_TORUS_H_

#include <vector>

#include "sim/cost/rank_grid.h"

namespace meshstep {

// The torus dims [first, first + count) of a group whose Group::twist is n.
class TwistedTorus {
 public:
  TwistedTorus(const RankGrid& grid, int first, int count, int twist);

  // The rank at the sum of both as vectors; dims outside the torus add up as rings.
  int Add(int rank, int offset) const;
  // `steps`, which may be negative, along dim e of the torus.
  int Step(int rank, int e, int steps) const;
  // Steps after which the j-th dim of any order closes, given the j before it.
  int Closes(int j) const { return j < long_dims_ ? 2 * twist_ : twist_; }
  // `ranks` and all that steps along e lead to from them: a coset of one dim more.
  std::vector<int> Extend(const std::vector<int>& ranks, int e, int steps) const;

 private:
  bool IsShort(int d) const { return d >= first_ && d < end_ && grid_.size(d) == twist_; }
  bool IsLong(int d) const { return d >= first_ && d < end_ && grid_.size(d) != twist_; }

  RankGrid grid_;
  int first_, end_, twist_;
  int long_dims_ = 0;
};

}  // namespace meshstep

#endif  // MESHSTEP_SIM_COST_TWISTED_TORUS_H_
