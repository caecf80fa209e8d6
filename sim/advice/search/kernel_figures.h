// What the blocks of a model take on one micro-batch, and sums over runs of them.
//
// Blocks are numbered in the order of the forward: 0 the embedding, then the layers, then the head.
// Layers are of a few kinds, so that figures stand once for each kind, and a sum over a range is a
// count of each kind times its figures.

#ifndef MESHSTEP_SIM_ADVICE_SEARCH_KERNEL_FIGURES_H_
#define MESHSTEP_SIM_ADVICE_SEARCH_KERNEL_FIGURES_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "strategies/bounds/plan/block_chain.h"
#include "strategies/step/lowered_model.h"

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

struct BlockFigures {
  PassTime forward, backward, backward_input;
  std::int64_t weights = 0;
  double kept = 0;  // bytes from forward to backward
};

// Blocks [begin, end).
struct BlockRange {
  std::size_t begin = 0, end = 0;
};

class BlockSums {
 public:
  BlockSums() = default;  // of a model that does not lower
  BlockSums(const LoweredModel& model, const LeastTimes& times);

  bool empty() const { return kinds_.empty(); }
  // Whether layers differ.
  bool one_kind() const { return kinds_.size() == 1; }
  PassTime Pass(PassTime BlockFigures::*pass, BlockRange blocks) const;
  std::int64_t Weights(BlockRange blocks) const;
  double Kept(BlockRange blocks) const;
  // No more than what all blocks keep a device busy, each as here or as in `other`.
  double LeastBusy(const BlockSums& other, bool trains) const;

 private:
  template <class Add>
  void ForEach(BlockRange blocks, Add add) const;

  BlockFigures embedding_, head_;
  std::vector<BlockFigures> kinds_;
  std::size_t layers_ = 0;
  std::vector<int> before_;  // [kind * (layers + 1) + l]: layers before l of a kind; one kind: none
};

// What the choices up to kLastOfGroup lower to.
struct KernelFigures {
  BlockSums blocks;
  BlockSums plain;        // the same without recomputation, where there is a limit to it
  double least_busy = 0;  // of all blocks, forward and backward
};

// `first`, then blocks that take `inner` in all, then `last`: kernels of one wait for those of the
// other, and inputs for outputs.
PassTime InTurn(const PassTime& first, const PassTime& inner, const PassTime& last);

// Blocks of one part one after another, of which only those before `split` are recomputed.
BlockFigures RunOf(const KernelFigures& of, BlockRange blocks, std::size_t split);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_ADVICE_SEARCH_KERNEL_FIGURES_H_
