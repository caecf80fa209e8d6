#include <algorithm>
#include <cmath>

#include "strategies/block_plan.h"

namespace meshstep {
namespace {

// Megatron pads the vocabulary so that every shard has a multiple of this (arXiv 1909.08053 §3).
constexpr double kVocabMultiple = 128;

}  // namespace

std::string_view NameOf(Role role) {
  switch (role) {
    case Role::kActivations:
      return "activations";
    case Role::kParameters:
      return "parameters";
    case Role::kGradients:
      return "gradients";
    case Role::kPipeline:
      return "activations between stages";
    case Role::kToHost:
      return "to the host";
    case Role::kFromHost:
      return "from the host";
  }
  return "";
}

int TransferTable::Intern(const TransferSpec& spec) {
  const auto [it, added] = index_.emplace(spec, size());
  if (added) specs_.push_back(spec);
  return it->second;
}

double BlockContext::DimSize(const std::string& dim) const {
  const double size = static_cast<double>(meshstep::DimSize(*model, dim, 1, workload->sequence));
  if (dim == "T") return static_cast<double>(workload->queries());
  if (dim == "B") return plan->micro_batch_sequences * plan->replicas;
  if (dim != "K" && dim != "V") return size;
  double shards = 1;
  for (const ShardedDim& d : Apply(plan->rules.compute, {dim}).dims) {
    for (const AxisId axis : d.axes) shards *= plan->axis_size(axis);
  }
  if (dim == "K") return std::max(size, shards);
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
