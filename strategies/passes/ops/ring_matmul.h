// Matmuls in parts beside a ring, so that a gather before them or a reduce-scatter after them
// hides: Wang et al., "Overlap Communication with Dependent Computation via Decomposition", ASPLOS
// 2023, §5.1; TransformerEngine's userbuffers and PyTorch's async tensor parallelism do the same.
//
//   gather:  part i of x is multiplied while part i + 1 is on its way
//   scatter: the product of part i is made while that of part i - 1 is on its way to the rank that
//            keeps its sum; there one kernel reads the p parts that came and writes it
//            (TransformerEngine comm_gemm_overlap.cpp split_overlap_rs; PyTorch
//            torch/distributed/_symmetric_memory _fused_matmul_reduce_scatter_impl)
//
// p ranks: p parts, p - 1 messages of 1/p of the array each. Around a ring of a torus half of each
// goes either way, so that both links of the axis work (Wang et al., section 5.4).

#ifndef MESHSTEP_STRATEGIES_PASSES_OPS_RING_MATMUL_H_
#define MESHSTEP_STRATEGIES_PASSES_OPS_RING_MATMUL_H_

#include <string>
#include <vector>

#include "strategies/block/block_view.h"
#include "strategies/passes/pass_builder.h"

namespace meshstep {

// The ring that takes the place of one collective on an array. parts 1: there is none.
struct MatmulRing {
  int parts = 1;
  std::vector<AxisId> axes;
  Bytes part_bytes;
  std::string array;
};

// Where the plan decomposes, and bringing `key` to `used` is one all-gather.
MatmulRing GatherRing(const Op& op, ArrayKey key, const Sharding& used, const PassBuilder& pass);
// Where the plan decomposes, and storing `key`, made in `natural` sharding, is one reduce-scatter.
MatmulRing ScatterRing(const Op& op, ArrayKey key, const Sharding& natural, const BlockView& pass);

// Kernels whole, of `shapes`, one after another, with `dtype` operands and one of them in common.
struct MatmulKernel {
  std::string name;
  std::vector<MatmulShape> shapes;
  Dtype dtype = Dtype::kBf16;
  Bytes result;  // one element
};

// Emit the parts; return the last step. The gathered array is defined as well.
int GatherMatmul(const MatmulKernel& kernel, const MatmulRing& ring, ArrayKey key,
                 const Sharding& used, const std::vector<int>& after, PassBuilder* pass);
int MatmulScatter(const MatmulKernel& kernel, const MatmulRing& ring, const std::vector<int>& after,
                  PassBuilder* pass);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_PASSES_OPS_RING_MATMUL_H_
