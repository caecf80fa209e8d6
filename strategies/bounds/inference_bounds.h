// Decode steps and prefill as rooflines ("How To Scale Your Model" ch. 7 and 8).
//
//   T_step = KV bytes / (n · M) + max(parameter bytes / (n · M), 2 B P / (n · C))
//
// n chips of HBM rate M and FLOP/s C, B sequences, P parameters a token uses. Communication is left
// out.

#ifndef MESHSTEP_STRATEGIES_BOUNDS_INFERENCE_BOUNDS_H_
#define MESHSTEP_STRATEGIES_BOUNDS_INFERENCE_BOUNDS_H_

#include "strategies/bounds/chip_limits.h"

namespace meshstep {

struct DecodeCase {
  double parameters = 0, active_parameters = 0;
  double parameter_bytes = 2;  // of one
  double kv_bytes_per_sequence = 0;
  double batch = 1;
  double chips = 1;

  double weight_bytes() const { return parameters * parameter_bytes; }
  double kv_bytes() const { return batch * kv_bytes_per_sequence; }
};

struct DecodeStep {
  double kv = 0, weights = 0, compute = 0;  // seconds
  double linear() const { return weights > compute ? weights : compute; }
  double total() const { return kv + linear(); }
};

DecodeStep StepOf(const DecodeCase& c, const ChipLimits& chip);

// Sequences whose caches fit beside the parameters (not rounded; negative if those do not fit).
double MaxDecodeBatch(const DecodeCase& c, const ChipLimits& chip);

// Largest batch whose step takes `latency` seconds (not rounded); 0 if none does.
double BatchWithin(const DecodeCase& c, const ChipLimits& chip, double latency);

// Smallest power of two that is at least `chips`.
double SliceOf(double chips);

// Y < F / (B beta), beta = W_hbm / W_ici: tensor parallelism beyond it waits for activations rather
// than for the loads of the weights.
double MaxTensorOfWeightLoads(double f, double batch, double beta);

// Communication of one MLP at small batch ("How To Scale Your Model" ch. 7, appendix B). Weights
// split over X ways of D and n / X of F: 2 B D / (X W) + 4 B F X / (n W), least at X = sqrt(n D / 2
// F); weights split over F alone, on three axes: 4 B D / (3 W).
struct WeightStationary {
  double x = 1;                 // best X
  double two_d = 0, one_d = 0;  // seconds
  double chips = 0;             // n at which they are equal: 18 F / D
};
WeightStationary StationaryTimes(double batch, double d, double f, double chips,
                                 double link_bytes_per_s);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_BOUNDS_INFERENCE_BOUNDS_H_
