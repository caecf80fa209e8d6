#include "strategies/bounds/training_bounds.h"

#include <algorithm>
#include <cmath>

namespace meshstep {

double CriticalTokens(double alpha, double axes) { return alpha / axes; }

double CriticalTokensMixed(double alpha, double x_axes, double y_axes, double f, Overlap overlap) {
  const double tokens = alpha * alpha / (x_axes * y_axes * f);
  return overlap == Overlap::kMax ? tokens : 4 * tokens;
}

double OptimalX(double b, double f, double x_axes, double y_axes, double chips) {
  return std::sqrt(b / f * x_axes / y_axes * chips);
}

double MaxTensor(double f, double axes, double alpha) { return f * axes / alpha; }

double MaxTensorTwoNodes(double f, double node, double alpha) { return node + f / alpha; }

MlpTimes MlpForward(const MlpPlan& p, double flops_per_s, const MlpRates& rates) {
  MlpTimes times;
  times.compute = 4 * p.b * p.d * p.f / (p.x * p.y * flops_per_s);
  const double weights = 2 * p.element_bytes * p.d * p.f / p.y;
  const double activations = 2 * p.element_bytes * p.b * p.d / p.x;
  if (p.x > 1) times.fsdp = weights / rates.fsdp;
  if (p.y > 1) times.tensor = activations / rates.tensor;
  return times;
}

MlpTimes MlpBackward(const MlpPlan& plan, double flops_per_s, const MlpRates& rates) {
  MlpTimes times = MlpForward(plan, flops_per_s, rates);
  times.compute *= 2;
  times.fsdp *= 2;
  times.tensor *= 2;
  return times;
}

double MinExpertFfn(double alpha, double shards, double k, double node) {
  return alpha * (shards - node) / k * std::min(node * k / shards, 1.0);
}

double ExpectedShards(double shards, double k) {
  const double others = (shards - 1) / shards;
  return (1 - std::pow(others, k)) * others;
}

double ShardsBound(double shards, double k) {
  return std::min(k / shards, 1.0) * (shards - 1) / shards;
}

double PipelineHop(double b, double d, double micro_batches, double bytes_per_s) {
  return 2 * b * d / (bytes_per_s * micro_batches);
}

}  // namespace meshstep
