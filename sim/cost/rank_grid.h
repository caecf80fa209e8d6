// Ranks of a group as points of the box spanned by its dims, minor first:
//   rank = i_0 + X_0 (i_1 + X_1 (i_2 + ...)),  i_d in [0, X_d).
// Chunk c is the data of rank c, so chunks are points of the same box.

#ifndef MESHSTEP_SIM_COST_RANK_GRID_H_
#define MESHSTEP_SIM_COST_RANK_GRID_H_

#include <vector>

#include "topologies/mesh.h"

namespace meshstep {

class RankGrid {
 public:
  explicit RankGrid(const Group& group) {
    for (const Group::Dim& dim : group.dims) {
      size_.push_back(dim.size);
      stride_.push_back(ranks_);
      ranks_ *= dim.size;
    }
  }

  int ranks() const { return ranks_; }
  int dims() const { return static_cast<int>(size_.size()); }
  int size(int dim) const { return size_[static_cast<std::size_t>(dim)]; }
  int stride(int dim) const { return stride_[static_cast<std::size_t>(dim)]; }
  int Digit(int rank, int dim) const { return rank / stride(dim) % size(dim); }
  int WithDigit(int rank, int dim, int digit) const {
    return rank + (digit - Digit(rank, dim)) * stride(dim);
  }
  // The rank `steps` further along a dim that closes into a ring; steps may be negative.
  int Shift(int rank, int dim, int steps) const {
    return WithDigit(rank, dim, ((Digit(rank, dim) + steps) % size(dim) + size(dim)) % size(dim));
  }
  // The rank whose digits are those of `rank` moved on by those of `offset`, each dim a ring.
  int ShiftBy(int rank, int offset) const {
    for (int d = 0; d < dims(); ++d) rank = Shift(rank, d, Digit(offset, d));
    return rank;
  }

 private:
  std::vector<int> size_, stride_;
  int ranks_ = 1;
};

}  // namespace meshstep

#endif  // MESHSTEP_SIM_COST_RANK_GRID_H_
