#include "sim/advice/search/kernel_figures.h"

#include <algorithm>

#include "sim/base/index.h"

namespace meshstep {
namespace {

using Kind = Action::Kind;

PassTime TimeOf(const LoweredBlock& block, Kind kind, const LeastTimes& times) {
  const LoweredBlock* const one[] = {&block};
  const ChainTimes first = LongestChain(one, kind, times, ChainFrom::kFirstKernel);
  const ChainTimes input = LongestChain(one, kind, times, ChainFrom::kInput);
  const auto or0 = [](std::int64_t at) { return std::max<std::int64_t>(0, at); };
  return {or0(first.last),
          or0(first.output),
          or0(input.output),
          or0(input.last),
          first.output == kNever ? 1 : 0,
          input.output == kNever || input.last == kNever ? 1 : 0};
}

BlockFigures FiguresOf(const LoweredBlock& block, const LeastTimes& times) {
  BlockFigures figures;
  figures.forward = TimeOf(block, Kind::kForward, times);
  figures.backward = TimeOf(block, Kind::kBackward, times);
  figures.backward_input = TimeOf(block, Kind::kBackwardInput, times);
  figures.weights = TimeOf(block, Kind::kBackwardWeight, times).busy;
  figures.kept = block.kept_bytes;
  if (block.host_activations.to >= 0) figures.kept -= block.host_activations.bytes;
  return figures;
}

// The blocks of a pass one after another.
PassTime Run(const BlockSums& sums, PassTime BlockFigures::*pass, BlockRange blocks,
             bool backward) {
  const auto [begin, end] = blocks;
  if (end - begin < 2) return sums.Pass(pass, blocks);
  const PassTime low = sums.Pass(pass, {begin, begin + 1});
  const PassTime high = sums.Pass(pass, {end - 1, end});
  const PassTime inner = sums.Pass(pass, {begin + 1, end - 1});
  return backward ? InTurn(high, inner, low) : InTurn(low, inner, high);
}

}  // namespace

PassTime InTurn(const PassTime& first, const PassTime& inner, const PassTime& last) {
  const bool passes_on = first.no_out == 0 && inner.no_in == 0 && last.no_in == 0;
  PassTime run;
  run.busy = first.busy + inner.busy + last.busy;
  run.through = first.through + inner.through + last.through;
  run.no_in = first.no_in + inner.no_in + last.no_in;
  run.no_out = last.no_out > 0 && !passes_on ? 1 : 0;
  if (last.no_out == 0) run.out = first.busy + inner.busy + last.out;
  if (run.no_in == 0) run.tail = first.through + inner.through + last.tail;
  if (!passes_on) return run;
  run.busy = std::max(run.busy, first.out + inner.through + last.tail);
  run.out = std::max(run.out, first.out + inner.through + last.through);
  return run;
}

BlockSums::BlockSums(const LoweredModel& model, const LeastTimes& times)
    : embedding_(FiguresOf(model.embedding, times)),
      head_(FiguresOf(model.head, times)),
      layers_(model.layer_kind.size()) {
  for (const LoweredBlock& kind : model.kinds) kinds_.push_back(FiguresOf(kind, times));
  if (one_kind()) return;
  before_.reserve(kinds_.size() * (layers_ + 1));
  for (std::size_t k = 0; k < kinds_.size(); ++k) {
    before_.push_back(0);
    for (const int kind : model.layer_kind) {
      before_.push_back(before_.back() + (Index(kind) == k ? 1 : 0));
    }
  }
}

template <class Add>
void BlockSums::ForEach(BlockRange blocks, Add add) const {
  const auto [begin, end] = blocks;
  if (begin >= end) return;
  if (begin == 0) add(embedding_, 1);
  if (end == layers_ + 2) add(head_, 1);
  const std::size_t first = std::max<std::size_t>(begin, 1) - 1;
  const std::size_t last = std::min(end, layers_ + 1) - 1;
  if (first >= last) return;
  if (one_kind()) {
    add(kinds_.front(), static_cast<int>(last - first));
    return;
  }
  for (std::size_t k = 0; k < kinds_.size(); ++k) {
    const int* const before = &before_[k * (layers_ + 1)];
    add(kinds_[k], before[last] - before[first]);
  }
}

PassTime BlockSums::Pass(PassTime BlockFigures::*pass, BlockRange blocks) const {
  PassTime sum;
  ForEach(blocks, [&](const BlockFigures& block, int times) {
    const PassTime& one = block.*pass;
    sum.busy += times * one.busy;
    sum.out += times * one.out;
    sum.through += times * one.through;
    sum.tail += times * one.tail;
    sum.no_out += times * one.no_out;
    sum.no_in += times * one.no_in;
  });
  return sum;
}

std::int64_t BlockSums::Weights(BlockRange blocks) const {
  std::int64_t sum = 0;
  ForEach(blocks, [&](const BlockFigures& block, int times) { sum += times * block.weights; });
  return sum;
}

double BlockSums::Kept(BlockRange blocks) const {
  double sum = 0;
  ForEach(blocks, [&](const BlockFigures& block, int times) { sum += times * block.kept; });
  return sum;
}

double BlockSums::LeastBusy(const BlockSums& other, bool trains) const {
  if (other.kinds_.size() != kinds_.size()) return 0;
  const auto busy = [&](const BlockFigures& block) {
    const std::int64_t halves = block.backward_input.busy + block.weights;
    return block.forward.busy + (trains ? std::min(block.backward.busy, halves) : 0);
  };
  const auto least = [&](const BlockFigures& a, const BlockFigures& b) {
    return static_cast<double>(std::min(busy(a), busy(b)));
  };
  double sum = least(embedding_, other.embedding_) + least(head_, other.head_);
  for (std::size_t k = 0; k < kinds_.size(); ++k) {
    const int layers = one_kind() ? static_cast<int>(layers_)
                                  : std::min(before_[(k + 1) * (layers_ + 1) - 1],
                                             other.before_[(k + 1) * (layers_ + 1) - 1]);
    sum += layers * least(kinds_[k], other.kinds_[k]);
  }
  return sum;
}

BlockFigures RunOf(const KernelFigures& of, BlockRange blocks, std::size_t split) {
  const BlockRange again = {blocks.begin, split}, rest = {split, blocks.end};
  const bool all = split == blocks.end;
  const auto run = [&](PassTime BlockFigures::*pass, bool backward) {
    const PassTime first = Run(of.blocks, pass, again, backward);
    if (all) return first;
    const PassTime plain = Run(of.plain, pass, rest, backward);
    if (split == blocks.begin) return plain;
    return backward ? InTurn(plain, {}, first) : InTurn(first, {}, plain);
  };
  BlockFigures sum;
  sum.forward = run(&BlockFigures::forward, false);
  sum.backward = run(&BlockFigures::backward, true);
  sum.backward_input = run(&BlockFigures::backward_input, true);
  sum.weights = of.blocks.Weights(again);
  sum.kept = of.blocks.Kept(again);
  if (all) return sum;
  sum.weights += of.plain.Weights(rest);
  sum.kept += of.plain.Kept(rest);
  return sum;
}

}  // namespace meshstep
