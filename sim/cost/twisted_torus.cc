#include "sim/cost/twisted_torus.h"

namespace meshstep {

TwistedTorus::TwistedTorus(const RankGrid& grid, int first, int count, int twist)
    : grid_(grid), first_(first), end_(first + count), twist_(twist) {
  for (int d = first_; d < end_; ++d) long_dims_ += IsLong(d) ? 1 : 0;
}

int TwistedTorus::Add(int rank, int offset) const {
  int turns = 0;
  for (int d = first_; d < end_; ++d) {
    if (IsShort(d)) turns += (grid_.Digit(rank, d) + grid_.Digit(offset, d)) / twist_;
  }
  for (int d = 0; d < grid_.dims(); ++d) {
    rank = grid_.Shift(rank, d, grid_.Digit(offset, d) + (IsLong(d) ? turns * twist_ : 0));
  }
  return rank;
}

int TwistedTorus::Step(int rank, int e, int steps) const {
  const int dim = first_ + e, period = 2 * twist_;
  steps = (steps % period + period) % period;
  // A unit vector, so that no step turns twice.
  for (int i = 0; i < steps; ++i) rank = Add(rank, grid_.stride(dim));
  return rank;
}

std::vector<int> TwistedTorus::Extend(const std::vector<int>& ranks, int e, int steps) const {
  std::vector<int> more;
  more.reserve(ranks.size() * static_cast<std::size_t>(steps));
  for (int i = 0; i < steps; ++i) {
    for (const int rank : ranks) more.push_back(Step(rank, e, i));
  }
  return more;
}

}  // namespace meshstep
