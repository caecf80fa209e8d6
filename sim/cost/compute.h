// Time of one kernel on one device: a roofline per op.
//
//   ideal:      T = max(FLOPs / peak, bytes / HBM), data-sheet rates, no launch cost.
//   calibrated: matmuls by sim/cost/matmul.h; attention at the measured fraction of the peak or
//               by sim/cost/attention.h;
//               elementwise work at the measured fraction of the HBM rate. Every constant is in the
//               chip file's `calibration`, fitted on component measurements only.
//
// A device has 1/devices_per_chip of the chip's rates and units.

#ifndef MESHSTEP_SIM_COST_COMPUTE_H_
#define MESHSTEP_SIM_COST_COMPUTE_H_

#include <cstdint>

#include "sim/base/dtype.h"
#include "sim/base/status.h"
#include "sim/base/units.h"
#include "sim/cost/attention.h"
#include "sim/cost/matmul.h"
#include "topologies/chip.h"

namespace meshstep {

// What elementwise kernels do: bytes through HBM; of these, bytes of kernels that compute where each
// element lies, and how many elements (chip.proto strided_elements_per_s); and time beside them.
struct StreamedWork {
  Bytes bytes, strided_bytes;
  double strided_elements = 0;
  Seconds fixed;
};

class ComputeModel {
 public:
  ComputeModel(const Chip& chip, RateSet rates, Fidelity fidelity);

  // Error: the chip has no such number format.
  Status Supports(Dtype dtype) const;

  // A matmul inside a step, among others: not faster than the rate that the chip can sustain, and
  // with operands laid out as it wants them (who casts them to a narrow type writes them so).
  // Operands of `dtype`; `result` is the bytes of one result element.
  Time Matmul(const MatmulShape& shape, Dtype dtype, Bytes result) const;
  Time Matmul(const MatmulShape& shape, Dtype dtype) const {
    return Matmul(shape, dtype, SizeOf(dtype));
  }
  // `shape.batch` matmuls, each by a kernel of its own after the one before, with operands that no
  // kernel before left in the cache. Measured (SimuMax, B200, 75 grouped matmuls of Transformer
  // Engine over cuBLAS): median error 11 %, mean -0 %; as one batched kernel 24 % and -27 %.
  Time MatmulEach(const MatmulShape& shape, Dtype dtype, Bytes result) const;
  // A matmul measured by itself, for comparison with published tables. `result` is the bytes of one
  // result element.
  Time MatmulAlone(const MatmulShape& shape, Dtype dtype, Bytes result) const;
  // Fused attention: scores, softmax and AV in one kernel. Forward does 2·B·N·T·S·(H + H_v)·visible
  // FLOPs, backward twice that (dQ, dK, dV, dP). The backward kernel also computes the scores again
  // (Dao, arXiv 2307.08691, algorithm 2), and measured rates count that, as the benchmarks do:
  // 2.5 times forward where H = H_v. `calibrated` therefore takes the time of all five products.
  Time Attention(const AttentionShape& shape, Dtype dtype) const;
  // A kernel that streams `bytes` through HBM and does `flops` on the matrix units beside it, none
  // of which is measured by itself (attention of one query over a cache).
  Time Fused(Flops flops, Bytes bytes, Dtype dtype) const;
  // Streams `bytes` through HBM (reads and writes together) in one kernel.
  Time Elementwise(Bytes bytes) const;
  // Kernels one after another, without their launches; see StreamedWork.
  Time Streamed(const StreamedWork& work) const;
  // The same of a kernel that moves rows of them to other places: tokens to their experts.
  Time Permutation(Bytes bytes) const;

  // Transposed operands of 8- and 4-bit matmuls are copies.
  bool narrow_matmuls_one_layout() const { return chip_.narrow_matmuls_one_layout; }

  static Flops AttentionFlops(const AttentionShape& shape);
  // What the kernel executes: with the scores that backward computes again.
  static Flops AttentionKernelFlops(const AttentionShape& shape);
  // Forward reads q, k, v and writes the output; backward reads those and the output's gradient and
  // writes three gradients: Dao, arXiv 2307.08691, algorithms 1 and 2.
  static Bytes AttentionBytes(const AttentionShape& shape, Dtype dtype);
  // What the matmul model sees of one device; result: one element.
  MatmulDevice DeviceOf(Dtype dtype, Bytes result) const;

 private:
  // Of fused attention: over the peak, and heads times sequences that it was measured with (0: unknown).
  struct Rate {
    double fraction = 0, heads = 0;
  };
  double AgainstMeasuredHeads(const AttentionShape& shape, const AttentionTiles& tiles,
                              double heads) const;
  Rate AttentionRate(const AttentionShape& shape) const;
  Seconds CalibratedAttention(const AttentionShape& shape, Dtype dtype) const;

  const Chip chip_;
  const Rates rates_;  // per device
  const bool calibrated_;
};

}  // namespace meshstep

#endif  // MESHSTEP_SIM_COST_COMPUTE_H_
