// Speed of a search over plans of Llama 3 70B on 512 H100, on one thread.

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "benchmark/benchmark.h"
#include "google/protobuf/text_format.h"
#include "sim/advice/search/candidates.h"
#include "sim/advice/search/evaluate.h"
#include "sim/advice/search/search.h"
#include "sim/base/check.h"
#include "sim/base/diagnostics.h"
#include "sim/simulate/step_figures.h"
#include "strategies/plan/load_scenario.h"

namespace meshstep {
namespace {

constexpr char kScenario[] =
    "model { preset: 'llama-3-70b' } cluster { preset: 'dgx-h100' chips: 512 } workload { mode: "
    "TRAIN global_batch_sequences: 1024 sequence_length: 4096 } plan { framework: "
    "'megatron-core' }";

const Catalog& Presets() {
  static const Catalog catalog;
  return catalog;
}

const PlanSpace& Space() {
  static const PlanSpace space = [] {
    v1::Scenario scenario;
    CHECK(google::protobuf::TextFormat::ParseFromString(kScenario, &scenario));
    StatusOr<PlanSpace> made = PlanSpace::Make(scenario, {}, Presets(), Fidelity::kCalibrated);
    CHECK(made.ok());
    return *std::move(made);
  }();
  return space;
}

// Random plans that are valid and fit.
const std::vector<std::int64_t>& Plans() {
  static const std::vector<std::int64_t> plans = [] {
    std::vector<std::int64_t> found;
    const Evaluator evaluator(Space(), Presets(), Fidelity::kCalibrated, /*allow_tight=*/true);
    Workspace workspace;
    std::mt19937_64 random(1);
    while (found.size() < 60) {
      const auto index =
          static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(Space().size()));
      const Choices choices = Space().ChoicesOf(index);
      bool refused = false;
      for (int k = 0; k < kKnobs && !refused; ++k) {
        refused = *Space().Refuses(static_cast<Knob>(k), choices) != '\0';
      }
      if (refused) continue;
      const Evaluated plan = evaluator.Bound(index, 0, 0, &workspace);
      if (plan.invalid.empty() && static_cast<double>(plan.least_bytes) < 8e10) {
        found.push_back(index);
      }
    }
    return found;
  }();
  return plans;
}

// From an index to step time and peak; bar: 2,000 a second.
void BM_Simulate(benchmark::State& state) {
  const Evaluator evaluator(Space(), Presets(), Fidelity::kCalibrated, /*allow_tight=*/true);
  Workspace workspace;
  std::size_t i = 0;
  for (auto _ : state) {
    Evaluated plan;
    plan.index = Plans()[i++ % Plans().size()];
    evaluator.Simulate(&plan, &workspace);
    benchmark::DoNotOptimize(plan.time_ps);
  }
  state.counters["plans/s"] =
      benchmark::Counter(static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}
BENCHMARK(BM_Simulate)->Unit(benchmark::kMillisecond)->Iterations(60);  // every plan once

// Step time and peak of a loaded plan, every micro-batch (0) or a few where it repeats itself (1).
void BM_Figures(benchmark::State& state) {
  std::vector<Scenario> scenarios;
  for (const std::int64_t index : Plans()) {
    Diagnostics diagnostics;
    scenarios.push_back(LoadScenario(Space().ScenarioOf(index), Presets(), &diagnostics));
    CHECK(diagnostics.status().ok());
  }
  PlacementCache placements;
  const LoweringOptions lowering{.placements = &placements};
  std::size_t i = 0;
  double folded = 0;
  for (auto _ : state) {
    const StatusOr<StepFigures> figures =
        FiguresOf(scenarios[i++ % scenarios.size()], lowering, state.range(0) == 1);
    if (figures.ok() && figures->left_out > 0) ++folded;
  }
  state.counters["folded"] = folded;
}
BENCHMARK(BM_Figures)->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond)->Iterations(60);

// The closer bounds.
void BM_Bound(benchmark::State& state) {
  const Evaluator evaluator(Space(), Presets(), Fidelity::kCalibrated, /*allow_tight=*/true);
  Workspace workspace;
  std::size_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        evaluator.Bound(Plans()[i++ % Plans().size()], 0, 0, &workspace).bound_ps);
  }
  state.counters["plans/s"] =
      benchmark::Counter(static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}
BENCHMARK(BM_Bound)->Unit(benchmark::kMillisecond);

// Rules and quick bounds of the whole space; bar: a million plans a second.
void BM_Enumerate(benchmark::State& state) {
  const QuickTable table(Space(), Presets(), Fidelity::kCalibrated);
  SearchOptions options{.catalog = &Presets()};
  for (auto _ : state) {
    const Candidates found = FindCandidates(
        Space(), table,
        {.end = Space().size(), .capacity = MemoryLimit(Space(), options), .threads = 1});
    benchmark::DoNotOptimize(found.valid);
    state.counters["valid"] = static_cast<double>(found.valid);
    state.counters["groups"] = static_cast<double>(found.groups.size());
  }
  state.counters["plans/s"] = benchmark::Counter(
      static_cast<double>(state.iterations()) * static_cast<double>(Space().size()),
      benchmark::Counter::kIsRate);
  state.counters["plans"] = static_cast<double>(Space().size());
}
BENCHMARK(BM_Enumerate)->Unit(benchmark::kMillisecond)->Iterations(2);

}  // namespace
}  // namespace meshstep
