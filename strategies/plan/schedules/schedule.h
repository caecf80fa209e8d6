// Pipeline schedules: the order in which each stage runs forwards and backwards of its
// micro-batches.
//
// The problem. The layers are cut into parts, numbered as a micro-batch passes them: its forward
// runs parts 0, 1, ..., its backward the same parts in the opposite order. A stage runs one action
// at a time (or a pair, Action::with_next). In which order, so that stages wait little and keep few
// activations?
//
// Symbols.
//   p, v, m   stages, model chunks of a stage, micro-batches
//   chunk     what a stage holds of the model: one part. 1F1B: p parts, chunk 0 of stage s is part
//             s. Interleaved: chunk c of stage s is part c·p + s. ZB-V: 2 p parts, down the stages
//             and up again. DualPipe: p parts, each held twice; half of the micro-batches enter at
//             either end.
//   F, B, W   times of a stage on one micro-batch: forward; backward of the input, which the stage
//             before waits for; backward of the weights, which nobody waits for. Backward is one
//             action (B + W) or two.
//   bubble    time that a stage idles in a step
//
// The invariant. Every (part, micro-batch) runs forward once and backward once, as one action or
// as input before weights, on the stage that PlaceOf names. A list of actions is a total order of
// one stage; the order between stages is only what data demands: the forward of part k follows that
// of part k - 1 and the backward of part k that of part k + 1, of the same micro-batch. The
// simulation takes bubbles from there (strategies/step/step_emitter.h); no formula enters. A
// schedule must not wait for itself; Check says which (p, v, m) it can run.
//
// Complexity: Actions is O(actions of the stage).
//
// Sources: GPipe (Huang et al., arXiv 1811.06965); 1F1B (Narayanan et al., arXiv
// 2006.09503) and interleaved (arXiv 2104.04473); ZB-H1 and ZB-V (Qi et al., arXiv 2401.10241,
// 2405.15362); DualPipe (DeepSeek-V3, arXiv 2412.19437). One schedule is one file and is found by
// name; Bubble and MostLive are its paper's closed forms, which tests/strategies/plan/schedules/
// holds its order against.
//
// Example: 1F1B, p = 2, m = 3, F = B = W = 1 (a backward takes 2):
//   stage 0   F0 F1 .  .  B0 B0 F2 B1 B1 .  B2 B2
//   stage 1   .  F0 B0 B0 F1 B1 B1 F2 B2 B2 .  .
// Each stage idles for (p - 1)(F + B + W) = 3 of 12; stage 0 keeps two micro-batches at most.

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
// The gradients of the weights are made when it is done.
inline bool EndsBackward(Action::Kind kind) {
  return kind == Action::Kind::kBackward || kind == Action::Kind::kBackwardWeight;
}

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
