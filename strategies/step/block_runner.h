// One block on its way through the passes of an action: forward, or recomputation and backward, or
// the half of a split backward.

#ifndef MESHSTEP_STRATEGIES_STEP_BLOCK_RUNNER_H_
#define MESHSTEP_STRATEGIES_STEP_BLOCK_RUNNER_H_

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "sim/base/status.h"
#include "strategies/plan/schedules/schedule.h"
#include "strategies/step/activation_offloader.h"
#include "strategies/step/gradient_reducer.h"
#include "strategies/step/parameter_gatherer.h"
#include "strategies/step/step_context.h"

namespace meshstep {

// What holds of a step of a pass in every run.
struct StepFacts {
  const std::string* name;
  Time duration;  // of a kernel, on the slowest chip
  bool is_kernel;
  bool follows_kernel;  // of the same pass
};

struct BlockRun {
  using Passes = absl::InlinedVector<std::pair<Pass, const BlockPass*>, 2>;
  // The step to emit next, and what the pass has made so far.
  struct Cursor {
    std::size_t pass = 0, step = 0;
    Seconds busy_before;               // kernels of the stage before the pass
    const StepFacts* facts = nullptr;  // of the steps of the pass
    std::vector<UnitTasks> made;       // by the steps of the pass
  };
  // What its steps wait for beside each other; of hold and loaded only the first kernel.
  struct Waits {
    UnitTasks input, gathered;
    UnitTasks before;    // the run before
    UnitTasks hold;      // a reduction (GradientReducer::HeldBy)
    UnitTasks loaded;    // activations from the host
    bool ahead = false;  // its collectives follow the run before, not its own kernels
  };

  StepBuilder::Where where;
  Action::Kind kind = Action::Kind::kForward;
  const LoweredBlock* block = nullptr;
  Passes passes;
  Cursor at;
  Waits waits;
  UnitTasks first, last;  // its first task and its last kernel
  UnitTasks output;       // what makes the result of the pass before
  bool Done() const { return at.pass == passes.size(); }
};

class BlockRunner {
 public:
  BlockRunner(StepContext* context, ParameterGatherer* gatherer, ActivationOffloader* offloader,
              GradientReducer* reducer);

  // Begins a run of `layer` on what `input` made, and brings what it needs.
  StatusOr<BlockRun> Begin(int stage, const LayerRef& layer, const Action& action,
                           const UnitTasks& input);
  // Emits its steps; to_transfer: stops where a kernel may have to wait for a collective.
  Status Advance(BlockRun* run, bool to_transfer);
  // Once it is done: memory that it took and left, and the gradients that it made. part, last: as
  // GradientReducer::Reduce takes them.
  Status End(const BlockRun& run, int part, bool last);

 private:
  const StepFacts* FactsOf(const BlockPass& pass);
  Status EmitStep(BlockRun* run, const BlockPass& pass, Pass kind, std::size_t i);
  std::optional<Seconds> Behind(const BlockRun& run, const StepFacts& step) const;
  void CountMemory(const BlockRun& run);

  StepContext& context_;
  ParameterGatherer& gatherer_;
  ActivationOffloader& offloader_;
  GradientReducer& reducer_;
  std::map<const BlockPass*, std::vector<StepFacts>> facts_;
};

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_STEP_BLOCK_RUNNER_H_
