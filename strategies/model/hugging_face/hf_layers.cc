#include "strategies/model/hugging_face/hf_layers.h"

#include <algorithm>

namespace meshstep {
namespace {

// Whether `list` is true at the last layer of each group of `period` after `skipped` layers and
// nowhere else.
bool IsPeriodic(const std::vector<bool>& list, int skipped, int period) {
  for (int i = 0; i < static_cast<int>(list.size()); ++i) {
    const bool last = i >= skipped && (i - skipped + 1) % period == 0;
    if (list[static_cast<std::size_t>(i)] != last) return false;
  }
  return true;
}

}  // namespace

RoutedOrder OrderOfRouted(const std::vector<bool>& routed) {
  const int layers = static_cast<int>(routed.size());
  const int count = static_cast<int>(std::ranges::count(routed, true));
  const int first = static_cast<int>(std::ranges::find(routed, true) - routed.begin());
  // From the longest period on: what is periodic from the first layer has no dense layers.
  for (int period = first + 1; period >= 1; --period) {
    const int dense = first + 1 - period;
    if (IsPeriodic(routed, dense, period)) return {dense, period, true};
  }
  return {layers - count, 1, false};
}

std::optional<WindowOrder> OrderOfWindows(const std::vector<bool>& full) {
  const int layers = static_cast<int>(full.size());
  const int count = static_cast<int>(std::ranges::count(full, true));
  if (count == 0) return WindowOrder{0, true};
  const int first = static_cast<int>(std::ranges::find(full, true) - full.begin());
  if (IsPeriodic(full, 0, first + 1)) return WindowOrder{first + 1, true};
  for (int period = 2; period <= layers; ++period) {
    if (layers / period == count) return WindowOrder{period, false};
  }
  return std::nullopt;
}

}  // namespace meshstep
