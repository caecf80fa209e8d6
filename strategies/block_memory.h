// What a block takes in memory: its parameters, and the activations that wait for backward.

#ifndef MESHSTEP_STRATEGIES_BLOCK_MEMORY_H_
#define MESHSTEP_STRATEGIES_BLOCK_MEMORY_H_

#include <cstddef>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "strategies/pass_builder.h"

namespace meshstep {

// What runs again in backward: ops by index, and the arrays that they make anew.
struct Again {
  std::set<std::size_t> ops;
  std::set<ArrayId> arrays;
};
Again RunsAgain(const Block& block, Recompute policy, const Plan& plan);

// What Plan::recompute_modules may name.
std::vector<std::string> RecomputeModules();

// The weight of a matmul that runs in Precision::compute.
bool IsMatmulWeight(const Block& block, ArrayId parameter);

// Adds a parameter to the bytes of `plan`: as stored and as gathered, and what it takes to cast it
// for narrow matmuls.
void CountParameter(const PassBuilder& pass, ArrayId id, BlockPlan* plan);

// Bytes that are kept, that are made again, and that one op needs beside them.
void CountActivations(const PassBuilder& pass, const Again& again, BlockPlan* plan);

// What lives on the host, once everything else is counted.
void CountOffload(const PassBuilder& pass, BlockPlan* plan);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_BLOCK_MEMORY_H_
