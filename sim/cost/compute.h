// Time of one kernel on one device: a roofline per op.
//
//   ideal:      T = max(FLOPs / peak, bytes / HBM), data-sheet rates, no launch cost.
//   calibrated: T = t0 + max(FLOPs · q / (e · peak), bytes / (f · HBM)), q = ceil(tiles / units) ·
//               units / tiles (wave quantisation). t0, e, f, tiles: the chip file's `calibration`,
//               fitted on component measurements only.
//
// A device has 1/devices_per_chip of the chip's rates. Source of the form: XLA's
// gpu_cost_model and B1 in the chip files.

#ifndef MESHSTEP_SIM_COST_COMPUTE_H_
#define MESHSTEP_SIM_COST_COMPUTE_H_

#include <cstdint>

#include "sim/base/dtype.h"
#include "sim/base/status.h"
#include "sim/base/units.h"
#include "topologies/chip.h"

namespace meshstep {

// C[m,n] += A[m,k] · B[k,n], `batch` times; sizes per device, fractions allowed where an axis does
// not divide.
struct MatmulShape {
  double batch = 1, m = 1, n = 1, k = 1;
  Flops flops() const { return Flops(2 * batch * m * n * k); }
  // Operands and result, each once.
  Bytes bytes(Dtype dtype) const { return batch * (m * k + k * n + m * n) * SizeOf(dtype); }
};

struct AttentionShape {
  double batch = 1, heads = 1, kv_heads = 1;
  double queries = 1, keys = 1;  // positions on this device
  double head_dim = 1;
  double visible = 1;     // fraction of the queries × keys square that the kernel computes
  bool backward = false;  // backward alone
};

class ComputeModel {
 public:
  ComputeModel(const Chip& chip, RateSet rates, Fidelity fidelity);

  // Error: the chip has no such number format.
  Status Supports(Dtype dtype) const;

  // Operands and result of `dtype` unless bytes say otherwise.
  Time Matmul(const MatmulShape& shape, Dtype dtype) const;
  // Fused attention: scores, softmax and AV in one kernel. Forward does 4·B·N·T·S·H·visible FLOPs,
  // backward twice that (dQ, dK, dV, dP; its recomputation of the scores is inside the measured
  // rate).
  Time Attention(const AttentionShape& shape, Dtype dtype) const;
  // Streams `bytes` through HBM (reads and writes together) in one kernel.
  Time Elementwise(Bytes bytes) const;

  static Flops AttentionFlops(const AttentionShape& shape);
  // Forward reads q, k, v and writes the output; backward reads those and the output's gradient and
  // writes three gradients: Dao, arXiv 2307.08691, algorithms 1 and 2.
  static Bytes AttentionBytes(const AttentionShape& shape, Dtype dtype);

 private:
  double AttentionFraction(const AttentionShape& shape) const;

  const Chip chip_;
  const Rates rates_;  // per device
  const bool calibrated_;
};

}  // namespace meshstep

#endif  // MESHSTEP_SIM_COST_COMPUTE_H_
