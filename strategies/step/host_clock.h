// When the host of each stage has issued what its devices run.
//
// The host issues the kernels and collectives of its device one after the other, d seconds each
// (StepRates::host_dispatch), and runs ahead of the device where kernels take longer. A kernel
// starts when all kernels before it have run, at the earliest. So the host needs a task in the
// graph only where it may be late: with
//   A  time that kernels took since the host last waited for the device, less d for each operation
//      that it issued since,
// an operation that follows those kernels is issued in time if A >= d, and its task would change no
// start. Where there is a task, it takes what was issued since the task before.
//
//   d = 10 us, kernels of 4, 4, 60, 4, 4 us after a wait. A is -10, -16 and -22 us where the first
//   three are issued, so each waits for a task of the host; the third takes 60 us, and A is 28 and
//   22 us where the last two are: no task.
//
// How many operations stand behind a kernel: strategies/framework/kernel_sums.h.

#ifndef MESHSTEP_STRATEGIES_STEP_HOST_CLOCK_H_
#define MESHSTEP_STRATEGIES_STEP_HOST_CLOCK_H_

#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "sim/base/status.h"
#include "strategies/step/step_builder.h"

namespace meshstep {

class HostClock {
 public:
  // dispatch: of one operation; 0: the host takes no time and nothing waits for it.
  HostClock(Seconds dispatch, int stages, StepBuilder* builder);

  // When the host of where.stage has issued that many operations. Empty: that is no later than what
  // is issued starts for other reasons, or there are none. behind: time of kernels of the stage,
  // emitted already, that what is issued need not follow; nullopt: it need not follow any.
  UnitTasks Issue(const StepBuilder::Where& where, double operations,
                  std::optional<Seconds> behind = std::nullopt);
  // A collective that the host issues by so many operations.
  StatusOr<UnitTasks> Transfer(const StepBuilder::Where& where, const std::string* name,
                               int transfer, TaskLists after, double operations = 1);
  // The host waits for tasks of its stage before its next operation.
  void WaitFor(int stage, const UnitTasks& tasks);
  // A kernel of the stage was emitted.
  void GainBy(int stage, Time kernel);
  // All kernels of the stage that were emitted.
  Seconds busy(int stage) const;

  // What the host of a stage did in a part of the step.
  struct Span {
    Seconds issued;  // by operations of the part
    Seconds ahead;   // A at its end
    // By how much A was enough, or was not, for operations that may need no task: the least of
    // each.
    Seconds least_enough = Seconds(std::numeric_limits<double>::infinity());
    Seconds least_missing = Seconds(std::numeric_limits<double>::infinity());
  };
  // Of every stage since the call before.
  std::vector<Span> TakeSpans();

 private:
  struct Host {
    std::vector<UnitTasks> waits;  // what it waits for before its next operation
    Seconds pending;               // of operations since its last task
    Seconds ahead;                 // A
    Seconds busy;                  // kernels emitted
    bool held = true;              // kernels need not follow what it waits for: it does not gain
    Span span;
  };
  UnitTasks AddTask(const StepBuilder::Where& where);

  const Seconds dispatch_;
  StepBuilder& builder_;
  const std::string* const name_;
  std::vector<Host> hosts_;  // per stage
};

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_STEP_HOST_CLOCK_H_
