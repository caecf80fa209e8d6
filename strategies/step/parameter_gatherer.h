// How the parameters of a block come to the stage that runs it: from its host, from the shards that
// the optimizer updated, from the shards in which they are stored.

#ifndef MESHSTEP_STRATEGIES_STEP_PARAMETER_GATHERER_H_
#define MESHSTEP_STRATEGIES_STEP_PARAMETER_GATHERER_H_

#include <set>
#include <string>
#include <vector>

#include "sim/base/status.h"
#include "strategies/plan/schedules/schedule.h"
#include "strategies/step/step_context.h"

namespace meshstep {

class ParameterGatherer {
 public:
  explicit ParameterGatherer(StepContext* context);

  // When the parameters are there that the next run of the stage, one of `layer`, reads. They come
  // Plan::prefetch_layers runs ahead of it.
  StatusOr<UnitTasks> Gather(int stage, const LayerRef& layer, const Action& action);
  // That run has ended: gives back what it gathered, unless the next one reads it too.
  void Release(const StepBuilder::Where& where, Action::Kind kind, const UnitTasks& end);

 private:
  struct Stage {
    LayerRef kept;           // whose parameters the run before left
    UnitTasks gathered;      // when those of the last run were there
    std::set<LayerRef> ran;  // forward, so far
  };
  StatusOr<UnitTasks> Bring(const StepBuilder::Where& where, const LoweredBlock& block,
                            bool updated);

  StepContext& context_;
  const std::string *const gather_name_, *const copy_name_;
  std::vector<Stage> stages_;
};

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_STEP_PARAMETER_GATHERER_H_
