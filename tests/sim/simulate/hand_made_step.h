// Step graphs made by hand: units with a compute and a communication stream, kernels and transfers
// of given durations in picoseconds.
//
//   HandMadeStep step;
//   const int u = step.AddUnit(/*stage=*/0);
//   const TaskId a = step.Kernel(u, 10);
//   const TaskId g = step.Transfer({u}, 5, {a});
//   step.Kernel(u, 10, {g});

#ifndef MESHSTEP_TESTS_SIM_SIMULATE_HAND_MADE_STEP_H_
#define MESHSTEP_TESTS_SIM_SIMULATE_HAND_MADE_STEP_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sim/base/check.h"
#include "sim/engine/engine.h"
#include "strategies/step/step_graph.h"

namespace meshstep {

class HandMadeStep {
 public:
  int AddUnit(int stage, std::int64_t devices = 1) {
    const int unit = static_cast<int>(step_.units.size());
    step_.units.push_back({stage, unit, devices});
    step_.compute_stream.push_back(step_.graph.AddStream());
    step_.streams.push_back({unit, "compute"});
    comm_.push_back(step_.graph.AddStream());
    step_.streams.push_back({unit, "communication"});
    step_.resident.push_back({});
    return unit;
  }

  // A kernel of `ps` picoseconds.
  TaskId Kernel(int unit, std::int64_t ps, const std::vector<TaskId>& after = {},
                TaskKind kind = TaskKind::kCompute, Pass pass = Pass::kForward,
                const std::string& name = "kernel") {
    const TaskId task =
        step_.graph.AddTimed(step_.compute_stream[static_cast<std::size_t>(unit)], Time(ps), after);
    step_.tasks.push_back({Name(name), -1, {}, 0, kind, pass});
    return task;
  }

  // A transfer of all of `units` that takes `ps` after its last member arrives; `kind` picks the
  // entry of StepGraph::transfers.
  TaskId Transfer(const std::vector<int>& units, std::int64_t ps,
                  const std::vector<TaskId>& after = {}, int kind = 0) {
    std::vector<StreamId> members;
    for (const int unit : units) members.push_back(comm_[static_cast<std::size_t>(unit)]);
    const PatternId pattern = step_.graph.AddPattern({Phase{Time(ps), {}, 0}});
    const TaskId task = step_.graph.AddTransfer(members, pattern, after);
    step_.tasks.push_back({Name("array"), kind, {}, 0, TaskKind::kTransfer, Pass::kForward});
    while (step_.transfers.size() <= static_cast<std::size_t>(kind)) {
      step_.transfers.push_back({{Collective::kAllGather, {0}, Role::kParameters, Bytes(1)}, "ring", 1});
    }
    return task;
  }

  void Memory(TaskId task, bool at_end, int unit, MemoryBucket bucket, double bytes) {
    step_.memory.push_back({task, at_end, unit, bucket, bytes});
  }

  StepGraph& step() { return step_; }
  Run Simulated() const {
    StatusOr<Run> run = RunGraph(step_.graph);
    CHECK(run.ok());
    return *std::move(run);
  }

 private:
  const std::string* Name(const std::string& name) {
    step_.names.push_back(std::make_unique<std::string>(name));
    return step_.names.back().get();
  }

  StepGraph step_;
  std::vector<StreamId> comm_;
};

}  // namespace meshstep

#endif  // MESHSTEP_TESTS_SIM_SIMULATE_HAND_MADE_STEP_H_
