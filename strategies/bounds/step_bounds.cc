#include "strategies/bounds/step_bounds.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sim/base/index.h"
#include "strategies/model/model_arithmetic.h"
#include "topologies/build_fabric.h"

namespace meshstep {
namespace {

// Multiply-adds of a product and of its two of backward, as FLOPs.
constexpr double kFlopsPerProduct = 6;
constexpr double kTraining = 3;  // passes of matmuls, forward being one

ModelArithmetic ArithmeticOf(const Model& model, const Workload& workload,
                             const Precision& precision) {
  return ModelArithmetic(model,
                         {.batch = static_cast<double>(workload.batch),
                          .queries = static_cast<double>(workload.queries()),
                          .keys = static_cast<double>(workload.sequence),
                          .packing = workload.packing.get()},
                         {}, SizeOf(precision.activations).value());
}

Flops LeastFlops(const ModelArithmetic& arithmetic, const Workload& workload) {
  const FlopCounts forward = arithmetic.Forward(Square::kMasked);
  if (!workload.forward_only()) return Flops(kTraining * forward.total());
  // Only the last position has logits, and no token beyond the next is predicted.
  const auto queries = static_cast<double>(workload.queries());
  const bool prefill = workload.mode == Workload::Mode::kPrefill;
  return Flops(forward.total() - forward.prediction -
               (prefill ? forward.head * (1 - 1 / queries) : 0));
}

Bytes LeastHbm(const ModelArithmetic& arithmetic, const Workload& workload,
               const Precision& precision) {
  const ParameterCounts parameters = arithmetic.Parameters();
  if (!workload.forward_only()) {
    return Bytes(parameters.total *
                 (2 * precision.LeastStateBytes() + SizeOf(precision.parameters).value()));
  }
  // Lookups read the rows of the tokens only.
  const double read = parameters.active - parameters.position -
                      (arithmetic.model().tied_embeddings ? 0 : parameters.embedding);
  const Bytes element = std::min(SizeOf(precision.parameters), SizeOf(precision.compute));
  return read * element +
         Bytes(static_cast<double>(workload.batch) *
               arithmetic.KvBytesPerSequence(static_cast<double>(workload.sequence),
                                             SizeOf(precision.kv_cache).value()));
}

// Adds one layer's weights to P and lets it narrow d; `whole`: the model, whose kinds of layers may
// have other heads than its own layer.
void AddLayer(const Model& whole, const Block& block, ChainedWork* work) {
  const Model& model = block.model ? *block.model : whole;
  const double value = model.mla ? model.mla->v_head_dim : model.v_head_dim;
  if (value > 0) work->width = std::min(work->width, model.heads * value);
  const auto size = [&](const std::string& dim) {
    return static_cast<double>(DimSize(model, dim, 1, 1));
  };
  for (const Array& array : block.arrays) {
    if (!array.parameter || array.place == Place::kRouted) continue;
    const std::vector<std::string>& dims = array.dims;
    const auto has = [&](const char* dim) {
      return std::find(dims.begin(), dims.end(), dim) != dims.end();
    };
    const bool mlp = dims.size() == 2 && (has("F") || has("F_s"));
    const bool heads = dims.size() == 3 && has("N") && has("H");
    if (!has("D") || !(mlp || heads)) continue;
    double weights = 1;
    for (const std::string& dim : dims) weights *= size(dim);
    work->weights += weights;
    work->width = std::min(work->width, weights / size("D"));
  }
}

double LeastOfPart(const ChainedWork& work, double products) {
  const double p = work.weights, d = work.width, k = work.weight_bytes, a = work.activation_bytes;
  const double fewest = products / work.tokens;  // weights that it must meet
  const auto with = [&](double weights) {
    return k * weights + a * products * d / std::max(weights, d * d);
  };
  double least = std::min(k * std::max(0.0, p - d * d), with(fewest));
  const double from = std::max(fewest, d * d);
  if (from <= p)
    least = std::min(least, with(std::clamp(std::sqrt(a * products * d / k), from, p)));
  return least;
}

Seconds CutTime(const ChainedWork& work, const FabricCut& cut, FlopsPerSecond peak,
                Seconds compute) {
  if (work.weights <= 0) return Seconds(0);
  ChainedWork passes = work;
  if (cut.switches_add) passes.weight_bytes /= 2;
  const Flops all(kFlopsPerProduct * work.weights * work.tokens);
  const auto time = [&](Seconds t) {
    const double most = t.value() * peak.value() / cut.parts / all.value();
    return LeastCrossing(passes, std::min(1.0, most)) / cut.capacity;
  };
  Seconds low = compute, high = time(compute);
  if (high <= low) return high;
  for (int i = 0; i < 100 && high - low > 1e-12 * high; ++i) {
    const Seconds middle = (low + high) / 2;
    (time(middle) >= middle ? low : high) = middle;
  }
  return low;
}

}  // namespace

ChainedWork ChainedWorkOf(const Model& model, const Workload& workload,
                          const Precision& precision) {
  ChainedWork work;
  work.tokens = static_cast<double>(workload.batch) * static_cast<double>(workload.queries());
  const Bytes gradient = std::min(SizeOf(precision.reduce), SizeOf(precision.gradients));
  work.weight_bytes = (gradient + std::min(gradient, SizeOf(precision.Gathered(true)))).value();
  work.activation_bytes =
      std::min(SizeOf(precision.activations), SizeOf(precision.compute)).value();
  work.width = model.hidden;
  // Heads that give less than they take.
  if (model.mla) work.width = std::min(work.width, 1.0 * model.heads * model.mla->v_head_dim);
  if (model.v_head_dim > 0) work.width = std::min(work.width, 1.0 * model.heads * model.v_head_dim);
  const Transformer transformer = BuildTransformer(model, {});
  for (std::size_t l = 1; l + 1 < transformer.layer_kind.size(); ++l) {
    AddLayer(model, transformer.kinds[Index(transformer.layer_kind[l])], &work);
  }
  return work;
}

Bytes LeastCrossing(const ChainedWork& work, double most) {
  const double products = most * work.weights * work.tokens;
  const double all = LeastOfPart(work, products) / most - work.weight_bytes * work.weights;
  return Bytes(std::max(0.0, all));
}

Seconds StepBounds::cut() const {
  Seconds longest;
  for (const Cut& cut : cuts) longest = std::max(longest, cut.time);
  return longest;
}

Seconds StepBounds::value() const { return std::max({compute, hbm, cut()}); }

StepBounds StepBoundsOf(const Model& model, const Workload& workload, const Precision& precision,
                        const Cluster& cluster) {
  const ModelArithmetic arithmetic = ArithmeticOf(model, workload, precision);
  const Rates& rates = cluster.chip.datasheet;
  const double chips = cluster.chips;
  const FlopsPerSecond peak = chips * rates.peak(precision.compute);
  StepBounds bounds;
  bounds.compute = LeastFlops(arithmetic, workload) / peak;
  bounds.hbm = LeastHbm(arithmetic, workload, precision) / (chips * rates.hbm_rate);
  if (workload.forward_only()) return bounds;
  const ChainedWork work = ChainedWorkOf(model, workload, precision);
  const std::unique_ptr<Fabric> fabric =
      BuildFabric(cluster, RateSet::kDatasheet, Fidelity::kIdeal);
  for (FabricCut& cut : CutsOf(*fabric, cluster.chip.devices_per_chip)) {
    const Seconds time = CutTime(work, cut, peak, bounds.compute);
    bounds.cuts.push_back({std::move(cut), time});
  }
  return bounds;
}

}  // namespace meshstep
