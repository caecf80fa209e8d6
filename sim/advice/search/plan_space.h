// The plans that a search looks through, as a product that an index addresses.
//
// The problem. Degrees, micro-batch, schedule, recomputation and so on are knobs with a few choices
// each; most combinations are invalid, or the same plan as another. Address all of them by one
// number, so that ranges of numbers can be given to threads and machines, and pass over whole
// ranges where a rule of a prefix says no.
//
// Symbols. A plan is one choice of every knob, index = mixed radix of the choices, outermost knob
// first. Knobs up to kLastOfGroup decide what a device computes on a micro-batch ("group"), those
// after it only where state lies and when it moves.
//
// Example: Llama 3 70B on 512 GPUs: 715 degrees x 5 micro-batches x 12 schedules x 9
// recomputations x ...

#ifndef MESHSTEP_SIM_ADVICE_SEARCH_PLAN_SPACE_H_
#define MESHSTEP_SIM_ADVICE_SEARCH_PLAN_SPACE_H_

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "meshstep/v1/scenario.pb.h"
#include "sim/advice/sweep/vary.h"
#include "sim/base/catalog.h"
#include "sim/base/status.h"
#include "sim/simulate/simulate.h"
#include "strategies/plan/plan.h"

namespace meshstep {

// In the order of the index, outermost first.
enum class Knob {
  kDegrees,   // tensor, context, pipeline, fsdp, data
  kExperts,   // expert, expert_tensor
  kMicro,     // micro_batch_sequences
  kCustom,    // fields that the user varies, all together
  kSchedule,  // with virtual stages
  kRecompute,
  kSequence,  // sequence_parallel
  kAsync,     // async_tensor
  kState,     // zero_stage, accumulate_unsharded
  kOrder,
  kOverlap,  // overlap_parameters
};
inline constexpr int kKnobs = 11;
inline constexpr Knob kLastOfGroup = Knob::kAsync;
inline constexpr std::array<Knob, kKnobs> kAllKnobs = {
    Knob::kDegrees,  Knob::kExperts, Knob::kMicro, Knob::kCustom, Knob::kSchedule, Knob::kRecompute,
    Knob::kSequence, Knob::kAsync,   Knob::kState, Knob::kOrder,  Knob::kOverlap};

struct PlanDegrees {
  int tensor = 1, context = 1, pipeline = 1, fsdp = 1, data = 1;
  bool operator==(const PlanDegrees&) const = default;
};

// One choice of a knob: what --set would say, and what rules ask of it.
struct Choice {
  std::vector<std::string> set;
  PlanDegrees degrees;         // kDegrees
  int expert = 1, shards = 1;  // kExperts
  int number = 0;  // kMicro: sequences; kRecompute: first layers, 0 all; kState: ZeRO stage
  // kSequence, kAsync, kOverlap; kState: accumulate; kCustom: overlap_experts
  bool on = false;
  const PublishedSchedule* schedule = nullptr;
  int virtual_stages = 1;
  std::vector<std::string> order;  // kOrder
};

using Choices = std::array<int, kKnobs>;

class PlanSpace {
 public:
  // base: the scenario; it must load. varied: replaces the choices of its field's knob; one value
  // fixes it. Error: a plan of mesh and rules, or a field of the cluster, the workload or the model.
  static StatusOr<PlanSpace> Make(const v1::Scenario& base, std::span<const Vary> varied,
                                  const Catalog& catalog, Fidelity fidelity);

  std::int64_t size() const { return size_; }
  // Plans that share the choices of all knobs up to and with `knob`.
  std::int64_t stride(Knob knob) const { return stride_[static_cast<std::size_t>(knob)]; }
  const std::vector<Choice>& choices(Knob knob) const {
    return knobs_[static_cast<std::size_t>(knob)];
  }
  const Choice& at(Knob knob, const Choices& choices) const {
    const std::size_t k = static_cast<std::size_t>(knob);
    return knobs_[k][static_cast<std::size_t>(choices[k])];
  }
  Choices ChoicesOf(std::int64_t index) const;

  // Why no plan with these choices up to `knob` is valid, or is another one; "" if none of the
  // rules says so (the loader may).
  const char* Refuses(Knob knob, const Choices& choices) const;

  std::int64_t micro_batches(const Choices& choices) const;
  Pipeline shape(const Choices& choices) const;

  // As --set takes it; what the scenario says already is left out.
  std::vector<std::string> SetOf(std::int64_t index) const;
  v1::Scenario ScenarioOf(std::int64_t index) const;
  // Only with the choices of these knobs.
  v1::Scenario ScenarioOf(const Choices& choices, std::span<const Knob> knobs) const;

  const v1::Scenario& base() const { return base_; }
  // As it was given.
  const v1::Scenario& original() const { return original_; }
  const Scenario& loaded() const { return loaded_; }
  const std::string& digest() const { return digest_; }
  // "degrees: 715", those with more than one choice.
  std::vector<std::string> Dimensions() const;

 private:
  Status AddKnobs(const Catalog& catalog);
  void AddDegrees();
  void AddMicroBatches();
  void AddSchedules();
  Status AddRecomputation(const Catalog& catalog);
  void AddOrders();
  void AddState();
  Status Restrict(const Vary& given);
  void Finish(Fidelity fidelity);
  std::vector<Choice>& knob(Knob k) { return knobs_[static_cast<std::size_t>(k)]; }
  const char* RefusesDegrees(const Choice& choice) const;
  std::string Essence(Knob knob, const Choices& choices, const Choice& choice) const;
  bool IsAnother(Knob knob, const Choices& choices) const;

  v1::Scenario original_, base_;
  Scenario loaded_;
  std::array<std::vector<Choice>, kKnobs> knobs_;
  std::array<std::int64_t, kKnobs> stride_ = {};
  std::int64_t size_ = 0;
  std::string digest_;
};

// Whether all plans place tensor and context before other axes, on nodes that are alike.
bool PlacesTensorFirst(const PlanSpace& space);

// "degrees", "micro-batch", ...
const char* NameOf(Knob knob);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_ADVICE_SEARCH_PLAN_SPACE_H_
