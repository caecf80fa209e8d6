#include "strategies/block/block_context.h"

#include <algorithm>
#include <cmath>

namespace meshstep {
namespace {

// Megatron pads the vocabulary so that every shard has a multiple of this (arXiv 1909.08053 §3).
constexpr double kVocabMultiple = 128;

}  // namespace

double BlockContext::DimSize(const std::string& dim) const {
  const double size = static_cast<double>(meshstep::DimSize(*model, dim, 1, workload->sequence));
  if (dim == "T") return static_cast<double>(workload->queries());
  if (dim == "B") return plan->micro_batch_sequences * plan->replicas;
  const bool replicated = dim == "K" || dim == "G";
  if (!replicated && dim != "V") return size;
  double shards = 1;
  for (const ShardedDim& d : Apply(plan->rules.compute, {dim}).dims) {
    for (const AxisId axis : d.axes) shards *= plan->axis_size(axis);
  }
  if (replicated) return std::max(size, shards);
  const double multiple = kVocabMultiple * shards;
  return std::ceil(size / multiple) * multiple;
}

double BlockContext::LocalElements(const Sharding& sharding) const {
  double elements = 1;
  for (const ShardedDim& dim : sharding.dims) {
    double size = DimSize(dim.name);
    for (const AxisId axis : dim.axes) size /= plan->axis_size(axis);
    elements *= size;
  }
  return elements;
}

}  // namespace meshstep
