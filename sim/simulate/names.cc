#include "sim/simulate/names.h"

namespace meshstep {

std::string_view NameOf(Pass pass) {
  switch (pass) {
    case Pass::kForward:
      return "forward";
    case Pass::kRecompute:
      return "recompute";
    case Pass::kBackward:
      return "backward";
    case Pass::kWeightGradients:
      return "weight-gradients";
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
    case MemoryBucket::kKvCache:
      return "kv-cache";
  }
  return "";
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
    case Collective::kExchange:
      return 1;
  }
  return 1;
}

}  // namespace meshstep
