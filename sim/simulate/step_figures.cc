#include "sim/simulate/step_figures.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "sim/base/checked.h"
#include "sim/base/index.h"
#include "sim/engine/engine.h"
#include "sim/engine/recurrence.h"
#include "sim/simulate/memory.h"
#include "strategies/step/step_fold.h"

namespace meshstep {
namespace {

std::int64_t PeakBytes(const StepGraph& step, const Run& run) {
  std::int64_t bytes = 0;
  for (const MemoryPeak& peak : MemoryPeaks(step, run)) {
    bytes = std::max(bytes, peak.point.total());
  }
  return bytes;
}

// Whether every unit holds at the end of the period what it held at its start; then the periods
// that are left out have no higher peak.
bool MemoryStays(const StepGraph& step, const Run& run, const Recurrence& period) {
  std::vector<std::int64_t> net(step.units.size() * Index(kMemoryBuckets), 0);
  for (const MemoryEvent& event : step.memory) {
    const Time time = event.at_end ? run.end[Index(event.task)] : run.start[Index(event.task)];
    if (time <= period.start || time > period.end) continue;
    net[Index(event.unit) * Index(kMemoryBuckets) + static_cast<std::size_t>(event.bucket)] +=
        SaturatingRound(event.bytes);
  }
  return std::ranges::all_of(net, [](std::int64_t bytes) { return bytes == 0; });
}

// Micro-batches that fill and drain the pipeline, with some that repeat between; what is left out is
// a multiple of the likely periods. 0: not worth it, since a step whose stages slow each other may
// not repeat so soon.
std::int64_t FewOf(const Scenario& scenario) {
  if (scenario.workload.forward_only()) return 0;
  const Plan& plan = scenario.plan;
  const std::int64_t p = plan.stages;
  const std::int64_t unit = p * ((3 + p) / p);
  const std::int64_t least = p == 1 ? 6 : (plan.virtual_stages > 1 ? 4 : 2) * p + 16;
  if (plan.micro_batches < least) return 0;
  const std::int64_t few = least + (plan.micro_batches - least) % unit;
  return (p == 1 ? 2 : 3) * few <= plan.micro_batches ? few : 0;
}

std::optional<StepFigures> FoldedFigures(const PreparedStep& prepared, std::int64_t few) {
  const std::optional<StepFold> fold = FoldOf(prepared.scenario().plan, few);
  if (!fold) return std::nullopt;
  FoldRecord record;
  const StatusOr<StepGraph> step = EmitStep(prepared, &*fold, &record);
  if (!step.ok() || record.beats.common > step->graph.tasks()) return std::nullopt;
  if (!std::ranges::is_sorted(record.beats.marks)) return std::nullopt;
  StateLog log(step->graph, record.beats.marks);
  const StatusOr<Run> run = RunGraph(step->graph, step->Names(), FlowNetwork::Sharing::kFair, &log);
  if (!run.ok()) return std::nullopt;
  std::int64_t periods = 0;
  const auto accept = [&](const Recurrence& found) {
    const std::int64_t length = found.to - found.from;
    if (length % fold->period != 0 || fold->left_out % length != 0) return false;
    periods = fold->left_out / length;
    return HostsStay(record, found, periods) && MemoryStays(*step, *run, found);
  };
  const std::optional<Recurrence> found = log.Find(record.beats, run->start, run->end, accept);
  if (!found) return std::nullopt;
  const Time time = run->makespan + (found->end - found->start) * periods;
  if (time > Time::Longest()) return std::nullopt;
  return StepFigures{time, PeakBytes(*step, *run), step->graph.tasks(), fold->left_out};
}

}  // namespace

StatusOr<StepFigures> FiguresOf(const PreparedStep& prepared, bool fold) {
  const std::int64_t few = fold ? FewOf(prepared.scenario()) : 0;
  if (few > 0) {
    if (const auto folded = FoldedFigures(prepared, few)) return *folded;
  }
  ASSIGN_OR_RETURN(const StepGraph step, EmitStep(prepared));
  ASSIGN_OR_RETURN(const Run run, RunGraph(step.graph, step.Names()));
  return StepFigures{run.makespan, PeakBytes(step, run), step.graph.tasks(), 0};
}

StatusOr<StepFigures> FiguresOf(const Scenario& scenario, const LoweringOptions& lowering,
                                bool fold) {
  ASSIGN_OR_RETURN(const PreparedStep step, PrepareStep(scenario, lowering));
  ASSIGN_OR_RETURN(StepFigures figures, FiguresOf(step, fold));
  if (!scenario.evaluation) return figures;
  ASSIGN_OR_RETURN(const PreparedStep forward, PrepareStep(*scenario.evaluation, lowering));
  ASSIGN_OR_RETURN(const StepFigures after, FiguresOf(forward, fold));
  figures.time += after.time;
  return figures;
}

}  // namespace meshstep
