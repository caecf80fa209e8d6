// Builds one pass (forward, backward or recomputation) of a block: remembers which step makes each
// array in which sharding, and emits the collectives between.

#ifndef MESHSTEP_STRATEGIES_PASSES_PASS_BUILDER_H_
#define MESHSTEP_STRATEGIES_PASSES_PASS_BUILDER_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "strategies/block/block_view.h"

namespace meshstep {

class PassBuilder : public BlockView {
 public:
  static constexpr int kReady = -1;  // there before the pass (kept activations)
  static constexpr int kInput = -2;  // the pass's input

  using BlockView::BlockView;

  // Says that `key` exists in `sharding`, made by `step`.
  void Define(ArrayKey key, const Sharding& sharding, int step);
  bool IsDefined(ArrayKey key) const { return values_.contains(key); }
  bool Holds(ArrayKey key, const Sharding& sharding) const;
  // Brings `key` to `sharding` and returns the step after which it is there.
  StatusOr<int> Bring(ArrayKey key, const Sharding& sharding);
  // The same for an operand of a matmul, which may have to be its narrow copy. Gathers move that:
  // TransformerEngine casts before it gathers (gather_along_first_dim with a quantizer).
  StatusOr<int> BringOperand(const Op& op, ArrayKey key, const Sharding& sharding);
  // Backward: the first input of `op` is there in `sharding` where forward's gather is kept.
  void KeepGathered(const Op& op, ArrayKey key, const Sharding& sharding) {
    if (KeepsGathered(op) && !Holds(key, sharding)) Define(key, sharding, kReady);
  }
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
               Bytes bytes, const std::vector<int>& after, bool experts = false,
               const Copies& copies = {});
  // The last kernel emitted, for collectives that a framework launches after it; kReady if none.
  int LastKernel() const;
  // The step makes gradients of weights.
  void MarkForWeights(int step) { pass_.steps[static_cast<std::size_t>(step)].for_weights = true; }

  // Steps from `first` on, and `extra` operations of the host
  // (strategies/framework/kernel_sums.h) that they do not stand for, are one op of the model.
  // Without a step they come before the next.
  int steps() const { return static_cast<int>(pass_.steps.size()); }
  void CountLaunches(int first, double extra);
  void SetHostOps(int step, double ops) {
    pass_.steps[static_cast<std::size_t>(step)].host_ops = ops;
  }
  // `step` writes `key` again, in place.
  void Rewrite(ArrayKey key, int step) { values_.at(key).front().second = step; }
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

  BlockPass pass_;
  double host_ops_ = 0;                                               // for the next step
  std::map<ArrayKey, std::vector<std::pair<Sharding, int>>> values_;  // first: the stored one
};

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_PASSES_PASS_BUILDER_H_
