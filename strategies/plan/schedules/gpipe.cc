// GPipe: Huang et al., arXiv 1811.06965 §2.3; all forwards, then all backwards.
// Bubble (p - 1)(F + B + W); every micro-batch is live at once.

#include "strategies/plan/schedules/schedule.h"

namespace meshstep {
namespace {

class GPipeSchedule : public PublishedSchedule {
 public:
  std::string_view name() const override { return "gpipe"; }

  Status Check(const Pipeline& p) const override {
    if (p.virtual_stages == 1) return absl::OkStatus();
    return WrongVirtualStages(name(), p.virtual_stages, "1 (several need \"interleaved\")");
  }

  std::vector<Action> Actions(int, const Pipeline& p) const override {
    const std::int64_t m = p.micro_batches;
    std::vector<Action> actions;
    actions.reserve(static_cast<std::size_t>(2 * m));
    for (std::int64_t i = 0; i < m; ++i) actions.push_back({Action::Kind::kForward, 0, i});
    for (std::int64_t i = 0; i < m; ++i) actions.push_back({Action::Kind::kBackward, 0, i});
    return actions;
  }

  double Bubble(const Pipeline& p, const StageTimes& t) const override {
    return (p.stages - 1) * (t.forward + t.backward_input + t.backward_weight);
  }

  std::int64_t MostLive(int, const Pipeline& p) const override { return p.micro_batches; }
};

}  // namespace

const PublishedSchedule& GPipe() {
  static const GPipeSchedule schedule;
  return schedule;
}

}  // namespace meshstep
