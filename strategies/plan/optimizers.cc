#include "strategies/plan/optimizers.h"

#include <algorithm>
#include <array>

#include "sim/base/dtype.h"

namespace meshstep {
namespace {

using Master = OptimizerKind::Master;
using Matrices = OptimizerKind::Matrices;

// Moments in 8 bits have an fp32 scale for every 256 elements (bitsandbytes functional.py,
// quantize_blockwise, blocksize 256).
constexpr double kEightBits = 1 + 4.0 / 256;

constexpr std::array<OptimizerKind, 14> kOptimizers = {{
    {"adam-fp32", 8, Master::kCopy, Matrices::kNone, 0, "Kingma and Ba, arXiv 1412.6980"},
    {"adam-fp32-no-master", 8, Master::kNone, Matrices::kNone, 0, "\"How To Scale Your Model\""},
    {"adam-bf16", 4, Master::kNone, Matrices::kNone, 0, "moments as parameters"},
    {"adam-bf16-master", 4, Master::kCopy, Matrices::kNone, 0, "arXiv 2412.19437 section 3.3.3"},
    {"adam-fp32-remainder", 8, Master::kRemainder, Matrices::kNone, 0,
     "NVIDIA/apex distributed_fused_adam.py, store_param_remainders"},
    {"adam-bf16-remainder", 4, Master::kRemainder, Matrices::kNone, 0,
     "TransformerEngine pytorch/optimizers/fused_adam.py, store_param_remainders"},
    {"adam-8bit", 2 * kEightBits, Master::kNone, Matrices::kNone, 0,
     "Dettmers et al., arXiv 2110.02861"},
    {"adam-8bit-master", 2 * kEightBits, Master::kCopy, Matrices::kNone, 0,
     "Dettmers et al., arXiv 2110.02861"},
    {"lion", 4, Master::kCopy, Matrices::kNone, 0, "Chen et al., arXiv 2302.06675"},
    {"lion-bf16", 2, Master::kNone, Matrices::kNone, 0, "Chen et al., arXiv 2302.06675"},
    {"adafactor", 4, Master::kCopy, Matrices::kAll, 0, "Shazeer and Stern, arXiv 1804.04235"},
    {"sgd", 0, Master::kNone, Matrices::kNone, 0, "without momentum"},
    {"sgd-momentum", 4, Master::kCopy, Matrices::kNone, 0, "torch.optim.SGD, momentum in fp32"},
    {"muon", 8, Master::kCopy, Matrices::kHidden, 4, "kellerjordan.github.io/posts/muon (2024-12)"},
}};

}  // namespace

double OptimizerKind::MasterBytes(double parameter) const {
  switch (master) {
    case Master::kNone:
      return 0;
    case Master::kCopy:
      return parameter < kFp32Bytes ? kFp32Bytes : 0;
    case Master::kRemainder:
      return std::max(0.0, kFp32Bytes - parameter);
  }
  return 0;
}

std::span<const OptimizerKind> Optimizers() { return kOptimizers; }

const OptimizerKind* FindOptimizer(std::string_view name) {
  const auto at = std::ranges::find(kOptimizers, name, &OptimizerKind::name);
  return at == kOptimizers.end() ? nullptr : &*at;
}

}  // namespace meshstep
