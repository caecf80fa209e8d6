// A step as a timeline for ui.perfetto.dev, chrome://tracing and other viewers.
//
//   process   a unit: a device, or a class of devices that behave alike (their number is in its
//   name) thread    its compute stream and each of its communication streams slice     a kernel,
//   collective or transfer, with its FLOPs, bytes, algorithm, layer, pass, ... counter   memory in
//   use, total and by bucket; and, in the process "network", the utilisation of
//             each link (or class of links)
//   flow      from sender to receiver, and through the members of a collective
//
// Timestamps are exact in JSON (microseconds with six decimals); Perfetto's are whole nanoseconds,
// rounded down, so that slices of a thread never overlap; the exact length is the argument
// "duration_ps".

#ifndef MESHSTEP_SIM_REPORT_TRACE_TRACE_H_
#define MESHSTEP_SIM_REPORT_TRACE_TRACE_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "sim/base/status.h"
#include "sim/base/units.h"
#include "sim/engine/engine.h"
#include "sim/report/output_file.h"
#include "sim/report/trace/trace_window.h"
#include "strategies/plan/plan.h"
#include "strategies/step/step_graph.h"

namespace meshstep {

struct TraceArgument {
  std::string_view name;
  std::variant<std::int64_t, double, std::string_view> value;
};

struct TraceSlice {
  std::string_view name, category;
  std::span<const TraceArgument> arguments;
  enum class Flow { kNone, kStart, kStep, kEnd };
  Flow flow = Flow::kNone;
  std::int64_t flow_id = 0;
};

// One trace format. Processes, threads and counters are declared before their events; `track` and
// `process` are numbers above 0, unique among themselves. The events of one track come in order.
class TraceFormat {
 public:
  virtual ~TraceFormat() = default;
  virtual void Process(int process, const std::string& name) = 0;
  virtual void Thread(int track, int process, const std::string& name) = 0;
  // unit: "bytes" or "%".
  virtual void Counter(int track, int process, const std::string& name,
                       const std::string& unit) = 0;
  virtual void Begin(int track, Time begin, Time end, const TraceSlice& slice) = 0;
  virtual void End(int track, Time end) = 0;
  virtual void Value(int track, Time time, double value) = 0;
  virtual void Finish() {}
};

std::unique_ptr<TraceFormat> MakePerfettoTrace(OutputFile* file);
std::unique_ptr<TraceFormat> MakeChromeTrace(OutputFile* file);

// Error: the ending is neither .pftrace (or .perfetto-trace) nor .json.
Status CheckTracePath(const std::string& path);

// Writes what `window` holds of `run` of `step`, in the format that the ending of `path` names:
// kernels and transfers that take place in it, whole; counters from its begin to its end. Error: the
// ending, or the file cannot be written.
Status WriteTrace(const Scenario& scenario, const StepGraph& step, const Run& run,
                  const TraceWindow& window, const std::string& path);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_REPORT_TRACE_TRACE_H_
