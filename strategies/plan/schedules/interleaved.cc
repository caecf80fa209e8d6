// Interleaved 1F1B: Narayanan et al., arXiv 2104.04473 §2.2.2; bubble (p - 1)(F + B + W) / v.
// Micro-batches run in groups of p: p of them through chunk 0, the same p through chunk 1, and so
// on. Stage s warms up with 2 (p - s - 1) + (v - 1) p forwards and keeps one more.

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "strategies/plan/schedules/schedule.h"

namespace meshstep {
namespace {

class InterleavedSchedule : public PublishedSchedule {
 public:
  std::string_view name() const override { return "interleaved"; }
  int DefaultVirtualStages() const override { return 2; }

  Status Check(const Pipeline& p) const override {
    if (p.virtual_stages < 2) {
      return WrongVirtualStages(name(), p.virtual_stages, "2 or more");
    }
    if (p.micro_batches % p.stages != 0) {
      return InvalidInput(absl::StrCat("is \"interleaved\" with ", p.micro_batches,
                                       " micro-batches, expected a multiple of the ", p.stages,
                                       " stages"));
    }
    return absl::OkStatus();
  }

  std::vector<Action> Actions(int stage, const Pipeline& p) const override {
    const int v = p.virtual_stages;
    const std::int64_t total = p.micro_batches * v;
    const std::int64_t group = std::int64_t{p.stages} * v;
    // k-th forward (or backward) of a stage -> chunk and micro-batch.
    const auto action = [&](Action::Kind kind, std::int64_t k) {
      const auto chunk = static_cast<std::int32_t>((k % group) / p.stages);
      const std::int64_t micro_batch = k / group * p.stages + k % p.stages;
      return Action{kind, kind == Action::Kind::kForward ? chunk : v - 1 - chunk, micro_batch};
    };
    const std::int64_t warm_up = std::min(total, WarmUp(stage, p));
    std::vector<Action> actions;
    actions.reserve(static_cast<std::size_t>(2 * total));
    for (std::int64_t k = 0; k < warm_up; ++k) {
      actions.push_back(action(Action::Kind::kForward, k));
    }
    for (std::int64_t k = warm_up; k < total; ++k) {
      actions.push_back(action(Action::Kind::kForward, k));
      actions.back().with_next = p.pairs;
      actions.push_back(action(Action::Kind::kBackward, k - warm_up));
    }
    for (std::int64_t k = total - warm_up; k < total; ++k) {
      actions.push_back(action(Action::Kind::kBackward, k));
    }
    return actions;
  }

  double Bubble(const Pipeline& p, const StageTimes& t) const override {
    return (p.stages - 1) * (t.forward + t.backward_input + t.backward_weight) / p.virtual_stages;
  }

  bool Pairs(const Pipeline&) const override { return true; }

  std::int64_t MostLive(int stage, const Pipeline& p) const override {
    return std::min(p.micro_batches * p.virtual_stages, WarmUp(stage, p) + 1);
  }

 private:
  static std::int64_t WarmUp(int stage, const Pipeline& p) {
    return std::int64_t{p.stages - 1 - stage} * 2 + std::int64_t{p.virtual_stages - 1} * p.stages +
           (p.pairs ? 1 : 0);
  }
};

}  // namespace

const PublishedSchedule& Interleaved() {
  static const InterleavedSchedule schedule;
  return schedule;
}

}  // namespace meshstep
