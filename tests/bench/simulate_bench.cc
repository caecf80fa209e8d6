// The whole program, from process start to exit, on three examples, and the call alone. Bars on 2
// cores: Llama-3-70B on 1,024 chips under 100 ms and 200 MB, Llama-3-405B on 16,384 under 300 ms. 200
// layers of six kinds within 1.5 times the time of as many of one (the counter `ratio`).

#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <chrono>
#include <string>

#include "benchmark/benchmark.h"
#include "google/protobuf/text_format.h"
#include "meshstep/v1/scenario.pb.h"
#include "sim/base/catalog.h"
#include "sim/base/check.h"
#include "sim/simulate/simulate.h"

extern char** environ;

namespace meshstep {
namespace {

// Runs the program with its output thrown away; returns its peak memory in bytes.
double RunProgram(std::string scenario) {
  // Why and the next change are simulations of their own.
  std::string program = MESHSTEP_BINARY, command = "simulate", brief = "--brief";
  char* arguments[] = {program.data(), command.data(), scenario.data(), brief.data(), nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  pid_t child = 0;
  CHECK_EQ(posix_spawn(&child, program.c_str(), &actions, nullptr, arguments, environ), 0);
  posix_spawn_file_actions_destroy(&actions);
  int status = 0;
  rusage usage = {};
  CHECK_EQ(wait4(child, &status, 0, &usage), child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0) << scenario;
  return static_cast<double>(usage.ru_maxrss) * 1024;
}

void BM_Simulate(benchmark::State& state, const std::string& example) {
  double bytes = 0;
  for (auto _ : state) {
    bytes = RunProgram(MESHSTEP_SOURCE_DIR "/examples/" + example + ".textproto");
  }
  state.counters["peak_MB"] = bytes / 1e6;
}
BENCHMARK_CAPTURE(BM_Simulate, llama3_70b_v5p_1024, "llama3-70b-v5p-1024")
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK_CAPTURE(BM_Simulate, llama3_70b_h100_512, "llama3-70b-h100-512")
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK_CAPTURE(BM_Simulate, llama3_405b_h100_16384, "llama3-405b-h100-16384")
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

// The call in a process that has a catalog.
void BM_Call(benchmark::State& state, const std::string& example) {
  const Catalog catalog;
  v1::Scenario scenario;
  CHECK(catalog.Read("examples", example, &scenario).ok());
  for (auto _ : state) {
    const StatusOr<v1::SimulateReport> report = Simulate(scenario, {.catalog = &catalog});
    CHECK(report.ok()) << std::string(report.status().message());
    benchmark::DoNotOptimize(report->step_time_s());
  }
}
BENCHMARK_CAPTURE(BM_Call, llama3_70b_v5p_1024, "llama3-70b-v5p-1024")
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_Call, llama3_405b_h100_16384, "llama3-405b-h100-16384")
    ->Unit(benchmark::kMillisecond);

v1::Scenario Layers(const std::string& kinds) {
  const std::string text =
      "model { name: 'layers' layers: 200 hidden: 4096 vocab: 128000 heads: 32 kv_heads: 8 ffn: "
      "14336 "
      "mamba { heads: 128 head_dim: 64 groups: 8 state: 128 } delta_net { key_heads: 32 key_dim: "
      "128 } "
      "linear_attention { heads: 32 head_dim: 128 } " +
      kinds +
      " } cluster { preset: 'dgx-h100' chips: 512 } workload { global_batch_sequences: 512 "
      "sequence_length: 8192 } plan { tensor: 8 fsdp: 64 sequence_parallel: true recompute: 'full' "
      "micro_batch_sequences: 1 }";
  v1::Scenario scenario;
  CHECK(google::protobuf::TextFormat::ParseFromString(text, &scenario));
  return scenario;
}

double SecondsOf(const v1::Scenario& scenario, const Catalog& catalog) {
  const auto start = std::chrono::steady_clock::now();
  const StatusOr<v1::SimulateReport> report = Simulate(scenario, {.catalog = &catalog});
  CHECK(report.ok()) << std::string(report.status().message());
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void BM_SixKinds(benchmark::State& state) {
  const Catalog catalog;
  const v1::Scenario one = Layers("");
  const v1::Scenario six = Layers(
      "layer_kinds { symbol: 'A' } layer_kinds { symbol: 'W' sliding_window: 1024 } layer_kinds { "
      "symbol: 'M' mixer: MAMBA } layer_kinds { symbol: 'D' mixer: DELTA_NET } layer_kinds { "
      "symbol: "
      "'L' mixer: LINEAR_ATTENTION } layer_kinds { symbol: 'C' mixer: SHORT_CONVOLUTION }");
  double of_one = 0, of_six = 0;
  for (auto _ : state) {
    of_one += SecondsOf(one, catalog);
    of_six += SecondsOf(six, catalog);
  }
  state.counters["ratio"] = of_six / of_one;
}
BENCHMARK(BM_SixKinds)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace meshstep
