// The sharding algebra: arrays of named dimensions, each sharded over axes of a mesh, and what it
// takes to bring an array from one sharding to another or to contract two of them.
//
// The problem. A mesh has axes X, Y, ...; a device has one coordinate on each. An array has named
// dimensions. Which collectives, over which axes, lead from what the devices hold to what the next
// op wants them to hold?
//
// Symbols.
//   A[I_XY, J]   I is cut into |X|·|Y| blocks: first by X (major), each of those by Y (minor); J is
//                whole on every device. A device holds the block of its coordinates.
//   {U_Z}        the array is the sum over Z of what the devices hold (partial sums, unreduced)
//
// The invariant. An axis appears at most once in an array: it cuts one dimension, or is unreduced,
// or the array is the same along it. So a device holds 1 / (product of the sizes of the axes that
// cut) of the elements.
//
// Change of sharding (Reshard). Each step is one collective:
//   AllGather      A[I_X] -> A[I]             ReduceScatter  A[I]{U_X} -> A[I_X]
//   AllReduce      A[I]{U_X} -> A[I]          AllToAll       A[I_X, J] -> A[I, J_X]
//   Slice          A[I] -> A[I_X], free       Permute        A[I_XY] -> A[I_YX]
//
// Contraction (LocalProduct) of A and B over the dimensions J that the result has not. Chapter 3
// tells four cases: (1) no J sharded: the local product is the product; (2) J sharded in one
// operand: gather it first; (3) J sharded alike in both: the local products are partial sums,
// C{U_X}; (4) one axis on two dimensions that the result has: gather one operand first. Only 1 and
// 3 are legal local products; Reshard makes them out of the others.
//
// Backward needs no rules of its own: the gradient of a factor is the contraction of the other
// factor with the gradient of the result, so a gather forward is a scatter of sums backward.
//
// Complexity: all calls take time polynomial in dimensions and axes, of which an array has a few;
// nothing depends on sizes.
//
// Source: "How To Scale Your Model" (Austin et al., 2025), chapter 3, "Sharded Matrices and How to
// Multiply Them". This is the only implementation of these rules; the training step
// (strategies/passes/) and `meshstep einsum` (strategies/einsum/) both call it.
//
// Example: FSDP, In[B_X, D] · W[D_X, F] -> Out[B_X, F] over X of 4. D is contracted and only W is
// sharded along it (case 2), so W comes whole:
//   Reshard(W[D_X, F], W[D, F])         AllGather over X
//   LocalProduct(In[B_X, D], W[D, F])   Out[B_X, F]: no sums, case 1
// and backward dW = In^T · dOut contracts B, sharded alike in both (case 3):
//   LocalProduct(In[B_X, D], dOut[B_X, F])   dW[D, F]{U_X}
//   Reshard(dW[D, F]{U_X}, dW[D_X, F])       ReduceScatter over X

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
