// Speed of collectives on explicit links. Bar: a ring all-reduce over 4,096 chips, unfolded, under
// 1 s.

#include <memory>
#include <vector>

#include "benchmark/benchmark.h"
#include "sim/base/check.h"
#include "sim/cost/collective.h"
#include "sim/cost/collective_model.h"
#include "topologies/build_fabric.h"

namespace meshstep {
namespace {

Cluster Torus(std::vector<int> slice) {
  Cluster cluster;
  cluster.chip.interconnect.kind = Interconnect::Kind::kTorus;
  cluster.chip.interconnect.latency = Seconds(1e-6);
  cluster.chip.datasheet.link = BytesPerSecond(90e9);
  cluster.slice = std::move(slice);
  cluster.wraps.assign(cluster.slice.size(), true);
  cluster.chips = 1;
  for (const int extent : cluster.slice) cluster.chips *= extent;
  return cluster;
}

// Places the group, routes every flow of every chip and prices the phases link by link.
void AllReduce(benchmark::State& state, const std::vector<int>& slice, const char* algorithm) {
  const Cluster cluster = Torus(slice);
  for (auto _ : state) {
    const auto fabric = BuildFabric(cluster, RateSet::kDatasheet, Fidelity::kIdeal);
    const AxisRequest request{"all", cluster.chips, ""};
    const StatusOr<Mesh> mesh = Mesh::Place(*fabric, {&request, 1});
    CHECK(mesh.ok());
    const CollectiveModel model(*mesh, nullptr, Fidelity::kIdeal);
    const AxisId all = 0;
    const StatusOr<CollectiveCost> cost =
        model.Cost(Collective::kAllReduce, Bytes(1e9), {&all, 1}, 0, algorithm);
    CHECK(cost.ok());
    benchmark::DoNotOptimize(cost->idle_time);
    state.counters["links"] = static_cast<double>(cost->phases.front().demands.size());
  }
}

void BM_RingAllReduce4096(benchmark::State& state) { AllReduce(state, {4096}, "ring"); }
BENCHMARK(BM_RingAllReduce4096)->Unit(benchmark::kMillisecond);

void BM_MultiAxisRingAllReduce4096(benchmark::State& state) {
  AllReduce(state, {16, 16, 16}, "multi-axis-ring");
}
BENCHMARK(BM_MultiAxisRingAllReduce4096)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace meshstep
