#include "sim/report/names.h"

namespace meshstep {

std::string_view NameOf(Pass pass) {
  switch (pass) {
    case Pass::kForward:
      return "forward";
    case Pass::kRecompute:
      return "recompute";
    case Pass::kBackward:
      return "backward";
    case Pass::kUpdate:
      return "update";
  }
  return "";
}

std::string_view NameOf(MemoryBucket bucket) {
  switch (bucket) {
    case MemoryBucket::kParameters:
      return "parameters";
    case MemoryBucket::kGradients:
      return "gradients";
    case MemoryBucket::kOptimizer:
      return "optimizer";
    case MemoryBucket::kActivations:
      return "activations";
    case MemoryBucket::kLogits:
      return "logits";
    case MemoryBucket::kCommunication:
      return "buffers";
    case MemoryBucket::kUnsharded:
      return "unsharded";
    case MemoryBucket::kWorkspace:
      return "workspace";
  }
  return "";
}

std::string AxisNames(const StepGraph& step, std::span<const AxisId> axes) {
  std::string names;
  for (const AxisId axis : axes) {
    if (!names.empty()) names += "+";
    names += step.axis_names[static_cast<std::size_t>(axis)];
  }
  return names;
}

double BusFactor(Collective collective, double ranks) {
  switch (collective) {
    case Collective::kAllReduce:
      return 2 * (ranks - 1) / ranks;
    case Collective::kAllGather:
    case Collective::kReduceScatter:
    case Collective::kAllToAll:
      return (ranks - 1) / ranks;
    case Collective::kBroadcast:
    case Collective::kReduce:
    case Collective::kPermute:
      return 1;
  }
  return 1;
}

}  // namespace meshstep
