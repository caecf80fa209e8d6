// Time of one matrix multiplication on one device from its shape.
//
//   T = launch + max( W · (start + max(2·tm·tn·k' / (P/U · e), (tm+tn)·k'·b / load)
//                          + tm·tn·b_out / store),
//                     (bytes - cache) / (HBM · f),
//                     relayout )   [+ split if k is split]
//   W = ceil(tiles / U), tiles = batch · ceil(m/tm) · ceil(n/tn) · parts, k' = k / parts
//
// tm, tn      tile that one unit (SM, compute unit, TensorCore) computes; padding and the nearly
//             empty last wave come from the two ceilings
// U, P, HBM   units, peak and memory rate of the device
// b, b_out    bytes of an operand and of a result element; parts of a split k are stored in fp32
// e, f, start, load, store, split, cache, relayout, launch: the chip file's MatmulCalibration,
//             fitted by tests/validation/fit_matmul.py on measured matmuls
// relayout    reading and writing the right operand once more, where a format wants it transposed;
//             it goes on beside the products
//
// T is the smallest over the tiles and splits a library chooses from (cuBLASLt and Triton try them
// all). Sources: stas00/ml-engineering on tile and wave quantisation; NVIDIA, Matrix Multiplication
// Background User's Guide, sections 3 and 4; split-k: Osama et al., Stream-K, arXiv 2301.03598.
// Measured: median error 2 % (bf16 on H100 and B200), see the chip files.
//
//   CalibratedMatmul({.m = 4096, .n = 4096, .k = 4096}, device, calibration);   // 190 us, H100

#ifndef MESHSTEP_SIM_COST_MATMUL_H_
#define MESHSTEP_SIM_COST_MATMUL_H_

#include <algorithm>

#include "sim/base/dtype.h"
#include "sim/base/units.h"
#include "topologies/chip.h"

namespace meshstep {

// C[m,n] += A[m,k] · B[k,n], `batch` times; sizes per device, fractions allowed where an axis does
// not divide.
struct MatmulShape {
  double batch = 1, m = 1, n = 1, k = 1;
  // Of one element of B in HBM where it is stored narrower than its type and widened inside the
  // kernel; 0: as its type.
  Bytes weight = {};
  bool grouped = false;    // one kernel for groups of rows, each with a matrix of its own
  bool sums_rows = false;  // k are the rows of a group (the gradient of its matrix), not m
  bool precise = false;    // sums leave the matrix units on the way (chip.proto precise_fraction)
  Flops flops() const { return Flops(2 * batch * m * n * k); }
  // Operands and result, each once. result: one element.
  Bytes bytes(Dtype operand, Bytes result) const {
    return batch * (m * k * SizeOf(operand) + k * n * WeightSize(SizeOf(operand)) + m * n * result);
  }
  Bytes WeightSize(Bytes element) const {
    return weight > Bytes(0) ? std::min(weight, element) : element;
  }
};

// What the model needs to know of a device besides the calibration.
struct MatmulDevice {
  double units = 1;
  FlopsPerSecond peak;
  BytesPerSecond hbm;
  Bytes operand;  // one element
  Bytes result;   // one element
};

// One matmul by itself, as the measured tables have it.
Seconds CalibratedMatmul(const MatmulShape& shape, const MatmulDevice& device,
                         const MatmulCalibration& calibration);
// The same with operands that lie as the kernel wants them: no relayout.
Seconds CalibratedMatmulInPlace(const MatmulShape& shape, const MatmulDevice& device,
                                const MatmulCalibration& calibration);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_COST_MATMUL_H_
