#include "strategies/plan/precision.h"

#include <algorithm>

#include "sim/base/check.h"

namespace meshstep {
namespace {

// Bytes of scales per element.
constexpr double kBlockActivation = 4.0 / 128, kBlockWeight = 4.0 / (128 * 128);
constexpr double kMx = 1.0 / 32, kNvfp4 = 1.0 / 16;

Dtype Wider(Dtype a, Dtype b) { return SizeOf(a) < SizeOf(b) ? b : a; }

}  // namespace

std::string_view NameOf(Scaling scaling) {
  switch (scaling) {
    case Scaling::kTensor:
      return "tensor";
    case Scaling::kCurrent:
      return "current";
    case Scaling::kChannel:
      return "channel";
    case Scaling::kBlock:
      return "block";
    case Scaling::kMx:
      return "mx";
    case Scaling::kNvfp4:
      return "nvfp4";
  }
  return "";
}

const OptimizerKind& Precision::optimizer_kind() const {
  const OptimizerKind* kind = FindOptimizer(optimizer);
  CHECK(kind != nullptr) << optimizer << " ";
  return *kind;
}

double Precision::StateBytes(bool matrix) const {
  const double parameter = SizeOf(parameters).value();
  const OptimizerKind& kind = optimizer_kind();
  const bool apart = matrix && kind.matrices != OptimizerKind::Matrices::kNone;
  return apart ? kind.MatrixStateBytes(parameter) : kind.StateBytes(parameter);
}

double Precision::OperandBytes() const {
  const double scale = scaling == Scaling::kBlock   ? kBlockActivation
                       : scaling == Scaling::kMx    ? kMx
                       : scaling == Scaling::kNvfp4 ? kNvfp4
                                                    : 0;
  return SizeOf(compute).value() + scale;
}

double Precision::WeightBytes() const {
  return scaling == Scaling::kBlock ? SizeOf(compute).value() + kBlockWeight : OperandBytes();
}

Dtype Precision::Stored(bool matmul) const {
  const bool wide = SizeOf(parameters) >= Bytes(2);
  return matmul || wide ? parameters : Wider(parameters, activations);
}

Dtype Precision::Gathered(bool matmul) const {
  return matmul ? gather : Wider(gather, activations);
}

int Precision::OperandVersions(bool one_layout) const {
  if (CastsPerProduct()) return 1;
  return !one_scale() || one_layout ? 2 : 1;
}

int Precision::WeightVersions(bool one_layout) const {
  // Square blocks are the same both ways.
  const bool same = one_scale() || scaling == Scaling::kBlock;
  return !same || one_layout ? 2 : 1;
}

int Precision::CastKernels() const {
  const bool finds_largest = scaling == Scaling::kCurrent || scaling == Scaling::kChannel;
  return scaling == Scaling::kNvfp4 ? 3 : finds_largest ? 2 : 1;
}

}  // namespace meshstep
