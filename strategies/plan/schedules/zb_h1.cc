// ZB-H1: Qi et al., arXiv 2401.10241 §2.2. 1F1B with the weight gradients put off: stage s keeps s
// of them back, so that every stage holds p micro-batches and what would be bubble computes weight
// gradients. Bubble (p - 1)(F + B - W).

#include <algorithm>

#include "strategies/plan/schedules/schedule.h"

namespace meshstep {
namespace {

class ZbH1Schedule : public PublishedSchedule {
 public:
  std::string_view name() const override { return "zb-h1"; }

  Status Check(const Pipeline& p) const override {
    if (p.virtual_stages == 1) return absl::OkStatus();
    return WrongVirtualStages(name(), p.virtual_stages, "1");
  }

  std::vector<Action> Actions(int stage, const Pipeline& p) const override {
    const std::int64_t m = p.micro_batches;
    const std::int64_t warm_up = std::min<std::int64_t>(m, p.stages - 1 - stage);
    std::vector<Action> actions;
    actions.reserve(static_cast<std::size_t>(3 * m));
    for (std::int64_t i = 0; i < warm_up; ++i) actions.push_back({Action::Kind::kForward, 0, i});
    for (std::int64_t i = 0; i < m; ++i) {
      if (i + warm_up < m) actions.push_back({Action::Kind::kForward, 0, i + warm_up});
      if (stage == 0) {
        actions.push_back({Action::Kind::kBackward, 0, i});
        continue;
      }
      actions.push_back({Action::Kind::kBackwardInput, 0, i});
      if (i >= stage) actions.push_back({Action::Kind::kBackwardWeight, 0, i - stage});
    }
    for (std::int64_t i = std::max<std::int64_t>(0, m - stage); i < m; ++i) {
      actions.push_back({Action::Kind::kBackwardWeight, 0, i});
    }
    return actions;
  }

  double Bubble(const Pipeline& p, const StageTimes& t) const override {
    return (p.stages - 1) * (t.forward + t.backward_input - t.backward_weight);
  }

  std::int64_t MostLive(int, const Pipeline& p) const override {
    return std::min<std::int64_t>(p.micro_batches, p.stages);
  }
};

}  // namespace

const PublishedSchedule& ZbH1() {
  static const ZbH1Schedule schedule;
  return schedule;
}

}  // namespace meshstep
