#include "strategies/bounds/inference_bounds.h"

#include <algorithm>
#include <cmath>

namespace meshstep {

DecodeStep StepOf(const DecodeCase& c, const ChipLimits& chip) {
  const double memory = c.chips * chip.hbm_bytes_per_s;
  DecodeStep step;
  step.kv = c.kv_bytes() / memory;
  step.weights = c.weight_bytes() / memory;
  step.compute = 2 * c.batch * c.active_parameters / (c.chips * chip.flops_per_s);
  return step;
}

double MaxDecodeBatch(const DecodeCase& c, const ChipLimits& chip) {
  return (c.chips * chip.hbm_bytes - c.weight_bytes()) / c.kv_bytes_per_sequence;
}

double BatchWithin(const DecodeCase& c, const ChipLimits& chip, double latency) {
  DecodeCase one = c;
  one.batch = 1;
  const DecodeStep step = StepOf(one, chip);
  if (step.weights >= latency) return 0;
  // Each sequence adds its cache's load and its FLOPs; the loads of the weights hide the FLOPs of a
  // small batch.
  const double by_memory = (latency - step.weights) / step.kv;
  const double by_compute = latency / (step.kv + step.compute);
  return std::min(by_memory, by_compute);
}

double SliceOf(double chips) { return std::exp2(std::ceil(std::log2(std::max(chips, 1.0)))); }

double MaxTensorOfWeightLoads(double f, double batch, double beta) { return f / (batch * beta); }

WeightStationary StationaryTimes(double batch, double d, double f, double chips,
                                 double link_bytes_per_s) {
  WeightStationary times;
  times.x = std::sqrt(chips * d / (2 * f));
  times.two_d = (2 * batch * d / times.x + 4 * batch * f * times.x / chips) / link_bytes_per_s;
  times.one_d = 4 * batch * d / (3 * link_bytes_per_s);
  times.chips = 18 * f / d;
  return times;
}

}  // namespace meshstep
