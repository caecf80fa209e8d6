// Questions about a block under a plan: in which sharding and type each array is kept, used,
// updated and moved, and how many bytes that is on one device.

#ifndef MESHSTEP_STRATEGIES_BLOCK_BLOCK_VIEW_H_
#define MESHSTEP_STRATEGIES_BLOCK_BLOCK_VIEW_H_

#include <string>
#include <vector>

#include "sim/base/dtype.h"
#include "strategies/algebra/sharding.h"
#include "strategies/block/block_context.h"

namespace meshstep {

// An array is an activation or, in backward, the gradient of one; `narrow` is its copy in the type
// of the blocks' matmuls, where that is narrower.
struct ArrayKey {
  ArrayId array;
  bool gradient;
  bool narrow = false;
  auto operator<=>(const ArrayKey&) const = default;
};

class BlockView {
 public:
  BlockView(const Block& block, const BlockContext& context) : block_(block), context_(context) {}

  const Block& block() const { return block_; }
  const BlockContext& context() const { return context_; }

  // Sharding in which an array is kept between ops, and in which einsums use it; of a parameter
  // also in which its reduced gradient and its optimizer state are.
  Sharding Stored(ArrayId array) const;
  Sharding Used(ArrayId array) const;
  Sharding Updated(ArrayId parameter) const;
  // Sharding in which a mixer with a state works on it: as used, but where heads take the place of
  // the sequence (ContextMethod::kUlysses) its axes shard them; keys of fewer heads are whole.
  Sharding Chunked(ArrayId array) const;
  // Sharding in which `op` uses its first input: a matmul between arrays of the residual stream
  // works on the positions that a rank has.
  Sharding Operand(const Op& op) const;
  // Sharding in which an elementwise op reads `input`: as it is kept, but for one of the residual
  // stream that goes into an array of einsums (the rotary key of latent attention, for every head).
  Sharding ElementwiseOperand(const Op& op, ArrayId input) const;
  // `input` as the sharding of a gradient: where the input is repeated along dimensions of the
  // output, it is partial over the axes of those.
  Sharding SummedOver(const Op& op, Sharding input) const;
  // Sharding of a weight as a factor: experts are not a dimension of the product, as each token
  // meets one (strategies/passes/ops/experts.cc).
  Sharding Factor(const Op& op, ArrayId weight) const;
  bool IsRouted(ArrayId array) const;
  // Elements on the busiest rank over the mean: what routing does to the tokens of an array.
  double Load(ArrayId array) const;
  const std::vector<std::string>& DimsOf(ArrayId array) const;
  double StoredBytes(ArrayId array) const;
  double ElementBytes(ArrayKey key) const;
  double LocalBytes(ArrayId array, const Sharding& sharding) const;
  // The weight of a matmul that runs in Precision::compute.
  bool IsMatmulWeight(ArrayId parameter) const;
  // The number format of a matmul, and whether its operands are cast to get there.
  Dtype TypeOf(const Op& op) const;
  bool IsNarrow(const Op& op) const;
  // Bytes that a cast of `array` to the narrow type writes.
  double CastBytes(ArrayId array) const;
  // The narrow operand in `sharding` arrives by a gather, which does not move transposed copies on
  // chips whose matmuls take one layout: TransformerEngine gathers the rows and transposes what has
  // arrived (docs/features/low_precision_training/fp8_current_scaling, "All-gather of columnwise
  // tensors").
  bool TransposesGathered(ArrayId array, const Sharding& sharding) const;
  // Bytes of narrow copies that `op`, if it is a norm, writes for the matmuls after it;
  // only_narrow: nothing else reads its result.
  double CastInNorm(const Op& op, bool* only_narrow) const;
  // What the product `op` gathers in forward stays for the gradient of its weight: DTensor's, and
  // tokens that the ranks of one expert gather in Megatron-Core's dispatchers, which hand them to the
  // experts' linear layers (transformer/moe/token_dispatcher.py: gather_from_sequence_parallel_region
  // over the expert's tensor ranks before the experts, its reduce-scatter after them).
  bool KeepsGathered(const Op& op) const;
  // Versions of a weight of narrow matmuls that are kept; without a backward, one.
  int WeightVersions() const;
  // Kernels of a cast of what `op` reads. With one matmul for each expert Transformer Engine also
  // quantises the tokens of each by themselves, but with delayed scaling (csrc/extensions/cast.cpp,
  // multi_tensor_quantize_impl).
  double CastsOf(const Op& op) const;

 protected:
  const Block& block_;
  const BlockContext& context_;
};

// Bytes that a reshard step moves, as sim/cost/collective.h counts them for its collective; slices
// are free and must not be asked.
Collective CollectiveOf(ReshardStep::Op op);
Bytes TransferBytes(const ReshardStep& step, const BlockContext& context, double element_bytes);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_BLOCK_BLOCK_VIEW_H_
