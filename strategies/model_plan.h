// The blocks of a model under a plan, and what they share across the pipeline.

#ifndef MESHSTEP_STRATEGIES_MODEL_PLAN_H_
#define MESHSTEP_STRATEGIES_MODEL_PLAN_H_

#include <vector>

#include "sim/base/status.h"
#include "strategies/block_plan.h"

namespace meshstep {

inline constexpr int kEmbeddingLayer = -1;  // TaskInfo::layer; the head is model.layers

// Gradients that leave together once a step, when the backward of `layer` is done for good.
struct GradientBucket {
  int layer;
  std::vector<int> transfers;  // one after the other
};

// Two stages hold the same parameters and add up their gradients: each sends its own.
struct SharedParameters {
  int stage_a, stage_b;
  int transfer;
};

struct ModelPlan {
  BlockPlan embedding, head;
  std::vector<BlockPlan> kinds;
  std::vector<int> layer_kind;
  std::vector<std::vector<int>> layers;              // per part, in the order of the forward
  std::vector<std::vector<GradientBucket>> buckets;  // per part, in the order of the backward
  std::vector<SharedParameters> shared;

  const BlockPlan& of(int layer) const;
};

// Error: a block cannot be lowered (strategies/block_plan.h).
StatusOr<ModelPlan> LowerModel(const BlockContext& context);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_MODEL_PLAN_H_
