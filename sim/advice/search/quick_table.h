// Bounds of plans by the million: kernels and resident bytes of a few thousand lowered blocks, and a
// sum for each plan.
//
// The idea. What a device computes on one micro-batch does not depend on how many replicas,
// stages and micro-batches there are, nor on where state lies; what state it holds does not depend
// on micro-batches and recomputation. So both are lowered once for each of their own choices, and a
// plan's bound is put together from the two:
//   time     over stages: the parts before, from input to output + m · its own parts, from the first
//            kernel to the last + gradients of the parts before that pass on after it
//   memory   state of the stage's parts + MostLive · what one of its parts keeps
// Both are below the simulation, for the reasons that strategies/bounds/plan gives. Of the transfers
// of a block only activations over tensor and context inside a node take time, where those axes are
// placed before all others: so they take the same in all plans with these kernels, and no less than
// one group by itself over its own links.
//
// Cost. One lowering (a millisecond) for each choice of kernels or state; then O(parts) for a group
// of plans, O(stages) for each plan.

#ifndef MESHSTEP_SIM_ADVICE_SEARCH_QUICK_TABLE_H_
#define MESHSTEP_SIM_ADVICE_SEARCH_QUICK_TABLE_H_

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "sim/advice/search/kernel_figures.h"
#include "sim/advice/search/plan_space.h"
#include "strategies/plan/pipeline_parts.h"

namespace meshstep {

// Bytes that blocks hold all step: at i, the sum over blocks [0, i).
struct StateFigures {
  std::vector<double> blocks;
  double always = 0;  // of libraries
};

// Which parts there are, and who holds them.
struct StageLayout {
  std::vector<PipelinePart> parts;
  std::vector<BlockRange> blocks;          // by part
  std::vector<std::vector<int>> of_stage;  // parts
};

// One group of plans: all choices up to kLastOfGroup.
struct GroupBound {
  std::int64_t ps = 0;
  const StageLayout* layout = nullptr;
  std::vector<double> live;  // bytes of activations, by stage
};

class QuickTable {
 public:
  QuickTable(const PlanSpace& space, const Catalog& catalog, Fidelity fidelity);

  // A looser bound of a group, in picoseconds, at the cost of a look-up.
  std::int64_t Loosely(const Choices& choices) const;
  // Of valid choices. A plan that does not lower has no bound: 0, and nothing live.
  GroupBound Group(const Choices& choices) const;
  // Bytes of the fullest stage.
  double Peak(const Choices& choices, const GroupBound& group) const;

 private:
  using Key = std::array<int, 9>;
  const KernelFigures& Kernels(const Choices& choices) const;
  const StateFigures& State(const Choices& choices) const;
  KernelFigures LowerKernels(const Choices& choices) const;
  StateFigures LowerState(const Choices& choices) const;
  const StageLayout& Layout(const Choices& choices) const;
  std::vector<BlockFigures> FiguresOfParts(const KernelFigures& kernels, const StageLayout& layout,
                                           int limit) const;

  const PlanSpace& space_;
  const Catalog& catalog_;
  const Fidelity fidelity_;
  const bool placed_alike_;
  const std::vector<int> recompute_alike_;
  mutable std::mutex mutex_;
  mutable std::map<Key, std::unique_ptr<const KernelFigures>> kernels_;  // guarded by mutex_
  mutable std::map<Key, std::unique_ptr<const StateFigures>> states_;
  mutable std::map<std::pair<int, int>, StageLayout> layouts_;  // by schedule and stages
};

}  // namespace meshstep

#endif  // MESHSTEP_SIM_ADVICE_SEARCH_QUICK_TABLE_H_
