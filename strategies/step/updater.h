// The optimizer's update of what each stage holds, and what gathers its result.

#ifndef MESHSTEP_STRATEGIES_STEP_UPDATER_H_
#define MESHSTEP_STRATEGIES_STEP_UPDATER_H_

#include <span>
#include <string>
#include <vector>

#include "sim/base/status.h"
#include "strategies/step/step_context.h"

namespace meshstep {

// What an update reads and writes beside the optimizer's own: copies of parameters that are made
// anew, and gradients that are set to zero for the next step.
double CastAndZeroedBytes(const LoweredBlock& block, const Plan& plan);

// What an update works on, on one device.
struct UpdatedElements {
  double matrices = 0, others = 0;
  UpdatedElements() = default;
  explicit UpdatedElements(const LoweredBlock& block)
      : matrices(block.matrix_elements), others(block.optimizer - block.matrix_elements) {}
  UpdatedElements& operator+=(const UpdatedElements& more) {
    matrices += more.matrices;
    others += more.others;
    return *this;
  }
};

// Of one update of so many elements, with `cast` bytes as above; muon's directions come on top.
Time UpdateTime(const ComputeModel& compute, const Plan& plan, const UpdatedElements& elements,
                double cast);

class Updater {
 public:
  explicit Updater(StepContext* context);

  // Of a stage that holds `parts`. gradients: what it waits for.
  Status Update(int stage, const std::vector<int>& parts, const std::vector<UnitTasks>& gradients);

 private:
  using After = std::span<const UnitTasks* const>;
  // All blocks at once.
  Status UpdateWhole(int stage, const std::vector<int>& parts, const std::vector<LayerRef>& layers,
                     const std::vector<UnitTasks>& gradients);
  // What is left to do for matrices whose momentum is there after `ready`; `elements` of them.
  StatusOr<UnitTasks> UpdateMatrices(int stage, const std::vector<int>& parts, double elements,
                                     UnitTasks ready);
  // Block by block: the state of one comes while another is updated and that before it leaves, so
  // that the device holds the state of two blocks.
  Status UpdateFromHost(int stage, const std::vector<LayerRef>& layers,
                        const std::vector<UnitTasks>& gradients);
  // One block whose state may come when `room` ends; returns when all of it has left again.
  StatusOr<UnitTasks> UpdateBlock(const StepBuilder::Where& where, const UnitTasks& room,
                                  const std::vector<UnitTasks>& gradients);
  // To the host when `after` ends.
  StatusOr<UnitTasks> Leave(const StepBuilder::Where& where, const std::string* name,
                            const HostCopy& copy, MemoryBucket bucket, const UnitTasks& after);
  UnitTasks AddUpdate(const StepBuilder::Where& where, const UpdatedElements& elements, double cast,
                      After after);
  Status GatherUpdated(const StepBuilder::Where& where, const UnitTasks& updated);

  StepContext& context_;
  const std::string *const update_name_, *const gather_name_, *const direction_name_;
};

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_STEP_UPDATER_H_
