// Pipeline schedules: the order in which each stage runs forwards and backwards of its
// micro-batches.
//
// The layers are cut into parts, numbered as a micro-batch passes them. A stage holds one or more
// chunks; each chunk is one part. 1F1B: p parts, chunk 0 of stage s is part s. Interleaved: chunk c
// of stage s is part c·p + s. ZB-V: 2 p parts, down the stages and up again. DualPipe: p parts,
// each held twice; half of the micro-batches enter at either end.
//
// Backward is one action, or two: the gradient of the input, which the stage before waits for, and
// later that of the weights, which nobody waits for. One schedule is one file; it is found by name.

#ifndef MESHSTEP_STRATEGIES_PLAN_SCHEDULES_SCHEDULE_H_
#define MESHSTEP_STRATEGIES_PLAN_SCHEDULES_SCHEDULE_H_

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "sim/base/status.h"

namespace meshstep {

struct Action {
  enum class Kind : std::uint8_t { kForward, kBackward, kBackwardInput, kBackwardWeight };
  Kind kind;
  std::int32_t chunk;
  std::int64_t micro_batch;
  // Runs together with the next action of the stage, op by op in turn, so that the collectives of
  // one hide behind the kernels of the other.
  bool with_next = false;
  bool operator==(const Action&) const = default;
};
std::string_view NameOf(Action::Kind kind);

// p stages, v model chunks per stage, m micro-batches.
struct Pipeline {
  int stages = 1, virtual_stages = 1;
  std::int64_t micro_batches = 1;
  // Between warm-up and the end every forward runs together with a backward of another micro-batch;
  // so that neither waits for the other, each stage warms up with one forward more (Megatron-Core
  // schedules.py, get_pp_rank_microbatches).
  bool pairs = false;
};

// Time of one stage (all its chunks) on one micro-batch, in any unit: F, B (input) and W (weights).
struct StageTimes {
  double forward, backward_input, backward_weight;
};

// A chunk of a stage.
struct ChunkPlace {
  int stage, chunk;
  bool operator==(const ChunkPlace&) const = default;
};

class Schedule {
 public:
  virtual ~Schedule() = default;
  virtual std::vector<Action> Actions(int stage, const Pipeline& pipeline) const = 0;

  virtual int Parts(const Pipeline& p) const { return p.stages * p.virtual_stages; }
  virtual int Chunks(int /*stage*/, const Pipeline& p) const { return p.virtual_stages; }
  virtual int PartOf(ChunkPlace place, const Pipeline& p) const {
    return place.chunk * p.stages + place.stage;
  }
  // Where `micro_batch` passes `part`.
  virtual ChunkPlace PlaceOf(int part, std::int64_t micro_batch, const Pipeline& pipeline) const;
};

// A schedule with a name and a paper that says what it costs.
class PublishedSchedule : public Schedule {
 public:
  virtual std::string_view name() const = 0;
  // Where the plan does not say.
  virtual int DefaultVirtualStages() const { return 1; }
  // Error: this schedule cannot run (p, v, m); says what it needs.
  virtual Status Check(const Pipeline& pipeline) const = 0;
  // Idle time of the step with equal stages and free transfers, m >= p, by the schedule's paper.
  virtual double Bubble(const Pipeline& pipeline, const StageTimes& times) const = 0;
  // Whether it can run forwards and backwards in pairs where `pipeline` asks for it.
  virtual bool Pairs(const Pipeline& /*pipeline*/) const { return false; }
  // Most micro-batches times chunks whose activations `stage` keeps at once, from the forward to
  // the end of the backward, by the schedule's paper.
  virtual std::int64_t MostLive(int stage, const Pipeline& pipeline) const = 0;
};

// By name, in the order of their papers.
std::span<const PublishedSchedule* const> Schedules();
const PublishedSchedule* FindSchedule(std::string_view name);  // nullptr if unknown

// Bubble / time of m micro-batches with F : B : W = 1 : 1 : 1.
double BubbleFraction(const PublishedSchedule& schedule, const Pipeline& pipeline);

// One each; registered in schedule.cc.
const PublishedSchedule& GPipe();
const PublishedSchedule& OneFOneB();
const PublishedSchedule& Interleaved();
const PublishedSchedule& ZbH1();
const PublishedSchedule& ZbV();
const PublishedSchedule& DualPipe();

// What Check says of `v` virtual stages where `expected` are needed.
Status WrongVirtualStages(std::string_view name, int v, std::string_view expected);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_PLAN_SCHEDULES_SCHEDULE_H_
