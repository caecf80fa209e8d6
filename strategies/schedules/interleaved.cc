// Interleaved 1F1B: Narayanan et al., arXiv 2104.04473 §2.2.2; bubble (p - 1) / (v m).
// Micro-batches run in groups of p: p of them through chunk 0, the same p through chunk 1, and so
// on.

#include "strategies/schedules/interleaved.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace meshstep {

Status Interleaved::Check(int stages, int virtual_stages, std::int64_t m) const {
  if (virtual_stages < 2) {
    return InvalidInput("is \"interleaved\" with virtual_stages 1, expected 2 or more");
  }
  if (m % stages != 0) {
    return InvalidInput(absl::StrCat("is \"interleaved\" with ", m, " micro-batches, expected a ",
                                     "multiple of the ", stages, " stages"));
  }
  return absl::OkStatus();
}

std::vector<Action> Interleaved::Actions(int stage, int stages, int v, std::int64_t m) const {
  const std::int64_t total = m * v;
  const std::int64_t group = static_cast<std::int64_t>(stages) * v;
  // k-th forward (or backward) of a stage -> chunk and micro-batch.
  const auto action = [&](Action::Kind kind, std::int64_t k) {
    const auto chunk = static_cast<std::int32_t>((k % group) / stages);
    const std::int64_t micro_batch = k / group * stages + k % stages;
    return Action{kind, kind == Action::Kind::kForward ? chunk : v - 1 - chunk, micro_batch};
  };
  const std::int64_t warm_up = std::min(total, static_cast<std::int64_t>(stages - 1 - stage) * 2 +
                                                   static_cast<std::int64_t>(v - 1) * stages);
  std::vector<Action> actions;
  actions.reserve(static_cast<std::size_t>(2 * total));
  for (std::int64_t k = 0; k < warm_up; ++k) actions.push_back(action(Action::Kind::kForward, k));
  for (std::int64_t k = warm_up; k < total; ++k) {
    actions.push_back(action(Action::Kind::kForward, k));
    actions.push_back(action(Action::Kind::kBackward, k - warm_up));
  }
  for (std::int64_t k = total - warm_up; k < total; ++k) {
    actions.push_back(action(Action::Kind::kBackward, k));
  }
  return actions;
}

double Interleaved::BubbleFraction(int stages, int v, std::int64_t m) const {
  return static_cast<double>(stages - 1) / (static_cast<double>(v) * static_cast<double>(m));
}

}  // namespace meshstep
