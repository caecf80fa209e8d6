// Products of one input: the query, key and value of attention, the gate and the width of an MLP. A
// framework runs them as one matmul over joined weights or, where every weight is a module of its
// own (torchtitan's Attention and FeedForward), each by itself (Kernels::separate_projections).
//
// Then backward makes the gradient of the input in as many parts. PyTorch adds two at a time,
// reading both and writing the sum (Kernels::separate_sums). TorchInductor leaves the sum to the
// kernel that reads it next, which reads one part more for each (torch/_inductor/fx_passes/
// post_grad.py should_prefer_unfused_addmm), unless that is a collective: then it runs addmm, whose
// kernel copies the part before into its result and reads it there.

#ifndef MESHSTEP_STRATEGIES_PASSES_PROJECTIONS_H_
#define MESHSTEP_STRATEGIES_PASSES_PROJECTIONS_H_

#include <set>
#include <vector>

#include "strategies/passes/pass_builder.h"

namespace meshstep {

// Whether `op` runs as a matmul for each of its weights.
bool RunsSeparately(const Op& op, const Plan& plan);

// The matmuls of `op`: `joined`, or with the width n of each weight in its place.
std::vector<MatmulShape> ProductsOf(const Op& op, const MatmulShape& joined,
                                    const std::vector<double>& widths, const Plan& plan);

// dx[m, k] = dy[m, n] · W[n, k] and dW[k, n] = x[k, m] · dy[m, n] of each.
std::vector<MatmulShape> InputGradients(const std::vector<MatmulShape>& products);
std::vector<MatmulShape> WeightGradients(const std::vector<MatmulShape>& products);

// Emits what adds `part` to the parts of the gradient of the input before it; returns the last
// step. leaves: a collective takes the sum.
int AddProduct(const Op& op, const Sharding& gradient, bool leaves, int part, PassBuilder* pass);

// `op` with only those of its weights whose products are in `made`.
Op WithProducts(const Op& op, const std::set<ArrayId>& made);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_PASSES_PROJECTIONS_H_
