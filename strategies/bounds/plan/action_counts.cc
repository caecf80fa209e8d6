#include "strategies/bounds/plan/action_counts.h"

#include <cstddef>
#include <utility>

#include "sim/base/index.h"

namespace meshstep {
namespace {

using Kind = Action::Kind;

constexpr int kMostStages = 1 << 14;  // some ten megabytes

std::vector<ChunkRuns> Count(const std::vector<Action>& actions, std::size_t count, int chunks) {
  std::vector<ChunkRuns> runs(Index(chunks));
  bool paired = false;  // with the action before
  for (std::size_t i = 0; i < count; ++i) {
    const Action& action = actions[i];
    Runs& of = runs[Index(action.chunk)][static_cast<std::size_t>(action.kind)];
    ++(paired || action.with_next ? of.paired : of.alone);
    paired = action.with_next;
  }
  return runs;
}

StageRuns CountStage(const std::vector<Action>& actions, int chunks) {
  StageRuns runs;
  runs.all = Count(actions, actions.size(), chunks);
  if (actions.empty()) return runs;
  runs.first = actions.front();
  std::size_t last = actions.size();
  while (last > 0 && actions[last - 1].kind != Kind::kBackward &&
         actions[last - 1].kind != Kind::kBackwardInput) {
    --last;
  }
  // In a pair kernels of both run in turn.
  const bool alone =
      last > 0 && !actions[last - 1].with_next && (last == 1 || !actions[last - 2].with_next);
  if (!alone) return runs;
  runs.last = actions[last - 1];
  runs.to_last = Count(actions, last - 1, chunks);
  return runs;
}

}  // namespace

std::vector<StageRuns> CountActions(const Schedule& schedule, const Pipeline& pipeline) {
  std::vector<StageRuns> stages;
  for (int stage = 0; stage < pipeline.stages; ++stage) {
    stages.push_back(
        CountStage(schedule.Actions(stage, pipeline), schedule.Chunks(stage, pipeline)));
  }
  return stages;
}

std::shared_ptr<const std::vector<StageRuns>> ActionCounts::Of(const Schedule& schedule,
                                                               const Pipeline& pipeline) {
  const auto count = [&] {
    return std::make_shared<const std::vector<StageRuns>>(CountActions(schedule, pipeline));
  };
  // Others go away with their plan.
  if (dynamic_cast<const PublishedSchedule*>(&schedule) == nullptr) return count();
  const Key key(&schedule, pipeline.stages, pipeline.virtual_stages, pipeline.micro_batches,
                pipeline.pairs);
  const auto there = kept_.find(key);
  if (there != kept_.end()) return there->second;
  if (stages_ += pipeline.stages; stages_ > kMostStages) {
    kept_.clear();
    stages_ = pipeline.stages;
  }
  return kept_[key] = count();
}

}  // namespace meshstep
