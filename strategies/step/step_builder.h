// Builds the task graph of a step: kernels on the streams of every unit of a stage, transfers in
// every group of units that run them together. It knows streams, groups and patterns, and nothing
// of blocks.

#ifndef MESHSTEP_STRATEGIES_STEP_STEP_BUILDER_H_
#define MESHSTEP_STRATEGIES_STEP_STEP_BUILDER_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "sim/base/index.h"
#include "sim/base/units.h"
#include "sim/cost/collective_cost.h"
#include "strategies/step/step_graph.h"
#include "strategies/step/step_rates.h"
#include "strategies/step/step_units.h"
#include "strategies/step/unit_tasks.h"

namespace meshstep {

// What a task waits for.
using TaskLists = absl::InlinedVector<const UnitTasks*, 8>;

class StepBuilder {
 public:
  StepBuilder(const StepUnits& units, const TransferTable& transfers, const StepRates& rates,
              StepGraph* out);

  int units_of(int stage) const { return static_cast<int>(stage_units_[Index(stage)].size()); }
  int unit(int stage, int i) const { return stage_units_[Index(stage)][Index(i)]; }
  std::int64_t DevicesOf(int stage) const { return devices_[Index(stage)]; }
  // Nothing to wait for, on any unit of the stage.
  UnitTasks None(int stage) const { return UnitTasks(stage_units_[Index(stage)].size(), -1); }
  // Room for about so many tasks.
  void Reserve(std::size_t tasks);

  // What all tasks of a pass have in common.
  struct Where {
    int stage = 0;
    LayerRef layer;
    int micro_batch = 0;
    Pass pass = Pass::kForward;
  };

  // What a kernel takes on the slowest chip, for which all others wait.
  Time OnSlowest(Time duration, Flops flops) const;
  // One task on the compute stream of every unit of the stage, after the tasks that `after` has for
  // the unit. flops: of one device. `slowed`: the duration is on the slowest chip already.
  UnitTasks AddCompute(const Where& where, TaskKind kind, const std::string* name, Time duration,
                       std::span<const UnitTasks* const> after, Flops flops = {},
                       Bytes hbm_bytes = {}, bool slowed = false);
  // The host of every unit works for `duration`.
  UnitTasks AddHost(const Where& where, const std::string* name, Time duration,
                    std::span<const UnitTasks* const> after);
  // One collective in every group of the stage.
  StatusOr<UnitTasks> AddTransfer(const Where& where, const std::string* name, int transfer,
                                  std::span<const UnitTasks* const> after);
  // Every unit of where.stage sends to its counterpart of stage `to`; the result is per unit of
  // `to`. `direction` keeps forward and backward transfers on streams of their own.
  UnitTasks AddSend(const Where& where, int to, const std::string* name, int transfer,
                    const char* direction, std::span<const UnitTasks* const> after);

  const std::string* Intern(const std::string& name);

 private:
  // Units that run a transfer together, by their positions in stage_units_.
  struct Group {
    std::vector<int> members;  // who it waits for
    std::vector<int> ends;     // who waits for it
    std::vector<StreamId> streams;
    PatternId pattern = -1;
  };
  StreamId Stream(int unit, const std::string& name);
  StreamId HostStream(int unit);
  std::string StreamName(int transfer) const;
  StatusOr<const std::vector<Group>*> Groups(int transfer, int stage);
  UnitTasks AddToGroups(const Where& where, const std::string* name, int transfer,
                        const std::vector<Group>& groups, std::size_t units,
                        std::span<const UnitTasks* const> after);
  PatternId Add(const CollectiveCost& cost, int transfer);
  PatternId HostPattern(int transfer);
  void Record(const Where& where, TaskKind kind, const std::string* name, int transfer);

  const StepUnits& step_units_;
  const TransferTable& transfers_;
  const StepRates& rates_;
  StepGraph* out_;
  const std::vector<std::vector<int>>& stage_units_;
  std::vector<std::int64_t> devices_;                    // per stage
  std::vector<int> position_;                            // per unit: in stage_units_
  std::vector<StreamId> host_stream_;                    // per unit; -1: none yet
  std::vector<std::vector<std::vector<Group>>> groups_;  // by transfer and stage
  std::map<std::pair<StageSend, std::string>, std::vector<Group>> sends_;  // and direction
  std::map<std::pair<StageSend, int>, PatternId> send_patterns_;           // and sender
  std::map<std::pair<int, std::string>, StreamId> streams_;
  std::map<std::string, const std::string*> names_;
  std::vector<TaskId> scratch_;
};

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_STEP_STEP_BUILDER_H_
