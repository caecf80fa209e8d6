// Lists of one entry per layer, as the order that model.proto says: windows and routed layers by a
// period. An order with the same number of layers of each kind but at other places is taken and
// marked; one with other numbers is not found.

#ifndef MESHSTEP_STRATEGIES_MODEL_HUGGING_FACE_HF_LAYERS_H_
#define MESHSTEP_STRATEGIES_MODEL_HUGGING_FACE_HF_LAYERS_H_

#include <optional>
#include <vector>

namespace meshstep {

// dense layers first, then one routed layer in `period`, the last of each group.
struct RoutedOrder {
  int dense = 0, period = 1;
  bool exact = true;
  bool operator==(const RoutedOrder&) const = default;
};

// One layer in `period` without a window, the last of each group; 0: none is.
struct WindowOrder {
  int period = 0;
  bool exact = true;
  bool operator==(const WindowOrder&) const = default;
};

// At least one layer is routed.
RoutedOrder OrderOfRouted(const std::vector<bool>& routed);

// full[i]: layer i has no window. At least one has one.
std::optional<WindowOrder> OrderOfWindows(const std::vector<bool>& full);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_MODEL_HUGGING_FACE_HF_LAYERS_H_
