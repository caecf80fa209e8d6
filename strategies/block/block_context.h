// What lowering a block needs to know.

#ifndef MESHSTEP_STRATEGIES_BLOCK_BLOCK_CONTEXT_H_
#define MESHSTEP_STRATEGIES_BLOCK_BLOCK_CONTEXT_H_

#include <string>
#include <vector>

#include "sim/cost/compute.h"
#include "strategies/block/lowered_block.h"
#include "strategies/plan/plan.h"

namespace meshstep {

struct BlockContext {
  const Model* model;
  const Plan* plan;
  const Workload* workload;
  const ComputeModel* compute;
  TransferTable* transfers;
  // The block's input is one position, which these axes' devices get from the one that has it.
  std::vector<AxisId> broadcast = {};

  // Elements of a dimension of the micro-batch that all replicas run together. K and G grow to the
  // axes that shard them (replicated heads) and V to a multiple of 128 per shard.
  double DimSize(const std::string& dim) const;
  double LocalElements(const Sharding& sharding) const;
};

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_BLOCK_BLOCK_CONTEXT_H_
