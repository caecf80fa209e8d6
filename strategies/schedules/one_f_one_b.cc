// 1F1B (PipeDream-Flush): Narayanan et al., arXiv 2006.09503 §2.2; bubble (p - 1) / m, arXiv
// 2104.04473 §2.2.1.

#include "strategies/schedules/one_f_one_b.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace meshstep {

Status OneFOneB::Check(int, int virtual_stages, std::int64_t) const {
  if (virtual_stages == 1) return absl::OkStatus();
  return InvalidInput(absl::StrCat("is \"1f1b\" with virtual_stages ", virtual_stages,
                                   ", which needs \"interleaved\""));
}

std::vector<Action> OneFOneB::Actions(int stage, int stages, int, std::int64_t m) const {
  const std::int64_t warm_up = std::min<std::int64_t>(m, stages - 1 - stage);
  std::vector<Action> actions;
  actions.reserve(static_cast<std::size_t>(2 * m));
  for (std::int64_t i = 0; i < warm_up; ++i) actions.push_back({Action::Kind::kForward, 0, i});
  for (std::int64_t i = 0; i + warm_up < m; ++i) {
    actions.push_back({Action::Kind::kForward, 0, i + warm_up});
    actions.push_back({Action::Kind::kBackward, 0, i});
  }
  for (std::int64_t i = m - warm_up; i < m; ++i) actions.push_back({Action::Kind::kBackward, 0, i});
  return actions;
}

double OneFOneB::BubbleFraction(int stages, int, std::int64_t m) const {
  return static_cast<double>(stages - 1) / static_cast<double>(m);
}

}  // namespace meshstep
