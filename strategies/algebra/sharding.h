// The sharding algebra: arrays of named dimensions, each sharded over mesh axes, and what it takes
// to bring an array from one sharding to another or to contract two of them. Notation and rules of
// "How To Scale Your Model", chapter 3: A[I_XY, J]{U_Z} is I over X (major) then Y, partial over Z.
//
// This is the only implementation of the rules; the training step (strategies/step/step_graph.h)
// and `meshstep einsum` (strategies/einsum/) both call it.

#ifndef MESHSTEP_STRATEGIES_ALGEBRA_SHARDING_H_
#define MESHSTEP_STRATEGIES_ALGEBRA_SHARDING_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/ids.h"
#include "sim/base/status.h"

namespace meshstep {

struct ShardedDim {
  std::string name;
  std::vector<AxisId> axes;  // major first
  bool operator==(const ShardedDim&) const = default;
};

struct Sharding {
  std::vector<ShardedDim> dims;   // in the order of the array
  std::vector<AxisId> unreduced;  // partial sums outstanding over these
  bool operator==(const Sharding&) const = default;

  // -1 if the array has no such dimension.
  int Find(std::string_view dim) const;
  bool Uses(AxisId axis) const;  // shards a dimension or is unreduced
};

// One step of a change of sharding. `before` and `after` are the whole array's shardings.
struct ReshardStep {
  enum class Op {
    kAllGather,      // removes minor axes of `from`
    kReduceScatter,  // {U_axes} -> minor axes of `to`
    kAllReduce,      // {U_axes} -> none
    kAllToAll,       // minor axes of `from` -> minor axes of `to`
    kSlice,          // free: adds minor axes to `to`
    kPermute,        // same axes in another order on one dimension
  };
  Op op;
  std::vector<AxisId> axes;  // major first
  std::string from, to;      // dimensions, "" where there is none
  Sharding before, after;
};

std::string_view NameOf(ReshardStep::Op op);  // "AllGather", ...

// The steps from `from` to `to`, in an order in which each is legal: sums first (ReduceScatter
// where the axis is wanted on a dimension, else AllReduce), then AllToAll for an axis that moves
// between dimensions, AllGather for one that leaves, Slice for one that comes. Collectives of the
// same op on the same dimensions that follow each other are joined into one over several axes.
// Gathers take minor axes only; an axis that leaves from under one that stays costs a gather of
// both and a slice. `to.unreduced` must be a subset of `from.unreduced`. Error: the rule that is
// broken, in one sentence (dimensions differ, axis twice in one array, unreduced asked for but not
// there).
StatusOr<std::vector<ReshardStep>> Reshard(const Sharding& from, const Sharding& to);

// Product of the sizes of the axes that shard the array: global elements / this = local elements.
double ShardCount(const Sharding& sharding, std::span<const int> axis_sizes);

// Checks one array: no axis twice, none both sharding and unreduced, no dimension twice.
Status CheckSharding(std::string_view array, const Sharding& sharding,
                     std::span<const std::string> axis_names);

// Contraction of `a` and `b` (one operand may be empty of dims) into the dimensions `out`: those in
// both and not in `out` are contracted. Requires operands whose shared dimensions are sharded alike
// and whose other dimensions share no axis (the "legal local product"); the result carries the axes
// of contracted dimensions as unreduced. Error: which of the four cases of chapter 3 is violated.
StatusOr<Sharding> LocalProduct(const Sharding& a, const Sharding& b,
                                std::span<const std::string> out);

// "[I_XY,J]{U_Z}".
std::string ToString(const Sharding& sharding, std::span<const std::string> axis_names);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_ALGEBRA_SHARDING_H_
