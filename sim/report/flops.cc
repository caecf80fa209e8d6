#include "sim/report/flops.h"

#include <algorithm>
#include <string>
#include <vector>

#include "strategies/model.h"
#include "strategies/ops/composite.h"

namespace meshstep {
namespace {

// Backward of a matmul or of attention does twice the work of forward.
constexpr double kTraining = 3;

class Counter {
 public:
  explicit Counter(const Scenario& scenario) : scenario_(scenario) {}

  // Adds `times` copies of a block and returns the parameters that one copy uses.
  double Add(const Block& block, double times) {
    double used = 0;
    for (const Array& array : block.arrays) {
      if (!array.parameter) continue;
      const double size = Elements(array.dims);
      used += size;
      if (!array.shared) counts_.parameters += times * size;
    }
    for (const Op& op : block.ops) {
      if (op.kind == Op::Kind::kMatmul) AddMatmul(block, op, times);
      if (op.kind == Op::Kind::kAttention) AddAttention(op, times);
    }
    return used;
  }

  StepCounts& counts() { return counts_; }

 private:
  double Elements(const std::vector<std::string>& dims) const {
    double elements = 1;
    for (const std::string& dim : dims) {
      elements *= static_cast<double>(
          DimSize(scenario_.model, dim, scenario_.workload.batch, scenario_.workload.sequence));
    }
    return elements;
  }

  void AddMatmul(const Block& block, const Op& op, double times) {
    const auto dims = [&](ArrayId a) { return block.arrays[static_cast<std::size_t>(a)].dims; };
    double sum = 0;
    for (const ArrayId weight : op.weights) {
      std::vector<std::string> all = dims(op.inputs[0]);
      for (const std::string& dim : dims(weight)) {
        if (std::find(all.begin(), all.end(), dim) == all.end()) all.push_back(dim);
      }
      sum += 2 * Elements(all);
    }
    const Flops flops(kTraining * times * sum);
    counts_.model += flops;
    counts_.full_attention += flops;
    counts_.least += flops;
  }

  void AddAttention(const Op& op, double times) {
    const auto flops = [&](bool unfused, bool full) {
      return kTraining * times *
             AttentionModelFlops(op, scenario_.model, static_cast<double>(scenario_.workload.batch),
                                 static_cast<double>(scenario_.workload.sequence), unfused, full);
    };
    counts_.model += flops(scenario_.plan.unfused_attention, false);
    counts_.full_attention += flops(false, true);
    counts_.least += flops(false, false);
  }

  const Scenario& scenario_;
  StepCounts counts_;
};

}  // namespace

StepCounts CountStep(const Scenario& scenario) {
  const Transformer transformer = BuildTransformer(
      scenario.model,
      {.unfused_attention = scenario.plan.unfused_attention, .dropout = scenario.plan.dropout});
  Counter counter(scenario);
  counter.Add(transformer.embedding, 1);
  double used = counter.Add(transformer.head, 1);
  for (std::size_t kind = 0; kind < transformer.kinds.size(); ++kind) {
    const auto times = static_cast<double>(std::count(
        transformer.layer_kind.begin(), transformer.layer_kind.end(), static_cast<int>(kind)));
    used += times * counter.Add(transformer.kinds[kind], times);
  }
  const double tokens = static_cast<double>(scenario.workload.batch) *
                        static_cast<double>(scenario.workload.sequence);
  counter.counts().six_nd = Flops(6 * used * tokens);
  return counter.counts();
}

}  // namespace meshstep
