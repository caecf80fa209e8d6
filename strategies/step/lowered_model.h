// The blocks of a model under a plan, and what they share across the pipeline.

#ifndef MESHSTEP_STRATEGIES_STEP_LOWERED_MODEL_H_
#define MESHSTEP_STRATEGIES_STEP_LOWERED_MODEL_H_

#include <vector>

#include "sim/base/status.h"
#include "strategies/block/lowered_block.h"
#include "strategies/model/layer_ref.h"

namespace meshstep {

// Gradients that leave together once a step, when the backward of `layer` is done for good.
struct GradientBucket {
  LayerRef layer;
  std::vector<int> transfers;  // one after the other
};

// Two stages hold the same parameters and add up their gradients: each sends its own.
struct SharedParameters {
  int stage_a, stage_b;
  int transfer;
};

// One step of making muon's directions: a transfer, else a kernel.
struct DirectionStep {
  LayerRef layer;
  int transfer = -1;
  Time duration = {};
  Flops flops = {};
  Bytes hbm_bytes = {};
  double launches = 0;  // kernels that the host issues for it
};

struct LoweredModel {
  LoweredBlock embedding, head;
  // The layers that predict a further token after the first, and the head on the results of all:
  // the parameters that they share with blocks before them are counted there.
  LoweredBlock mtp_again, mtp_head;
  std::vector<LoweredBlock> kinds;
  std::vector<int> layer_kind;
  int mtp_kind = -1;
  std::vector<std::vector<LayerRef>> layers;         // per part, in the order of the forward
  std::vector<std::vector<GradientBucket>> buckets;  // per part, in the order of the backward
  std::vector<SharedParameters> shared;
  std::vector<std::vector<DirectionStep>> directions;  // per part, one after the other
  LayerRef last;                                       // block of the forward

  const LoweredBlock& of(const LayerRef& layer) const;
};

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_STEP_LOWERED_MODEL_H_
