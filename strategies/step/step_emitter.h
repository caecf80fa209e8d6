// Emits the runs of blocks of all stages in the order of the schedule, with the collectives and the
// memory that they take.

#ifndef MESHSTEP_STRATEGIES_STEP_STEP_EMITTER_H_
#define MESHSTEP_STRATEGIES_STEP_STEP_EMITTER_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "strategies/step/lowered_model.h"
#include "strategies/step/step_builder.h"

namespace meshstep {

// Between stages: the transfer, and what gathers its parts on arrival; -1: there is none.
struct SendTransfers {
  int send = -1, gather = -1;
};

class StepEmitter {
 public:
  // send: the transfer between stages, -1 without a pipeline. dispatch: of one operation by the
  // host.
  StepEmitter(const Scenario& scenario, const LoweredModel& model, const ComputeModel& compute,
              StepBuilder* builder, StepGraph* out, const SendTransfers& send, Seconds dispatch);

  // Error: the schedule waits for itself.
  Status Emit();

 private:
  struct Chunk {
    int part = 0;
    std::int64_t last_backward = -1;  // its last micro-batch in backward
  };
  struct HostState {
    std::vector<UnitTasks> waits;  // what it waits for before its next operation
    Seconds pending;               // of operations since its last task
    Seconds ahead;                 // of the next kernel, at least
    Seconds busy;                  // kernels emitted
    bool held = true;              // kernels need not follow what it waits for: it does not gain
  };
  struct StageState {
    std::vector<Action> actions;
    std::size_t next = 0;
    std::vector<Chunk> chunks;
    std::vector<UnitTasks> run_ends;  // last compute task of each run, in order
    LayerRef last_block;              // of the run before
    UnitTasks gathered;               // when its parameters were there
    std::set<LayerRef> seen;          // layers that ran forward
    std::vector<UnitTasks> open;      // gradients that wait for their bucket
    std::vector<UnitTasks> reduced;   // ends of what leaves in every micro-batch, in order
    std::vector<UnitTasks> updates;   // what the optimizer waits for
    // Per layer and micro-batch: when its activations were on the host.
    std::map<std::pair<LayerRef, int>, UnitTasks> on_host;
    HostState host;
  };
  // One block on its way through its passes.
  struct Run {
    StepBuilder::Where where;
    const LoweredBlock* block = nullptr;
    std::vector<std::pair<Pass, const BlockPass*>> passes;
    std::size_t pass = 0, step = 0;
    Seconds busy_before;  // kernels of the stage when the pass began
    const std::vector<const std::string*>* names = nullptr;  // of the steps of the pass
    std::vector<UnitTasks> made;                             // by the steps of the pass
    UnitTasks input, gathered, before, first, last, output;
    UnitTasks hold;      // its first kernel waits for this reduction
    UnitTasks loaded;    // from the host; empty: nothing to wait for
    bool ahead = false;  // its collectives need not wait for its kernels
    bool Done() const { return pass == passes.size(); }
  };
  // One action on its way through the blocks of its chunk.
  struct Chain {
    int stage;
    Action action;
    std::vector<LayerRef> layers;
    std::size_t at = 0;
    UnitTasks value;
    Run run;
    bool running = false;
    bool Done() const { return at == layers.size(); }
  };

  std::size_t ExpectedTasks() const;
  bool Ready(int stage, const Action& action) const;
  bool NextReady(int stage) const;
  Status RunNext(int stage);
  StatusOr<Chain> Start(int stage, const Action& action);
  StatusOr<UnitTasks> Received(int stage, int part, const Action& action);
  Status Advance(Chain* chain, bool to_transfer);
  Status Deliver(const Chain& chain);
  StatusOr<Run> Begin(int stage, LayerRef layer, const Action& action, const UnitTasks& input);
  Status EmitSteps(Run* run, bool to_transfer);
  const std::vector<const std::string*>& NamesOf(const BlockPass& pass);
  Status EmitStep(Run* run, const BlockPass& pass, Pass kind, std::size_t i);
  Status End(const Run& run, const Action& action);
  StatusOr<UnitTasks> GatherParameters(int stage, LayerRef layer, const Action& action);
  UnitTasks PassOverGradients(const StepBuilder::Where& where, const LoweredBlock& block,
                              const UnitTasks& after);
  // A kernel beside a transfer (strategies/framework/sharded_copies.h); `after` if it moves
  // nothing.
  UnitTasks Copy(const StepBuilder::Where& where, const std::string* name, double bytes,
                 const UnitTasks& after);
  Status ReduceGradients(const StepBuilder::Where& where, const LoweredBlock& block, int part,
                         bool last, const UnitTasks& after);
  Status EmitBucket(const StepBuilder::Where& where, const GradientBucket& bucket,
                    const std::vector<UnitTasks>& after);
  Status ReduceLate(int stage);
  Status ShareGradients();
  // step_update.cc
  Status Update(int stage);
  Status UpdateWhole(int stage);
  Status UpdateFromHost(int stage);
  UnitTasks AddUpdate(const StepBuilder::Where& where, double elements, double cast,
                      std::span<const UnitTasks* const> after);
  Status GatherUpdated(int stage, LayerRef layer, const UnitTasks& updated);
  Status StoreActivations(const Run& run);
  StatusOr<UnitTasks> LoadActivations(const Run& run);
  // step_host.cc
  UnitTasks Issue(const StepBuilder::Where& where, double operations,
                  std::optional<Seconds> behind = std::nullopt);
  UnitTasks Issued(const StepBuilder::Where& where);
  void HostGainsBy(int stage, Time kernel);
  std::optional<Seconds> Behind(const Run& run, const BlockPass& pass, const BlockStep& step) const;
  void HostWaitsFor(int stage, const UnitTasks& tasks);
  StatusOr<UnitTasks> Transfer(const StepBuilder::Where& where, const std::string* name,
                               int transfer, std::vector<const UnitTasks*> after,
                               double operations = 1);
  UnitTasks Ahead(int stage) const;
  std::string Stuck() const;
  void Resident(int stage);
  void Memory(int stage, const UnitTasks& tasks, bool at_end, MemoryBucket bucket, double bytes);
  LayerRef LastBlock() const {
    const int further = scenario_.model.mtp_layers;
    return further > 0 ? LayerRef::MtpHead(further - 1) : LayerRef::Head();
  }
  UnitTasks None(int stage) const;
  const std::vector<LayerRef>& LayersOf(int stage, int chunk) const;

  const Scenario& scenario_;
  const Plan& plan_;
  const Pipeline shape_;
  const LoweredModel& model_;
  const ComputeModel& compute_;
  StepBuilder& builder_;
  StepGraph& out_;
  const SendTransfers send_;
  std::vector<StageState> stages_;
  // Per part and micro-batch: what its forward or backward waits for; empty: not there yet.
  std::vector<std::vector<UnitTasks>> forward_input_, backward_input_;
  const Seconds dispatch_;
  std::map<const BlockPass*, std::vector<const std::string*>> names_;
  const std::string *launch_name_, *gather_name_, *copy_out_name_, *copy_in_name_, *reduce_name_,
      *update_name_, *offload_name_, *send_name_, *gradients_name_;
};

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_STEP_STEP_EMITTER_H_
