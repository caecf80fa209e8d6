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

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "sim/advice/search/plan_space.h"

namespace meshstep {

// Picoseconds of a block, or of blocks that run one after another: from the first kernel to the last
// (busy) and until what the next block waits for is there (out); from the input to the same
// (through) and to the last kernel (tail).
struct PassTime {
  std::int64_t busy = 0, out = 0, through = 0, tail = 0;
  // Blocks whose result does not wait for their first kernel (out is not known), or that do not wait
  // for their input (through and tail).
  int no_out = 0, no_in = 0;
};

// Of a block on one micro-batch.
struct BlockFigures {
  PassTime forward, backward, backward_input;
  std::int64_t weights = 0;
  double kept = 0;  // bytes from forward to backward
};

// What the choices up to Knob::kCustom lower to, in the order of the forward: embedding, layers,
// head. Sums over blocks [0, i) stand at i.
struct KernelFigures {
  std::vector<BlockFigures> blocks;
  std::vector<BlockFigures> plain;  // the same without recomputation, where there is a limit to it
};

// Bytes that blocks hold all step, as KernelFigures.
struct StateFigures {
  std::vector<double> blocks;
  double always = 0;  // of libraries
};

// One group of plans: all choices up to Knob::kCustom.
struct GroupBound {
  std::int64_t ps = 0;
  struct Stage {
    double live = 0;                                         // bytes of activations
    std::vector<std::pair<std::size_t, std::size_t>> parts;  // blocks [first, second) of each
  };
  std::vector<Stage> stages;
};

class QuickTable {
 public:
  QuickTable(const PlanSpace& space, const Catalog& catalog, Fidelity fidelity);

  // Of valid choices. A plan that does not lower has no bound: 0, and nothing live.
  GroupBound Group(const Choices& choices) const;
  // Bytes of the fullest stage.
  double Peak(const Choices& choices, const GroupBound& group) const;

 private:
  using Key = std::vector<int>;
  const KernelFigures& Kernels(const Choices& choices) const;
  const StateFigures& State(const Choices& choices) const;
  KernelFigures LowerKernels(const Choices& choices) const;
  StateFigures LowerState(const Choices& choices) const;

  const PlanSpace& space_;
  const Catalog& catalog_;
  const Fidelity fidelity_;
  const bool placed_alike_;
  mutable std::mutex mutex_;
  mutable std::map<Key, std::unique_ptr<const KernelFigures>> kernels_;  // guarded by mutex_
  mutable std::map<Key, std::unique_ptr<const StateFigures>> states_;
};

}  // namespace meshstep

#endif  // MESHSTEP_SIM_ADVICE_SEARCH_QUICK_TABLE_H_
