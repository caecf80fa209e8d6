#include "strategies/bounds/plan/block_chain.h"

#include <algorithm>
#include <array>
#include <utility>

#include "sim/base/index.h"
#include "strategies/block/lowered_block.h"

namespace meshstep {
namespace {

using Kind = Action::Kind;

// Ends of streams and of what the next block waits for; one list, so that it can be shifted.
struct State {
  std::vector<std::int64_t> streams;  // by transfer stream
  std::int64_t compute = kNever, value = kNever;
  bool ran = false;  // a kernel

  // The same later by one amount wherever anything is reached; kNever if it is not.
  std::int64_t ShiftFrom(const State& before) const {
    std::int64_t shift = kNever;
    const auto compare = [&](std::int64_t a, std::int64_t b) {
      if (a == kNever && b == kNever) return true;
      if (a == kNever || b == kNever) return false;
      if (shift == kNever) shift = b - a;
      return b - a == shift;
    };
    bool same = compare(before.compute, compute) && compare(before.value, value);
    for (std::size_t i = 0; i < streams.size(); ++i) {
      same = same && compare(before.streams[i], streams[i]);
    }
    return same ? shift : kNever;
  }
  void Shift(std::int64_t by) {
    for (std::int64_t* at : {&compute, &value}) *at += *at == kNever ? 0 : by;
    for (std::int64_t& at : streams) at += at == kNever ? 0 : by;
  }
};

std::int64_t Later(std::int64_t at, std::int64_t by) { return at == kNever ? kNever : at + by; }

class Chain {
 public:
  Chain(const LeastTimes& times, ChainFrom from) : times_(times), from_(from) {
    state_.streams.assign(Index(times.streams), kNever);
    if (from == ChainFrom::kInput) state_.value = 0;
  }

  void Run(const LoweredBlock& block, Kind kind) {
    const std::int64_t input = state_.value;
    std::int64_t output = input;
    const auto run = [&](const BlockPass& pass, bool recompute) {
      output = RunPass(pass, recompute, kind == Kind::kBackwardWeight, input);
    };
    switch (kind) {
      case Kind::kForward:
        run(block.forward, false);
        break;
      case Kind::kBackward:
      case Kind::kBackwardInput:
        run(block.recompute, true);
        run(kind == Kind::kBackward ? block.backward : block.backward_input, false);
        break;
      case Kind::kBackwardWeight:
        run(block.backward_weight, false);
        break;
    }
    state_.value = output;
  }

  State& state() { return state_; }

 private:
  std::int64_t RunPass(const BlockPass& pass, bool recompute, bool ahead, std::int64_t input) {
    made_.assign(pass.steps.size(), kNever);
    for (std::size_t i = 0; i < pass.steps.size(); ++i) {
      const BlockStep& step = pass.steps[i];
      std::int64_t start = kNever;
      for (const int s : step.after) start = std::max(start, made_[Index(s)]);
      if (recompute ? step.after.empty() : step.needs_input) start = std::max(start, input);
      if (step.transfer < 0) {
        start = std::max(start, state_.compute);
        if (!state_.ran && from_ == ChainFrom::kFirstKernel) start = 0;
        state_.ran = true;
        made_[i] = Later(start, KernelTime(step, times_.slowest_chip));
        state_.compute = made_[i];
      } else {
        if (step.after.empty() && !ahead) start = std::max(start, state_.compute);
        std::int64_t& stream = state_.streams[Index(times_.stream[Index(step.transfer)])];
        made_[i] = Later(std::max(start, stream), times_.transfer[Index(step.transfer)]);
        stream = std::max(stream, made_[i]);
      }
    }
    return pass.output >= 0 ? made_[Index(pass.output)] : input;
  }

  const LeastTimes& times_;
  const ChainFrom from_;
  State state_;
  std::vector<std::int64_t> made_;
};

}  // namespace

std::int64_t KernelTime(const BlockStep& step, double slowest_chip) {
  if (slowest_chip <= 1 || step.flops <= Flops()) return step.duration.ps();
  return Time::RoundUp(Seconds(step.duration.seconds() * slowest_chip)).ps();
}

ChainTimes LongestChain(std::span<const LoweredBlock* const> blocks, Kind kind,
                        const LeastTimes& times, ChainFrom from) {
  Chain chain(times, from);
  State before;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    // Blocks from i on that are as the one before.
    std::size_t alike = i;
    while (i > 0 && alike < blocks.size() && blocks[alike] == blocks[i - 1]) ++alike;
    if (alike > i && before.ran) {
      const std::int64_t shift = chain.state().ShiftFrom(before);
      if (shift != kNever) {
        chain.state().Shift(shift * static_cast<std::int64_t>(alike - i));
        before = State();
        i = alike - 1;
        continue;
      }
    }
    before = chain.state();
    chain.Run(*blocks[i], kind);
  }
  return {chain.state().compute, chain.state().value};
}

}  // namespace meshstep
