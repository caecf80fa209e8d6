// What a pass over a block does, found by name.

#ifndef MESHSTEP_TESTS_STRATEGIES_PASSES_BLOCK_STEPS_H_
#define MESHSTEP_TESTS_STRATEGIES_PASSES_BLOCK_STEPS_H_

#include <algorithm>
#include <string>

#include "strategies/block/lowered_block.h"

namespace meshstep {

// The first step of that name; nullptr: there is none.
inline const BlockStep* Find(const BlockPass& pass, const std::string& name) {
  const auto it = std::find_if(pass.steps.begin(), pass.steps.end(),
                               [&](const BlockStep& step) { return step.name == name; });
  return it == pass.steps.end() ? nullptr : &*it;
}

// HBM bytes; -1: there is no such kernel.
inline double BytesOf(const BlockPass& pass, const std::string& name) {
  if (Find(pass, name) == nullptr) return -1;
  double bytes = 0;
  for (const BlockStep& step : pass.steps) bytes += step.name == name ? step.hbm_bytes.value() : 0;
  return bytes;
}

}  // namespace meshstep

#endif  // MESHSTEP_TESTS_STRATEGIES_PASSES_BLOCK_STEPS_H_
