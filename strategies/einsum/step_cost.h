// Turns changes of sharding and local products into steps with bytes, FLOPs and seconds.

#ifndef MESHSTEP_STRATEGIES_EINSUM_STEP_COST_H_
#define MESHSTEP_STRATEGIES_EINSUM_STEP_COST_H_

#include <vector>

#include "sim/cost/collective_model.h"
#include "strategies/einsum/answer.h"

namespace meshstep::einsum {

class StepCost {
 public:
  StepCost(const Expression& expression, const SolveOptions& options);

  // One step on `array`. A step over axes of size 1 only costs nothing.
  Step Move(const ShardedArray& array, const ReshardStep& reshard) const;

  // The product of operands as they are sharded now.
  Step Product(const BinaryProduct& product, const ShardedArray& result) const;

  // The cheapest of the ways from array.sharding to `to`, or the direct one. Steps over axes of
  // size 1 and slices remain, so that the last step ends at `to`.
  StatusOr<std::vector<Step>> Cheapest(const ShardedArray& array, const Sharding& to) const;
  StatusOr<std::vector<Step>> Direct(const ShardedArray& array, const Sharding& to) const;
  StatusOr<std::vector<std::vector<Step>>> Ways(const ShardedArray& array,
                                                const Sharding& to) const;

  // Bytes of one chip's block.
  double LocalBytes(const ShardedArray& array) const;
  ArrayMemory MemoryOf(const ShardedArray& array) const;
  Dtype DtypeOf(const ShardedArray& array) const { return array.dtype.value_or(options_.dtype); }

 private:
  bool Reorders(const ReshardStep& reshard) const;

  const Expression& expression_;
  const SolveOptions& options_;
  Hardware no_hardware_;
  CollectiveFormula collectives_;
};

}  // namespace meshstep::einsum

#endif  // MESHSTEP_STRATEGIES_EINSUM_STEP_COST_H_
