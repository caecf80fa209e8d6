#include "strategies/passes/split_backward.h"

#include <cstddef>
#include <vector>

#include "sim/base/index.h"

namespace meshstep {

SplitBackward Split(const BlockPass& backward) {
  const std::size_t count = backward.steps.size();
  std::vector<bool> serves_input(count, false), served(count, false), weight(count, false);
  if (backward.output >= 0) serves_input[Index(backward.output)] = true;
  for (std::size_t i = count; i-- > 0;) {
    const BlockStep& step = backward.steps[i];
    const bool only_weights = step.transfer >= 0 && served[i] && !serves_input[i];
    weight[i] = step.for_weights || only_weights;
    for (const int before : step.after) {
      served[Index(before)] = true;
      if (!weight[i]) serves_input[Index(before)] = true;
    }
  }
  SplitBackward halves;
  std::vector<int> at(count, -1);
  for (std::size_t i = 0; i < count; ++i) {
    BlockPass& half = weight[i] ? halves.weight : halves.input;
    BlockStep step = backward.steps[i];
    step.after.clear();
    for (const int before : backward.steps[i].after) {
      if (weight[Index(before)] == weight[i]) step.after.push_back(at[Index(before)]);
    }
    if (weight[i]) step.needs_input = step.needs_parameters = false;
    step.host_after = -1;  // nothing in backward is read by the host
    at[i] = static_cast<int>(half.steps.size());
    half.steps.push_back(std::move(step));
  }
  if (backward.output >= 0) halves.input.output = at[Index(backward.output)];
  return halves;
}

}  // namespace meshstep
