// Emits the runs of blocks of all stages in the order of the schedule, and what stages send each
// other.
//
// Each stage has a list of actions (strategies/plan/schedules/schedule.h). An action may run when
// its input is there: the stage whose next action is ready emits it, block by block, and delivers
// what leaves its chunk to the stage that holds the next part, until no stage can go on. Every
// action is emitted once, so this takes time proportional to the tasks; a schedule that waits for
// itself leaves actions behind. Then gradients that leave late and the optimizer follow.
//
// Who does what of it:
//   BlockRunner          the passes of one block, step by step
//   ParameterGatherer    parameters before a run, GradientReducer gradients after it
//   ActivationOffloader  activations to the host between forward and backward
//   Updater              the optimizer
//   StepContext          what all share: tasks, the host's clock, memory, ends of runs

#ifndef MESHSTEP_STRATEGIES_STEP_STEP_EMITTER_H_
#define MESHSTEP_STRATEGIES_STEP_STEP_EMITTER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "sim/base/status.h"
#include "strategies/step/block_runner.h"
#include "strategies/step/send_transfers.h"
#include "strategies/step/step_context.h"
#include "strategies/step/step_fold.h"
#include "strategies/step/updater.h"

namespace meshstep {

class StepEmitter {
 public:
  // fold: which micro-batches are emitted, if not all; then `record` is filled.
  StepEmitter(const Scenario& scenario, const LoweredModel& model, const StepRates& rates,
              const SendTransfers& send, StepBuilder* builder, StepGraph* out,
              const StepFold* fold = nullptr, FoldRecord* record = nullptr);

  // Error: the schedule waits for itself.
  Status Emit();

 private:
  struct Stage {
    std::vector<Action> actions;
    std::size_t next = 0;
    std::vector<int> parts;                   // by chunk
    std::vector<std::int64_t> last_backward;  // by chunk: its last micro-batch in backward
  };
  // One action on its way through the blocks of its chunk.
  struct Chain {
    int stage;
    Action action;
    int part;
    std::vector<LayerRef> layers;
    std::size_t at = 0;
    UnitTasks value = {};
    BlockRun run = {};
    bool running = false;
    bool Done() const { return at == layers.size(); }
  };

  std::size_t ExpectedTasks() const;
  void HoldResident(int stage);
  int PartOf(int stage, const Action& action) const;
  UnitTasks* InputOf(int part, const Action& action);
  bool NextReady(int stage);
  Status RunNext(int stage);
  StatusOr<Chain> Start(int stage, const Action& action);
  StatusOr<UnitTasks> Received(int stage, int part, const Action& action);
  Status Advance(Chain* chain, bool to_transfer);
  Status Deliver(const Chain& chain);
  void Note(int stage, const std::vector<Chain>& ran);
  std::string Stuck() const;

  StepContext context_;
  const StepGraph& out_;
  const StepFold* const fold_;
  FoldRecord* const record_;
  const Pipeline shape_;  // of what is emitted
  const SendTransfers send_;
  ParameterGatherer gatherer_;
  ActivationOffloader offloader_;
  GradientReducer reducer_;
  Updater updater_;
  BlockRunner runner_;
  std::vector<Stage> stages_;
  // Per part and micro-batch: what its forward or backward waits for; empty: not there yet.
  std::vector<std::vector<UnitTasks>> forward_input_, backward_input_;
  const std::string* const send_name_;
};

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_STEP_STEP_EMITTER_H_
