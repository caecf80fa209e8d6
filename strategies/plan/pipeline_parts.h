// Which blocks each part of a pipeline holds.

#ifndef MESHSTEP_STRATEGIES_PLAN_PIPELINE_PARTS_H_
#define MESHSTEP_STRATEGIES_PLAN_PIPELINE_PARTS_H_

#include <string>
#include <vector>

#include "sim/base/status.h"

namespace meshstep {

// Layers [begin, end), the embedding before them, the head after them, then layers that predict
// further tokens, each with the head again.
struct PipelinePart {
  bool embedding = false, head = false;
  int begin = 0, end = 0;
  int mtp_layers = 0;
  bool operator==(const PipelinePart&) const = default;
};

// Layers spread so that parts differ by at most one, the first and the last get the fewer.
std::vector<PipelinePart> EvenParts(int parts, int layers, int mtp_layers);

// As Megatron writes it (--pipeline-model-parallel-layout): parts between '|', E embedding, t a
// layer, m a layer that predicts a further token, L the head and loss; x*n repeats, (..)*n repeats
// a group, commas are for the eye.
//
//   "Et*2|(t*2|)*3,tL"   4 parts and the head's: 2, 2, 2, 2 and 1 layers
//
// Error: what stands where, or which count is not that of the model.
StatusOr<std::vector<PipelinePart>> ParseParts(const std::string& text, int parts, int layers,
                                               int mtp_layers);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_PLAN_PIPELINE_PARTS_H_
