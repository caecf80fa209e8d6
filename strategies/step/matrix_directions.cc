#include "strategies/step/matrix_directions.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <map>
#include <queue>
#include <utility>

#include "sim/base/dtype.h"
#include "strategies/framework/optimizer.h"

namespace meshstep {
namespace {

constexpr double kBf16Bytes = 2;
// NVIDIA-NeMo/Emerging-Optimizers muon_utils.py newton_schulz: three kernels of the norm, two of
// casts, two of the scales of the direction; three of each iteration.
constexpr double kLaunches = 7, kLaunchesPerIteration = 3;
// More equal jobs than this are dealt out in whole rounds.
constexpr double kMostAssigned = 1 << 16;

class Directions {
 public:
  Directions(const BlockContext& context, std::vector<DirectionStep>* out)
      : context_(context), out_(*out) {}

  void Add(LayerRef layer, const MatrixUpdate& matrix);
  // What owners do for all matrices that were added.
  void AddOwned();

 private:
  using Axes = std::vector<AxisId>;
  struct Owned {
    LayerRef layer;  // the last
    double elements = 0;
    std::vector<Jobs> jobs;
    KernelWork all;
  };

  int Ranks(const Axes& axes) const;
  void Transfer(LayerRef layer, Collective kind, const Axes& axes, double bytes, bool experts);
  void Compute(LayerRef layer, const KernelWork& work, double launches);
  void Distribute(LayerRef layer, const MatrixUpdate& matrix);

  const BlockContext& context_;
  std::vector<DirectionStep>& out_;
  std::map<std::pair<Axes, bool>, Owned> owned_;
};

// Innermost axes have the lowest ids; the major one comes first.
std::vector<AxisId> Joined(const MatrixUpdate& matrix) {
  std::vector<AxisId> axes = matrix.in_axes;
  axes.insert(axes.end(), matrix.out_axes.begin(), matrix.out_axes.end());
  std::sort(axes.begin(), axes.end(), std::greater<>());
  return axes;
}

// One after the other.
KernelWork Each(double count, const KernelWork& one) {
  return {one.time * static_cast<std::int64_t>(count), count * one.flops, count * one.bytes};
}

double LaunchesOf(int iterations) { return kLaunches + kLaunchesPerIteration * iterations; }

int Directions::Ranks(const Axes& axes) const {
  int ranks = 1;
  for (const AxisId axis : axes) ranks *= context_.plan->axis_size(axis);
  return ranks;
}

void Directions::Transfer(LayerRef layer, Collective kind, const Axes& axes, double bytes,
                          bool experts) {
  if (axes.empty()) return;
  const int id = context_.transfers->Intern({kind, axes, Role::kGradients, Bytes(bytes), experts});
  out_.push_back({.layer = layer, .transfer = id});
}

void Directions::Compute(LayerRef layer, const KernelWork& work, double launches) {
  out_.push_back({layer, -1, work.time, work.flops, work.bytes, launches});
}

void Directions::Distribute(LayerRef layer, const MatrixUpdate& matrix) {
  const bool out_longer = matrix.out >= matrix.in;
  const bool by_out = matrix.in_axes.empty() || (out_longer && !matrix.out_axes.empty());
  const Axes &cut = by_out ? matrix.out_axes : matrix.in_axes,
             &whole = by_out ? matrix.in_axes : matrix.out_axes;
  const double m = by_out ? matrix.in : matrix.out;
  const double n = (by_out ? matrix.out : matrix.in) / Ranks(cut), count = matrix.count;
  Transfer(layer, Collective::kAllGather, whole, count * m * n * kFp32Bytes, matrix.experts);
  Transfer(layer, Collective::kAllReduce, cut, count * kFp32Bytes, matrix.experts);
  const ComputeModel& compute = *context_.compute;
  KernelWork work = Each(count, MatrixCasts(1, m, n, compute));
  double launches = kLaunches;
  for (int i = 0; i < context_.plan->muon.iterations; ++i) {
    work += Each(count, GramProduct(1, m, n, compute));
    Compute(layer, work, count * (launches + 1));
    Transfer(layer, Collective::kAllReduce, cut, count * m * m * kBf16Bytes, matrix.experts);
    work = Each(count, PolynomialProducts(1, m, n, compute));
    launches = kLaunchesPerIteration - 1;
  }
  Compute(layer, work, count * launches);
}

void Directions::Add(LayerRef layer, const MatrixUpdate& matrix) {
  const ComputeModel& compute = *context_.compute;
  const int iterations = context_.plan->muon.iterations;
  const Axes axes = Joined(matrix);
  const int ranks = Ranks(axes);
  const double m = std::min(matrix.in, matrix.out), n = std::max(matrix.in, matrix.out);
  const double launches = matrix.count * LaunchesOf(iterations);
  switch (ranks == 1 ? Muon::Method::kDuplicated : context_.plan->muon.method) {
    case Muon::Method::kDuplicated:
      Transfer(layer, Collective::kAllGather, axes, matrix.count * m * n * kFp32Bytes,
               matrix.experts);
      Compute(layer, Each(matrix.count, NewtonSchulz(1, m, n, iterations, compute)), launches);
      return;
    case Muon::Method::kDistributed:
      return Distribute(layer, matrix);
    case Muon::Method::kOwner: {
      Owned& owned = owned_[{axes, matrix.experts}];
      const KernelWork one = NewtonSchulz(1, m, n, iterations, compute);
      owned.layer = layer;
      owned.elements += matrix.count * m * n / ranks;
      owned.jobs.push_back({one.time, matrix.count});
      owned.all += {Time(), matrix.count * one.flops, matrix.count * one.bytes};
      return;
    }
    case Muon::Method::kBlockwise: {
      const double in = matrix.in / Ranks(matrix.in_axes),
                   out = matrix.out / Ranks(matrix.out_axes);
      const KernelWork one =
          NewtonSchulz(1, std::min(in, out), std::max(in, out), iterations, compute);
      Compute(layer, Each(matrix.count, one), launches);
      return;
    }
  }
}

void Directions::AddOwned() {
  for (auto& [key, owned] : owned_) {
    const auto& [axes, experts] = key;
    const double ranks = Ranks(axes);
    Transfer(owned.layer, Collective::kAllToAll, axes, owned.elements * kFp32Bytes, experts);
    const Jobs busiest = LongestFirst(owned.jobs, static_cast<int>(ranks));
    Compute(owned.layer, {busiest.time, owned.all.flops / ranks, owned.all.bytes / ranks},
            busiest.count * LaunchesOf(context_.plan->muon.iterations));
    Transfer(owned.layer, Collective::kAllToAll, axes, owned.elements * kFp32Bytes, experts);
  }
}

}  // namespace

Jobs LongestFirst(const std::vector<Jobs>& jobs, int ranks) {
  std::map<Time, double, std::greater<>> by_time;
  for (const Jobs& job : jobs) by_time[job.time] += job.count;
  using Load = std::pair<Time, double>;
  std::priority_queue<Load, std::vector<Load>, std::greater<>> loads;
  for (int rank = 0; rank < ranks; ++rank) loads.push({Time(), 0});
  Jobs every = {Time(), 0};  // what each rank has of very many equal jobs
  for (const auto& [time, count] : by_time) {
    const double rounds = std::floor(std::max(0.0, count - kMostAssigned) / ranks);
    every.time += time * static_cast<std::int64_t>(rounds);
    every.count += rounds;
    for (double left = count - rounds * ranks; left > 0; --left) {
      const auto [least, of_least] = loads.top();
      loads.pop();
      loads.push({least + time, of_least + 1});
    }
  }
  while (loads.size() > 1) loads.pop();
  return {every.time + loads.top().first, every.count + loads.top().second};
}

std::vector<DirectionStep> MatrixDirections(const std::vector<LayerRef>& layers,
                                            const LoweredModel& model,
                                            const BlockContext& context) {
  std::vector<DirectionStep> steps;
  Directions directions(context, &steps);
  for (const LayerRef& layer : layers) {
    for (const MatrixUpdate& matrix : model.of(layer).matrices) directions.Add(layer, matrix);
  }
  directions.AddOwned();
  return steps;
}

}  // namespace meshstep
