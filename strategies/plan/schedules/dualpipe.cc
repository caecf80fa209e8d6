// DualPipe: DeepSeek-V3, arXiv 2412.19437 §3.2.1. Every part of the model is held twice, by stage s
// and by stage p - 1 - s; half of the micro-batches enter at either end. Where the two directions
// meet, a forward and a backward run together so that their collectives hide.
// Bubble (p / 2 - 1)(F&B + B - 3 W) with B = both halves of backward (table 2); here F&B = F + B.
// Activations of p + 1 micro-batches, parameters twice.

#include <algorithm>
#include <deque>

#include "absl/strings/str_cat.h"
#include "strategies/plan/schedules/schedule.h"

namespace meshstep {
namespace {

class DualPipeSchedule : public PublishedSchedule {
 public:
  std::string_view name() const override { return "dualpipe"; }

  Status Check(const Pipeline& p) const override {
    if (p.virtual_stages != 1) return WrongVirtualStages(name(), p.virtual_stages, "1");
    if (p.stages % 2 != 0) {
      return InvalidInput(
          absl::StrCat("is \"dualpipe\" with ", p.stages, " stages, expected an even number"));
    }
    if (p.micro_batches % 2 != 0 || p.micro_batches < 2 * p.stages) {
      return InvalidInput(absl::StrCat("is \"dualpipe\" with ", p.micro_batches,
                                       " micro-batches, expected an even number of at least ",
                                       2 * p.stages, " (twice the stages)"));
    }
    return absl::OkStatus();
  }

  int Parts(const Pipeline& p) const override { return p.stages; }
  int Chunks(int, const Pipeline&) const override { return 2; }
  int PartOf(ChunkPlace place, const Pipeline& p) const override {
    return place.chunk == 0 ? place.stage : p.stages - 1 - place.stage;
  }
  ChunkPlace PlaceOf(int part, std::int64_t micro_batch, const Pipeline& p) const override {
    return micro_batch < p.micro_batches / 2 ? ChunkPlace{part, 0}
                                             : ChunkPlace{p.stages - 1 - part, 1};
  }

  std::vector<Action> Actions(int stage, const Pipeline& p) const override;

  double Bubble(const Pipeline& p, const StageTimes& t) const override {
    const double backward = t.backward_input + t.backward_weight;
    return (p.stages / 2.0 - 1) * (t.forward + backward + backward - 3 * t.backward_weight);
  }

  // Where the directions meet it always does.
  bool Pairs(const Pipeline&) const override { return true; }

  std::int64_t MostLive(int, const Pipeline& p) const override { return p.stages + 1; }

 private:
  // `phase` 0: micro-batches that enter at the nearer end; 1: at the farther end.
  class Order {
   public:
    Order(bool second_half, std::int64_t m) : flip_(second_half ? 1 : 0) {
      next_forward_[1] = next_backward_[1] = m / 2;
    }
    void Forward(int phase) {
      const int chunk = phase ^ flip_;
      actions.push_back({Action::Kind::kForward, chunk, next_forward_[chunk]++});
    }
    // `late`: the weights' part waits for Weight().
    void Backward(int phase, bool late) {
      const int chunk = phase ^ flip_;
      const std::int64_t i = next_backward_[chunk]++;
      actions.push_back({late ? Action::Kind::kBackwardInput : Action::Kind::kBackward, chunk, i});
      if (late) late_.push_back({Action::Kind::kBackwardWeight, chunk, i});
    }
    void Both(int forward_phase, int backward_phase) {
      Forward(forward_phase);
      actions.back().with_next = true;
      Backward(backward_phase, false);
    }
    void Weight() {
      actions.push_back(late_.front());
      late_.pop_front();
    }

    std::vector<Action> actions;

   private:
    const int flip_;
    std::int64_t next_forward_[2] = {0, 0}, next_backward_[2] = {0, 0};
    std::deque<Action> late_;
  };
};

// h counts the stages from the nearer end, n = p / 2. Fill with 2 (n - h - 1) forwards of the near
// end and h + 1 of both; n - h - 1 rounds of backward and forward of the far end; then pairs; then
// the mirror image, in which weight gradients fill what would be idle.
std::vector<Action> DualPipeSchedule::Actions(int stage, const Pipeline& p) const {
  const int n = p.stages / 2;
  const int h = std::min(stage, p.stages - 1 - stage);
  const bool middle = h == n - 1;
  Order order(stage >= n, p.micro_batches);
  for (int i = 0; i < 2 * (n - h - 1); ++i) order.Forward(0);
  for (int i = 0; i < h + 1; ++i) {
    order.Forward(0);
    order.Forward(1);
  }
  for (int i = 0; i < n - h - 1; ++i) {
    order.Backward(1, true);
    order.Weight();
    order.Forward(1);
  }
  for (std::int64_t i = 0; i < p.micro_batches / 2 - p.stages + h + 1; ++i) {
    if (i == 0 && middle) {
      order.Forward(0);
      order.Backward(1, false);
    } else {
      order.Both(0, 1);
    }
    order.Both(1, 0);
  }
  for (int i = 0; i < n - h - 1; ++i) {
    order.Backward(1, false);
    order.Both(1, 0);
  }
  bool late = false;
  for (int i = 0; i < h + 1; ++i) {
    const bool half_way = i == (h + 1) / 2;
    if (half_way && h % 2 == 1) late = true;
    order.Backward(1, late);
    if (half_way && h % 2 == 0) late = true;
    order.Backward(0, late);
  }
  for (int i = 0; i < n - h - 1; ++i) {
    order.Weight();
    order.Backward(0, true);
  }
  for (int i = 0; i < h + 1; ++i) order.Weight();
  return std::move(order.actions);
}

}  // namespace

const PublishedSchedule& DualPipe() {
  static const DualPipeSchedule schedule;
  return schedule;
}

}  // namespace meshstep
