// ZB-V: Qi et al., arXiv 2401.10241 §6 and arXiv 2405.15362. Two chunks a stage: micro-batches go
// down the stages and up again, so that stage 0 holds the first part and the last. With F = B = W a
// stage idles only until its first forward: (p - 1) F / 2, and holds 2 p half-stages.

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "strategies/plan/schedules/schedule.h"

namespace meshstep {
namespace {

class ZbVSchedule : public PublishedSchedule {
 public:
  std::string_view name() const override { return "zb-v"; }
  int DefaultVirtualStages() const override { return 2; }

  Status Check(const Pipeline& p) const override {
    if (p.virtual_stages == 2) return absl::OkStatus();
    return WrongVirtualStages(name(), p.virtual_stages, "2");
  }

  int PartOf(ChunkPlace place, const Pipeline& p) const override {
    return place.chunk == 0 ? place.stage : 2 * p.stages - 1 - place.stage;
  }
  ChunkPlace PlaceOf(int part, std::int64_t, const Pipeline& p) const override {
    return part < p.stages ? ChunkPlace{part, 0} : ChunkPlace{2 * p.stages - 1 - part, 1};
  }

  std::vector<Action> Actions(int stage, const Pipeline& p) const override {
    // Laid out for as many micro-batches as fill the pipeline; those past m are left out.
    const std::int64_t m = std::max(p.micro_batches, std::int64_t{2} * p.stages - 1);
    Order order(p.micro_batches);
    for (int i = 0; i < 2 * (p.stages - stage) - 1; ++i) order.Forward(0);
    for (int i = 0; i < stage; ++i) {
      order.Forward(1);
      order.Forward(0);
    }
    for (int i = 0; i < p.stages - stage; ++i) {
      order.Forward(1);
      order.Backward(1);
    }
    while (order.forwards[1] < order.forwards[0] || order.forwards[0] < m) {
      if (order.forwards[0] < m) order.Forward(0);
      order.Backward(0);
      order.Forward(1);
      order.Backward(1);
    }
    for (int i = 0; i < stage; ++i) {
      order.Input(0);
      order.Input(1);
    }
    for (int i = 0; i < p.stages - stage; ++i) {
      order.Input(0);
      order.Weight(0);
    }
    while (order.weights[1] < order.inputs[1]) order.Weight(1);
    while (order.weights[0] < order.inputs[0]) order.Weight(0);
    return std::move(order.actions);
  }

  double Bubble(const Pipeline& p, const StageTimes& t) const override {
    return (p.stages - 1) * t.forward / 2;
  }

  // 2 p half-stages once the pipeline is full; before, what the warm-up and its turn hold.
  std::int64_t MostLive(int stage, const Pipeline& p) const override {
    const std::int64_t down = std::min(p.micro_batches, std::int64_t{2} * p.stages - stage - 1);
    const std::int64_t up = std::min<std::int64_t>(p.micro_batches, stage + 1);
    return std::min(std::int64_t{2} * p.stages, down + up);
  }

 private:
  // Appends actions; each chunk's micro-batches follow each other.
  struct Order {
    explicit Order(std::int64_t m) : count(m) {}
    void Add(Action::Kind kind, std::int32_t chunk, std::int64_t micro_batch) {
      if (micro_batch < count) actions.push_back({kind, chunk, micro_batch});
    }
    void Forward(int chunk) { Add(Action::Kind::kForward, chunk, forwards[At(chunk)]++); }
    void Input(int chunk) { Add(Action::Kind::kBackwardInput, chunk, inputs[At(chunk)]++); }
    void Weight(int chunk) { Add(Action::Kind::kBackwardWeight, chunk, weights[At(chunk)]++); }
    void Backward(int chunk) {
      Input(chunk);
      Weight(chunk);
    }
    static std::size_t At(int chunk) { return static_cast<std::size_t>(chunk); }

    const std::int64_t count;
    std::array<std::int64_t, 2> forwards = {}, inputs = {}, weights = {};
    std::vector<Action> actions;
  };
};

}  // namespace

const PublishedSchedule& ZbV() {
  static const ZbVSchedule schedule;
  return schedule;
}

}  // namespace meshstep
