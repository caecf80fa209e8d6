// Builds one pass (forward, backward or recomputation) of a block: remembers which step makes each
// array in which sharding, and emits the collectives between.

#ifndef MESHSTEP_STRATEGIES_PASS_BUILDER_H_
#define MESHSTEP_STRATEGIES_PASS_BUILDER_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "strategies/block_plan.h"

namespace meshstep {

// An array is an activation or, in backward, the gradient of one; `narrow` is its copy in the type
// of the blocks' matmuls, where that is narrower.
struct ArrayKey {
  ArrayId array;
  bool gradient;
  bool narrow = false;
  auto operator<=>(const ArrayKey&) const = default;
};

class PassBuilder {
 public:
  static constexpr int kReady = -1;  // there before the pass (kept activations)
  static constexpr int kInput = -2;  // the pass's input

  PassBuilder(const Block& block, const BlockContext& context) : block_(block), context_(context) {}

  const Block& block() const { return block_; }
  const BlockContext& context() const { return context_; }

  // Sharding in which an array is kept between ops, and in which einsums use it; of a parameter
  // also in which its reduced gradient and its optimizer state are.
  Sharding Stored(ArrayId array) const;
  Sharding Used(ArrayId array) const;
  Sharding Updated(ArrayId parameter) const;
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
  // meets one (strategies/ops/experts.cc).
  Sharding Factor(const Op& op, ArrayId weight) const;
  bool IsRouted(ArrayId array) const;
  // Elements on the busiest rank over the mean: what routing does to the tokens of an array.
  double Load(ArrayId array) const;
  const std::vector<std::string>& DimsOf(ArrayId array) const;
  double StoredBytes(ArrayId array) const;
  double ElementBytes(ArrayKey key) const;
  double LocalBytes(ArrayId array, const Sharding& sharding) const;
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
  // Versions of a weight of narrow matmuls that are kept.
  int WeightVersions() const;

  // Says that `key` exists in `sharding`, made by `step`.
  void Define(ArrayKey key, const Sharding& sharding, int step);
  bool IsDefined(ArrayKey key) const { return values_.contains(key); }
  bool Holds(ArrayKey key, const Sharding& sharding) const;
  // Brings `key` to `sharding` and returns the step after which it is there.
  StatusOr<int> Bring(ArrayKey key, const Sharding& sharding);
  // The same for an operand of a matmul, which may have to be its narrow copy. Gathers move that:
  // TransformerEngine casts before it gathers (gather_along_first_dim with a quantizer).
  StatusOr<int> BringOperand(const Op& op, ArrayKey key, const Sharding& sharding);
  // Backward: `key` is there in `sharding` where the plan keeps what forward gathered.
  void KeepGathered(ArrayKey key, const Sharding& sharding) {
    if (context_.plan->kernels.dtensor && !Holds(key, sharding)) Define(key, sharding, kReady);
  }
  // Kernels of one such cast. With one matmul for each expert Transformer Engine also quantises the
  // tokens of each by themselves, but with delayed scaling (csrc/extensions/cast.cpp,
  // multi_tensor_quantize_impl).
  double CastsOf(const Op& op) const;
  // Makes the narrow copies that `op` reads, as one step, where they are not there yet.
  void Cast(const Op& op, const std::string& name, const std::vector<ArrayKey>& keys);
  // Transposes the gathered operands of a weight gradient; see TransposesGathered.
  void TransposeGathered(const Op& op, const std::vector<std::pair<ArrayKey, Sharding>>& operands,
                         const std::vector<int>& after);
  // Weights that arrived by a gather in a wider type than `op` multiplies in.
  void CastWeights(const Op& op);
  // Weights that arrived by a gather in the type that `op` multiplies in, where the gradient of its
  // input needs them the other way (torchao float8_ops.py preprocess_addmm).
  void TransposeWeights(const Op& op);
  // A result in `natural` sharding (with partial sums), brought to the array's stored sharding.
  Status Finish(ArrayKey key, const Sharding& natural, int step);

  // Emit a step; `after` may hold kReady and kInput.
  int Compute(const std::string& name, Time duration, Flops flops, const std::vector<int>& after,
              bool needs_parameters, Bytes hbm_bytes = {});
  int Transfer(const std::string& name, Collective collective, const std::vector<AxisId>& axes,
               double bytes, const std::vector<int>& after, bool experts = false,
               const Copies& copies = {});
  // The last kernel emitted, for collectives that a framework launches after it; kReady if none.
  int LastKernel() const;
  // The step makes gradients of weights.
  void MarkForWeights(int step) { pass_.steps[static_cast<std::size_t>(step)].for_weights = true; }

  // Steps from `first` on, and `extra` operations of the host (strategies/host_launches.h) that
  // they do not stand for, are one op of the model. Without a step they come before the next.
  int steps() const { return static_cast<int>(pass_.steps.size()); }
  void CountLaunches(int first, double extra);
  // Before it issues `step`, the host reads what the last kernel before `kernel` made.
  void HostReadsBefore(int step, int kernel);
  // The steps from `first` on are in a graph, which is launched with the first if it begins there.
  void LaunchAtOnce(int first, bool begins);

  // The step that made `key` in its stored sharding.
  int StepOf(ArrayKey key) const;
  BlockPass Take(int output);

 private:
  int AddPart(ArrayKey key, int before, int part);
  // Of the kernels of a cast that move `bytes` together.
  Time CastTime(double bytes) const;
  StatusOr<int> Emit(ArrayKey key, const Sharding& from, const Sharding& to, int step);

  const Block& block_;
  const BlockContext& context_;
  BlockPass pass_;
  double host_ops_ = 0;                                               // for the next step
  std::map<ArrayKey, std::vector<std::pair<Sharding, int>>> values_;  // first: the stored one
};

// Bytes that a reshard step moves, as sim/cost/collective.h counts them for its collective; slices
// are free and must not be asked.
Collective CollectiveOf(ReshardStep::Op op);
double TransferBytes(const ReshardStep& step, const BlockContext& context, double element_bytes);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_PASS_BUILDER_H_
