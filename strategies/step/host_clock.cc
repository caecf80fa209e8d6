#include "strategies/step/host_clock.h"

#include <algorithm>
#include <utility>

#include "sim/base/index.h"

namespace meshstep {

HostClock::HostClock(Seconds dispatch, int stages, StepBuilder* builder)
    : dispatch_(dispatch),
      builder_(*builder),
      name_(builder->Intern("launch")),
      hosts_(Index(stages)) {}

UnitTasks HostClock::Issue(const StepBuilder::Where& where, double operations,
                           std::optional<Seconds> behind) {
  if (dispatch_ <= Seconds(0) || operations <= 0) return {};
  Host& host = hosts_[Index(where.stage)];
  host.pending += dispatch_ * operations;
  host.ahead -= dispatch_ * operations;
  host.span.issued += dispatch_ * operations;
  if (behind) {
    // One operation more, for what rounding adds up to.
    const Seconds enough = host.ahead - (*behind + dispatch_);
    Seconds& least = enough >= Seconds(0) ? host.span.least_enough : host.span.least_missing;
    least = std::min(least, enough >= Seconds(0) ? enough : Seconds(-enough.value()));
    if (host.ahead >= *behind + dispatch_) return {};
  }
  // From here on kernels follow what the host has waited for.
  if (behind && *behind == Seconds(0)) host.held = false;
  return AddTask(where);
}

UnitTasks HostClock::AddTask(const StepBuilder::Where& where) {
  Host& host = hosts_[Index(where.stage)];
  TaskLists after;
  for (const UnitTasks& tasks : host.waits) after.push_back(&tasks);
  UnitTasks issued = builder_.AddHost(where, name_, Time::RoundUp(host.pending), after);
  host.pending = Seconds(0);
  host.waits.clear();
  return issued;
}

void HostClock::WaitFor(int stage, const UnitTasks& tasks) {
  if (dispatch_ <= Seconds(0) || tasks.empty()) return;
  Host& host = hosts_[Index(stage)];
  if (host.pending > Seconds(0)) AddTask({stage, {}, 0, Pass::kForward});
  host.waits.push_back(tasks);
  host.ahead = std::min(host.ahead, Seconds(0));
  host.held = true;
}

void HostClock::GainBy(int stage, Time kernel) {
  Host& host = hosts_[Index(stage)];
  host.busy += Seconds(kernel.seconds());
  if (!host.held) host.ahead += Seconds(kernel.seconds());
}

std::vector<HostClock::Span> HostClock::TakeSpans() {
  std::vector<Span> spans;
  for (Host& host : hosts_) {
    host.span.ahead = host.ahead;
    spans.push_back(std::exchange(host.span, Span()));
  }
  return spans;
}

Seconds HostClock::busy(int stage) const { return hosts_[Index(stage)].busy; }

StatusOr<UnitTasks> HostClock::Transfer(const StepBuilder::Where& where, const std::string* name,
                                        int transfer, TaskLists after, double operations) {
  const UnitTasks issued = Issue(where, operations);
  if (!issued.empty()) after.push_back(&issued);
  return builder_.AddTransfer(where, name, transfer, after);
}

}  // namespace meshstep
