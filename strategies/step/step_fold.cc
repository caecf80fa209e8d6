#include "strategies/step/step_fold.h"

#include <algorithm>
#include <map>

#include "sim/base/index.h"

namespace meshstep {
namespace {

using Actions = std::vector<Action>;

Action Later(Action action, std::int64_t micro_batches) {
  action.micro_batch += micro_batches;
  return action;
}

// The first backward that is the last of its chunk: more follows it than others.
std::size_t FirstLast(const Actions& actions) {
  std::map<int, std::size_t> last;
  for (std::size_t j = 0; j < actions.size(); ++j) {
    if (EndsBackward(actions[j].kind)) last[actions[j].chunk] = j;
  }
  std::size_t first = actions.size();
  for (const auto& [chunk, j] : last) first = std::min(first, j);
  return first;
}

std::optional<StepFold::Stage> StageFold(const Actions& all, const Actions& few,
                                         std::int64_t left_out, std::int64_t period) {
  const std::size_t more = all.size() - few.size();
  if (more * Index(period) % Index(left_out) != 0) return std::nullopt;
  const std::size_t q = more * Index(period) / Index(left_out);
  StepFold::Stage stage{few.size(), 0};
  const std::size_t most = FirstLast(few);
  while (stage.common < most && all[stage.common] == few[stage.common]) ++stage.common;
  // Actions that run together stay together.
  while (stage.common > 0 && few[stage.common - 1].with_next) --stage.common;
  while (stage.steady > 0 &&
         all[stage.steady - 1 + more] == Later(few[stage.steady - 1], left_out)) {
    --stage.steady;
  }
  const auto repeats = [&](std::size_t j) { return all[j + q] == Later(all[j], period); };
  if (stage.common < q) return std::nullopt;
  // Warm-up may end alike by chance; what comes after it repeats.
  for (std::size_t j = stage.common + more - q; j-- > stage.steady;) {
    if (repeats(j)) continue;
    stage.steady = j + 1;
    break;
  }
  if (q == 0 || stage.steady + q > stage.common) return std::nullopt;
  return stage;
}

std::optional<StepFold> FoldWith(const Plan& plan, std::int64_t few, std::int64_t period) {
  const Pipeline all = plan.pipeline_shape();
  Pipeline less = all;
  less.micro_batches = few;
  StepFold fold{few, all.micro_batches - few, period, {}};
  if (fold.left_out % period != 0) return std::nullopt;
  for (int s = 0; s < plan.stages; ++s) {
    const auto stage =
        StageFold(plan.order->Actions(s, all), plan.order->Actions(s, less), fold.left_out, period);
    if (!stage) return std::nullopt;
    fold.stages.push_back(*stage);
  }
  // Micro-batches may go different ways.
  const int parts = static_cast<int>(plan.parts.size());
  for (std::int64_t i = 0; i < all.micro_batches; ++i) {
    for (int part = 0; part < parts; ++part) {
      const ChunkPlace first = plan.order->PlaceOf(part, 0, all);
      if (!(plan.order->PlaceOf(part, i, all) == first)) return std::nullopt;
      if (i < few && !(plan.order->PlaceOf(part, i, less) == first)) return std::nullopt;
    }
  }
  return fold;
}

// What sums of times lose by rounding is less; and by rounding up every task of a host.
constexpr double kMargin = 1e-9, kTaskMargin = 1e-7;

}  // namespace

// A grows by `gain` a period, before every operation from the first of the periods on.
bool HostsStay(const FoldRecord& record, const Recurrence& recurrence, std::int64_t periods) {
  const auto from = Index(recurrence.from), to = Index(recurrence.to);
  const double period = (recurrence.end - recurrence.start).seconds();
  const auto n = static_cast<double>(periods);
  for (std::size_t s = 0; s < record.hosts.front().size(); ++s) {
    const double gain = (record.hosts[to][s].ahead - record.hosts[from][s].ahead).value();
    double issued = 0;
    for (std::size_t i = from + 1; i < record.hosts.size(); ++i) {
      const HostClock::Span& span = record.hosts[i][s];
      if (i <= to) issued += span.issued.value();
      if (span.least_enough.value() + n * std::min(gain, 0.0) < kMargin) return false;
      if (span.least_missing.value() - n * std::max(gain, 0.0) < kMargin) return false;
    }
    if (issued > 0 && issued + kTaskMargin > period) return false;
  }
  return true;
}

std::optional<StepFold> FoldOf(const Plan& plan, std::int64_t few) {
  if (few >= plan.micro_batches || !plan.schedule_table.empty()) return std::nullopt;
  std::optional<StepFold> fold = FoldWith(plan, few, 1);
  if (!fold && plan.stages > 1) fold = FoldWith(plan, few, plan.stages);
  return fold;
}

}  // namespace meshstep
