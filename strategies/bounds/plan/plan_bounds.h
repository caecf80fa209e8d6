// What a plan takes at least, in time and in memory, told before its tasks are made: what the
// search prunes with, and `check`.
//
// The problem. To say of most plans that they are not the best, or do not fit, without simulating
// them, and never to be wrong about it.
//
// Symbols.
//   D(a)     of an action a of a stage: from the start of its first kernel to the end of its last
//            (block_chain.h, from the first kernel)
//   E(q)     of part q: from its input to its output (from the input)
//   p(s)     the part that stage s runs first
// The bounds, of which the largest counts, over stages s:
//   kernels        fill + sum of D(a) + update:  fill is the sum of E(q), q < p(s)
//   slowed         (1 - u) K + u (T + W):  K is the bound above, W the kernels on its path, T the
//                  transfers of one stream, each of which takes u of the processor. For if M is the
//                  time and S what those kernels are slowed by, M >= K + S; outside of them are
//                  M - W - S, so transfers run beside them for T - (M - W - S) at least, and S is
//                  at least u times that
//   last gradient  fill + D up to the last backward of s + E(q) of the parts that its gradient
//                  passes after s + update where it ends
//   streams        the transfers of one stream, which run one after another
// Fill, drain, the gaps that collectives leave between kernels and what they take of the processor
// are so part of the bound; waits for gathers, for other micro-batches, for the host and for shared
// links are not.
//
// The invariant: time bound <= simulated time, memory bound <= simulated peak, for every plan. Each
// is a sum of constraints that the engine keeps (tests/strategies/bounds/plan holds it on random
// plans, and that a bound 1 % higher is caught).
//
// Cost: O(steps of a block + parts), for a schedule that is new O(actions); prices that are new cost
// what StepUnits does.

#ifndef MESHSTEP_STRATEGIES_BOUNDS_PLAN_PLAN_BOUNDS_H_
#define MESHSTEP_STRATEGIES_BOUNDS_PLAN_PLAN_BOUNDS_H_

#include <cstdint>
#include <memory>
#include <string_view>

#include "sim/base/status.h"
#include "sim/base/units.h"
#include "strategies/bounds/plan/block_chain.h"
#include "strategies/plan/plan.h"
#include "strategies/step/lower_step.h"

namespace meshstep {

struct TimeBound {
  Time time;
  std::string_view binds;  // "kernels", "last gradient" or "streams"
  int stage = 0;           // whose sum it is
};

struct MemoryBound {
  std::int64_t peak_bytes = 0;  // of one device of `stage`
  int stage = 0;
};

struct PlanBounds {
  TimeBound time;
  MemoryBound memory;
};

// Without placing the mesh: collectives take no time. Error: the plan cannot be lowered.
StatusOr<PlanBounds> QuickBounds(const Scenario& scenario, Fidelity fidelity);

// What bounds of many plans of one cluster share: prices of transfers, counts of actions. For one
// thread.
class BoundCache {
 public:
  BoundCache();
  ~BoundCache();

 private:
  struct Kept;
  friend class BoundInputs;
  std::unique_ptr<Kept> kept_;
};

struct BoundOptions {
  BoundCache* cache = nullptr;  // null: nothing is kept
  Time most = Time::Max();      // memory is told, else 0, where the bound of time is not above this
  // Without transfers of parameters and gradients, and without the update: what plans have in common
  // that differ in where state lies and when it moves. Memory is 0.
  bool activations_only = false;
  // All plans that share the cache place tensor and context before other axes, on nodes that are
  // alike: what moves along these inside a node has one price in all of them.
  bool tensor_first = false;
};

// With the collectives on idle links. Error: an algorithm does not run where the plan wants it.
StatusOr<PlanBounds> BoundsOf(const PreparedStep& step, const BoundOptions& options = {});

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_BOUNDS_PLAN_PLAN_BOUNDS_H_
