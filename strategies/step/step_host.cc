// What the host issues, in the order of its program.

#include <algorithm>

#include "strategies/step/step_emitter.h"

namespace meshstep {
namespace {

std::size_t Index(std::int64_t i) { return static_cast<std::size_t>(i); }

}  // namespace

// When the host has issued that many operations. Empty: that is no later than what is issued starts
// for other reasons, or there are none. `behind`: kernels of the stage, emitted already, that what
// is issued need not follow; nullopt: it need not follow any.
//
// A kernel starts when all kernels before it have run, at the earliest. The host is ahead by as
// much as these took since it last waited, less what it issued since; where that is not less than
// nothing, a task for it would change no start.
UnitTasks StepEmitter::Issue(const StepBuilder::Where& where, double operations,
                             std::optional<Seconds> behind) {
  if (dispatch_ <= Seconds(0) || operations <= 0) return {};
  HostState& host = stages_[Index(where.stage)].host;
  host.pending += dispatch_ * operations;
  host.ahead -= dispatch_ * operations;
  // One operation more, for what rounding adds up to.
  if (behind && host.ahead >= *behind + dispatch_) return {};
  // From here on kernels follow what the host has waited for.
  if (behind && *behind == Seconds(0)) host.held = false;
  return Issued(where);
}

UnitTasks StepEmitter::Issued(const StepBuilder::Where& where) {
  HostState& host = stages_[Index(where.stage)].host;
  std::vector<const UnitTasks*> after;
  for (const UnitTasks& tasks : host.waits) after.push_back(&tasks);
  UnitTasks issued = builder_.AddHost(where, launch_name_, Time::RoundUp(host.pending), after);
  host.pending = Seconds(0);
  host.waits.clear();
  return issued;
}

void StepEmitter::HostWaitsFor(int stage, const UnitTasks& tasks) {
  if (dispatch_ <= Seconds(0) || tasks.empty()) return;
  HostState& host = stages_[Index(stage)].host;
  if (host.pending > Seconds(0)) Issued({stage, {}, 0, Pass::kForward});
  host.waits.push_back(tasks);
  host.ahead = std::min(host.ahead, Seconds(0));
  host.held = true;
}

// A kernel of the stage was emitted.
void StepEmitter::HostGainsBy(int stage, Time kernel) {
  HostState& host = stages_[Index(stage)].host;
  host.busy += Seconds(kernel.seconds());
  if (!host.held) host.ahead += Seconds(kernel.seconds());
}

// Kernels emitted since the pass began, which a collective after one of its kernels need not
// follow.
std::optional<Seconds> StepEmitter::Behind(const Run& run, const BlockPass& pass,
                                           const BlockStep& step) const {
  if (step.transfer < 0) return Seconds(0);
  const bool follows = std::any_of(step.after.begin(), step.after.end(),
                                   [&](int s) { return pass.steps[Index(s)].transfer < 0; });
  if (!follows) return std::nullopt;
  return stages_[Index(run.where.stage)].host.busy - run.busy_before;
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
