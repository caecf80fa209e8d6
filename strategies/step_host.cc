// What the host issues, in the order of its program.

#include "strategies/host_launches.h"
#include "strategies/step_emitter.h"

namespace meshstep {
namespace {

std::size_t Index(std::int64_t i) { return static_cast<std::size_t>(i); }

}  // namespace

// When the host has issued that many operations. Empty: it is never late, or there are none.
UnitTasks StepEmitter::Issue(const StepBuilder::Where& where, double operations) {
  if (dispatch_ <= Seconds(0) || operations <= 0) return {};
  std::vector<UnitTasks>& waits = stages_[Index(where.stage)].host_waits;
  std::vector<const UnitTasks*> after;
  for (const UnitTasks& tasks : waits) after.push_back(&tasks);
  UnitTasks issued =
      builder_.AddHost(where, launch_name_, Time::RoundUp(dispatch_ * operations), after);
  waits.clear();
  return issued;
}

void StepEmitter::HostWaitsFor(int stage, const UnitTasks& tasks) {
  if (dispatch_ > Seconds(0) && !tasks.empty()) {
    stages_[Index(stage)].host_waits.push_back(tasks);
  }
}

// A collective of parameters or gradients.
StatusOr<UnitTasks> StepEmitter::Transfer(const StepBuilder::Where& where, const std::string* name,
                                          int transfer, std::vector<const UnitTasks*> after,
                                          double operations) {
  const UnitTasks issued = Issue(where, operations);
  if (!issued.empty()) after.push_back(&issued);
  return builder_.AddTransfer(where, name, transfer, after);
}

}  // namespace meshstep
