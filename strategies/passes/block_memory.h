// What a block takes in memory: its parameters, and the activations that wait for backward.

#ifndef MESHSTEP_STRATEGIES_PASSES_BLOCK_MEMORY_H_
#define MESHSTEP_STRATEGIES_PASSES_BLOCK_MEMORY_H_

#include <cstddef>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "strategies/block/block_view.h"
#include "strategies/passes/recompute.h"

namespace meshstep {

// Adds a parameter to the bytes of `lowered`: as stored and as gathered, and what it takes to cast
// it for narrow matmuls.
void CountParameter(const BlockView& pass, ArrayId id, LoweredBlock* lowered);

// Bytes that are kept, that are made again, and that one op needs beside them.
void CountActivations(const BlockView& pass, const Again& again, LoweredBlock* lowered);

// What lives on the host, once everything else is counted.
void CountOffload(const BlockView& pass, LoweredBlock* lowered);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_PASSES_BLOCK_MEMORY_H_
