// GPipe: Huang et al., arXiv 1811.06965 §2.3; bubble (p - 1) / m.

#include "strategies/schedules/gpipe.h"

#include "absl/strings/str_cat.h"

namespace meshstep {

Status GPipe::Check(int, int virtual_stages, std::int64_t) const {
  if (virtual_stages == 1) return absl::OkStatus();
  return InvalidInput(absl::StrCat("is \"gpipe\" with virtual_stages ", virtual_stages,
                                   ", which needs \"interleaved\""));
}

std::vector<Action> GPipe::Actions(int, int, int, std::int64_t m) const {
  std::vector<Action> actions;
  actions.reserve(static_cast<std::size_t>(2 * m));
  for (std::int64_t i = 0; i < m; ++i) actions.push_back({Action::Kind::kForward, 0, i});
  for (std::int64_t i = 0; i < m; ++i) actions.push_back({Action::Kind::kBackward, 0, i});
  return actions;
}

double GPipe::BubbleFraction(int stages, int, std::int64_t m) const {
  return static_cast<double>(stages - 1) / static_cast<double>(m);
}

}  // namespace meshstep
