// The shortest time in which one stage runs the blocks of one part on one micro-batch, if nothing
// else is on its links: a longest path.
//
// The problem. A part is a list of blocks; a run of a block is a list of kernels and transfers
// (strategies/block/lowered_block.h). Kernels run in order on the compute stream, transfers in
// order on the stream of their role and axes, and each step after those that it names. Every one of
// these is a constraint start(v) >= end(u) that the simulation keeps too, with kernels and transfers
// that take at least as long as here. So what a path adds up to is never above what is simulated.
//
// Symbols. Times are picoseconds from one source, kNever for what no path from it reaches:
//   from the first kernel   its start is 0: `last` is when the last kernel ends, so that actions of
//                           a stage, whose kernels follow each other, take at least the sum of these
//   from the input          the input arrives at 0: `output` is when what the next part waits for is
//                           there, `last` as before
//
// Cost. O(steps of a block) for every block until the state after a block is that before it, later
// by the same for all that is reached: from there on alike blocks shift it by as much each (paths
// add, so that a shift of all sources is a shift of all results).

#ifndef MESHSTEP_STRATEGIES_BOUNDS_PLAN_BLOCK_CHAIN_H_
#define MESHSTEP_STRATEGIES_BOUNDS_PLAN_BLOCK_CHAIN_H_

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "strategies/block/lowered_block.h"
#include "strategies/plan/schedules/schedule.h"

namespace meshstep {

inline constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::min() / 4;

// What a step takes at least.
struct LeastTimes {
  double slowest_chip = 1;                  // StepRates::slowest_chip
  std::vector<std::int64_t> transfer = {};  // by transfer, on idle links
  std::vector<int> stream = {};             // by transfer: which it runs on, from 0
  int streams = 0;
};

// Picoseconds of a kernel.
std::int64_t KernelTime(const BlockStep& step, double slowest_chip);

struct ChainTimes {
  std::int64_t last = kNever, output = kNever;
};
enum class ChainFrom { kFirstKernel, kInput };

// Of the blocks in the order in which the action runs them.
ChainTimes LongestChain(std::span<const LoweredBlock* const> blocks, Action::Kind kind,
                        const LeastTimes& times, ChainFrom from);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_BOUNDS_PLAN_BLOCK_CHAIN_H_
