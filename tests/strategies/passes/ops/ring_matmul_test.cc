// Matmuls in parts beside a ring: the same work and the same bytes, less of them exposed.

#include "strategies/passes/ops/ring_matmul.h"

#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "meshstep/v1/scenario.pb.h"
#include "sim/simulate/simulate.h"
#include "strategies/step/lower_step.h"
#include "strategies/step/step_graph.h"
#include "tests/strategies/scenario_fixtures.h"

namespace meshstep {
namespace {

struct Result {
  double flops = 0, bytes = 0;  // bytes: sent by one chip over tensor
  Time makespan;
  std::map<std::string, double> hbm = {};  // bytes of one kernel, by name
};

Result Simulated(const std::string& plan, Fidelity fidelity = Fidelity::kIdeal) {
  const std::string text = absl::StrCat(
      "model { preset: 'llama-3-8b' layers: 2 } cluster { preset: 'dgx-h100' chips: 8 } workload { "
      "global_batch_sequences: 1 sequence_length: 8192 } plan { ",
      plan, " }");
  const Scenario scenario = Load(ParseScenario(text));
  const SimulatedStep simulated = StepOf(scenario, fidelity);
  const StepGraph& graph = simulated.step;
  Result result{graph.hardware_flops.value(), 0, simulated.run.makespan};
  for (TaskId t = 0; t < graph.graph.tasks(); ++t) {
    const TaskInfo& task = graph.tasks[static_cast<std::size_t>(t)];
    const int transfer = task.transfer;
    if (transfer < 0) {
      result.hbm[*task.name] = task.hbm_bytes.value();
      continue;
    }
    const StepTransfer& info = graph.transfers[static_cast<std::size_t>(transfer)];
    if (info.spec.role == Role::kActivations) result.bytes += info.sent_bytes_per_device;
  }
  return result;
}

constexpr char kPlan[] = "tensor: 8 sequence_parallel: true ";

TEST(RingMatmul, DoesTheSameWorkAndHidesTheRing) {
  const Result whole = Simulated(kPlan),
               parts = Simulated(absl::StrCat(kPlan, "async_tensor: true"));
  EXPECT_NEAR(parts.flops, whole.flops, 1e-9 * whole.flops);
  EXPECT_NEAR(parts.bytes, whole.bytes, 1e-9 * whole.bytes);
  EXPECT_LT(parts.makespan, whole.makespan);
}

// One kernel reads the parts of all ranks and writes their sum; userbuffers split no gradient of an
// input, PyTorch does (TransformerEngine module/base.py initialize_ub; micro_pipeline_tp.py).
TEST(RingMatmul, SumsThePartsOnce) {
  const std::string plan = absl::StrCat(kPlan, "async_tensor: true ");
  constexpr double kPart = 8192.0 / 8 * 4096 * 2;
  Result parts = Simulated(plan);
  EXPECT_DOUBLE_EQ(parts.hbm["mlp_out sum"], (8 + 1) * kPart);
  EXPECT_EQ(parts.hbm.count("mlp_in dx sum"), 0);
  parts = Simulated(plan + "kernels { tensor_transfers: 'dtensor' }");
  EXPECT_DOUBLE_EQ(parts.hbm["mlp_in dx sum"], (8 + 1) * kPart);
}

// What a plan without sequence parallelism sums is an all-reduce, which is left whole.
TEST(RingMatmul, LeavesOtherCollectivesAlone) {
  EXPECT_EQ(Simulated("tensor: 8 async_tensor: true").makespan.ps(),
            Simulated("tensor: 8").makespan.ps());
}

// Seven messages of an eighth of 8192 x 4096 bf16 each, as the library sends them.
TEST(RingMatmul, SendsAsTheLibraryDoes) {
  const std::string text =
      "model { preset: 'llama-3-8b' layers: 1 } cluster { preset: 'dgx-h100' chips: 8 } workload { "
      "global_batch_sequences: 1 sequence_length: 8192 } plan { tensor: 8 sequence_parallel: true "
      "async_tensor: true }";
  const Scenario scenario = Load(ParseScenario(text));
  const StatusOr<StepGraph> graph = LowerStep(scenario, {});
  ASSERT_TRUE(graph.ok()) << graph.status();
  int rings = 0;
  for (const StepTransfer& transfer : graph->transfers) {
    if (transfer.spec.collective != Collective::kPermute) continue;
    ++rings;
    EXPECT_EQ(transfer.algorithm, "send-recv");
    EXPECT_DOUBLE_EQ(transfer.sent_bytes_per_device, 8192.0 / 8 * 4096 * 2);
  }
  EXPECT_GT(rings, 0);
}

// Around a ring of 4 v5p half of each message goes either way; on a line of 2 all goes one way.
TEST(RingMatmul, UsesBothDirectionsOfARing) {
  const auto algorithms = [](const char* slice, int tensor) {
    const Scenario scenario = Load(ParseScenario(absl::StrCat(
        "model { preset: 'llama-3-8b' layers: 1 } cluster { preset: 'tpu-v5p' slice: '", slice,
        "' } workload { global_batch_sequences: 64 sequence_length: 8192 } plan { tensor: ", tensor,
        " fsdp: ", 64 / tensor, " sequence_parallel: true async_tensor: true }")));
    const StatusOr<StepGraph> graph = LowerStep(scenario, {});
    EXPECT_TRUE(graph.ok()) << graph.status();
    std::map<std::string, double> sent;
    for (const StepTransfer& transfer : graph->transfers) {
      if (transfer.spec.role == Role::kActivations) {
        sent[transfer.algorithm] = transfer.sent_bytes_per_device;
      }
    }
    return sent;
  };
  const auto ring = algorithms("4x4x4", 4), pair = algorithms("4x4x4", 2);
  EXPECT_TRUE(ring.contains("neighbour-exchange") && !ring.contains("point-to-point"));
  EXPECT_TRUE(pair.contains("point-to-point") && !pair.contains("neighbour-exchange"));
  // A quarter of 4 sequences of 8192 x 4096 bf16 per message, both ways together.
  EXPECT_DOUBLE_EQ(ring.at("neighbour-exchange"), 4.0 * 8192 / 4 * 4096 * 2);
}

}  // namespace
}  // namespace meshstep
