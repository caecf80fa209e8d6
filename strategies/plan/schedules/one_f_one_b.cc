// 1F1B (PipeDream-Flush): Narayanan et al., arXiv 2006.09503 §2.2; after warm-up each stage
// alternates one forward and one backward. Bubble (p - 1)(F + B + W), arXiv 2104.04473 §2.2.1;
// stage s keeps p - s micro-batches.

#include <algorithm>

#include "strategies/plan/schedules/schedule.h"

namespace meshstep {
namespace {

class OneFOneBSchedule : public PublishedSchedule {
 public:
  std::string_view name() const override { return "1f1b"; }

  Status Check(const Pipeline& p) const override {
    if (p.virtual_stages == 1) return absl::OkStatus();
    return WrongVirtualStages(name(), p.virtual_stages, "1 (several need \"interleaved\")");
  }

  std::vector<Action> Actions(int stage, const Pipeline& p) const override {
    const std::int64_t m = p.micro_batches;
    const std::int64_t warm_up = std::min<std::int64_t>(m, WarmUp(stage, p));
    std::vector<Action> actions;
    actions.reserve(static_cast<std::size_t>(2 * m));
    for (std::int64_t i = 0; i < warm_up; ++i) actions.push_back({Action::Kind::kForward, 0, i});
    for (std::int64_t i = 0; i + warm_up < m; ++i) {
      actions.push_back({Action::Kind::kForward, 0, i + warm_up, p.pairs});
      actions.push_back({Action::Kind::kBackward, 0, i});
    }
    for (std::int64_t i = m - warm_up; i < m; ++i) {
      actions.push_back({Action::Kind::kBackward, 0, i});
    }
    return actions;
  }

  double Bubble(const Pipeline& p, const StageTimes& t) const override {
    return (p.stages - 1) * (t.forward + t.backward_input + t.backward_weight);
  }

  bool Pairs(const Pipeline& p) const override { return p.stages == 1; }

  std::int64_t MostLive(int stage, const Pipeline& p) const override {
    return std::min<std::int64_t>(p.micro_batches, WarmUp(stage, p) + 1);
  }

 private:
  static std::int64_t WarmUp(int stage, const Pipeline& p) {
    return p.stages - 1 - stage + (p.pairs ? 1 : 0);
  }
};

}  // namespace

const PublishedSchedule& OneFOneB() {
  static const OneFOneBSchedule schedule;
  return schedule;
}

}  // namespace meshstep
