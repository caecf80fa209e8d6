// Builds the task graph of a step: instantiates block plans on the units of each stage.

#ifndef MESHSTEP_STRATEGIES_STEP_BUILDER_H_
#define MESHSTEP_STRATEGIES_STEP_BUILDER_H_

#include <array>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "strategies/lowering.h"

namespace meshstep {

// One task id per unit of a stage; -1 where there is nothing to wait for.
using UnitTasks = std::vector<TaskId>;

// Streams, groups and patterns of the units; knows nothing of blocks.
class StepBuilder {
 public:
  // `model` works on link classes; `explicit_model` on links, or is null when folded. taken: what a
  // collective takes of a device's compute units, in millionths.
  StepBuilder(const Plan& plan, const Mesh& mesh, const LinkClasses& classes,
              const CollectiveModel& model, const CollectiveModel* explicit_model,
              const TransferTable& transfers, std::int32_t taken, double slowest,
              BytesPerSecond host, StepGraph* out);

  int units_of(int stage) const { return static_cast<int>(stage_units_[Index(stage)].size()); }
  int unit(int stage, int i) const { return stage_units_[Index(stage)][Index(i)]; }

  // What all tasks of a pass have in common.
  struct Where {
    int stage = 0;
    int layer = -2;
    int micro_batch = 0;
    Pass pass = Pass::kForward;
  };

  // One task on the compute stream of every unit. deps: per unit, several lists.
  UnitTasks AddCompute(const Where& where, TaskKind kind, const std::string* name, Time duration,
                       std::span<const UnitTasks* const> after, Flops flops = {},
                       Bytes hbm_bytes = {});
  // The host of every unit works for `duration`.
  UnitTasks AddHost(const Where& where, const std::string* name, Time duration,
                    std::span<const UnitTasks* const> after);
  // One collective in every group of the stage.
  StatusOr<UnitTasks> AddTransfer(const Where& where, const std::string* name, int transfer,
                                  std::span<const UnitTasks* const> after);
  // Every unit of where.stage sends to its counterpart of stage `to`; the result is per unit of
  // `to`. `direction` keeps forward and backward transfers on streams of their own.
  StatusOr<UnitTasks> AddSend(const Where& where, int to, const std::string* name, int transfer,
                              const char* direction, std::span<const UnitTasks* const> after);

  const std::string* Intern(const std::string& name);

 private:
  static std::size_t Index(int i) { return static_cast<std::size_t>(i); }
  bool IsDistinguished(AxisId axis) const;
  std::vector<int> KeyOf(DeviceId device) const;
  void ListUnits(AxisId axis, std::vector<int>* coordinates, std::vector<DeviceId>* devices) const;
  StreamId Stream(int unit, const std::string& name);
  struct GroupOfUnits {
    std::vector<int> members;  // positions in stage_units_
  };
  const std::vector<GroupOfUnits>& Groups(int stage, const std::vector<AxisId>& axes);
  StatusOr<PatternId> Pattern(int transfer, DeviceId device);
  StatusOr<PatternId> SendPattern(int transfer, DeviceId from, DeviceId to);
  PatternId Add(const CollectiveCost& cost, int transfer);
  PatternId HostPattern(int transfer);
  void Record(const Where& where, TaskKind kind, const std::string* name, int transfer);
  std::string Algorithm(const TransferSpec& spec) const;

  const Plan& plan_;
  const Mesh& mesh_;
  const LinkClasses& classes_;
  const CollectiveModel& model_;
  const CollectiveModel* explicit_model_;
  const bool unfolded_;
  const TransferTable& transfers_;
  const std::int32_t taken_;
  const double slowest_;       // time of matmuls and attention on the slowest chip over the mean
  const BytesPerSecond host_;  // of one device's link to its host, one way
  StepGraph* out_;
  std::vector<std::vector<int>> stage_units_;
  struct UnitPlace {
    int unit, position;  // position in stage_units_
  };
  std::map<std::vector<int>, UnitPlace> unit_of_;
  std::map<std::pair<int, std::string>, StreamId> streams_;
  std::map<std::pair<int, std::vector<AxisId>>, std::vector<GroupOfUnits>> groups_;
  std::map<std::tuple<int, DeviceId, DeviceId>, PatternId> patterns_;
  std::map<std::string, const std::string*> names_;
  std::vector<std::string> stream_name_;  // per transfer
  std::vector<TaskId> scratch_;
  std::vector<StreamId> scratch_streams_;
};

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_STEP_BUILDER_H_
