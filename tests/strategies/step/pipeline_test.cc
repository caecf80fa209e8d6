// Pipelines as whole steps: the same work under every schedule, gradients that stages share, and
// when gradients and parameters move.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "meshstep/v1/scenario.pb.h"
#include "sim/simulate/simulate.h"
#include "strategies/step/step_graph.h"
#include "tests/strategies/scenario_fixtures.h"

namespace meshstep {
namespace {

constexpr char kGated[] = "kv_heads: 4 ffn: 1536 gated_mlp: true";
constexpr double kVocab = 1024, kHidden = 512;

struct Step {
  StepGraph graph;
  meshstep::Run run;

  // Bytes that one device sends in transfers of a role; count: of such tasks of stage 0.
  double Sent(Role role, const std::string& name, int* count = nullptr) const {
    double bytes = 0;
    if (count != nullptr) *count = 0;
    for (TaskId t = 0; t < graph.graph.tasks(); ++t) {
      const TaskInfo& info = graph.tasks[static_cast<std::size_t>(t)];
      if (info.transfer < 0 || *info.name != name) continue;
      const StepTransfer& transfer = graph.transfers[static_cast<std::size_t>(info.transfer)];
      if (transfer.spec.role != role) continue;
      bytes += transfer.sent_bytes_per_device;
      if (count != nullptr) ++*count;
    }
    return bytes;
  }
};

Step Simulated(int chips, const std::string& plan, const std::string& model = kGated,
               Fidelity fidelity = Fidelity::kIdeal) {
  const std::string text = absl::StrCat(
      "model { name: 'toy' layers: 8 hidden: 512 heads: 8 vocab: 1024 ", model,
      " } cluster { preset: 'dgx-h100' chips: ", chips,
      " } workload { global_batch_sequences: 16 sequence_length: 256 } plan { ", plan, " }");
  const Scenario scenario = Load(ParseScenario(text));
  SimulatedStep simulated = StepOf(scenario, fidelity);
  return {std::move(simulated.step), std::move(simulated.run)};
}

TEST(Pipeline, EveryScheduleDoesTheSameWork) {
  const double flops = Simulated(4, "pipeline: 4").graph.hardware_flops.value();
  for (const PublishedSchedule* schedule : Schedules()) {
    const Step step =
        Simulated(4, absl::StrCat("pipeline: 4 schedule: '", std::string(schedule->name()), "'"));
    EXPECT_NEAR(step.graph.hardware_flops.value(), flops, 1e-9 * flops) << schedule->name();
  }
}

// Each rank of tensor sends its part of what all of them hold; each receiver gathers the others'.
// Narayanan et al., SC '21, section 4.1: t times less between nodes.
TEST(Pipeline, SplitsWhatTensorRanksHoldAlike) {
  const std::string plan = "tensor: 4 pipeline: 2 micro_batch_sequences: 1 ";
  const auto sent = [](const Step& step, Role role) {
    double bytes = 0;
    for (TaskId t = 0; t < step.graph.graph.tasks(); ++t) {
      const TaskInfo& info = step.graph.tasks[static_cast<std::size_t>(t)];
      if (info.transfer < 0 || *info.name != "x") continue;
      const StepTransfer& transfer = step.graph.transfers[static_cast<std::size_t>(info.transfer)];
      if (transfer.spec.role == role) bytes += transfer.sent_bytes_per_device;
    }
    return bytes;
  };
  const Step whole = Simulated(8, plan), parts = Simulated(8, plan + "split_sends: true");
  // 16 micro-batches forward and 16 back, of 256 tokens of 512 in bf16.
  const double all = 2 * 16 * 256 * kHidden * 2;
  EXPECT_DOUBLE_EQ(sent(whole, Role::kPipeline), all);
  EXPECT_DOUBLE_EQ(sent(parts, Role::kPipeline), all / 4);
  EXPECT_DOUBLE_EQ(sent(parts, Role::kActivations) - sent(whole, Role::kActivations), all * 3 / 4);
  // Under sequence parallelism, and without tensor, every rank has a part of its own.
  for (const std::string alone : {"tensor: 4 sequence_parallel: true ", "data: 4 "}) {
    EXPECT_EQ(Simulated(8, alone + "pipeline: 2 split_sends: true").run.makespan.ps(),
              Simulated(8, alone + "pipeline: 2").run.makespan.ps());
  }
}

TEST(Pipeline, OfOneStageIsNone) {
  const auto time = [](const std::string& plan) {
    return Simulated(1, "micro_batch_sequences: 1 " + plan).run.makespan.ps();
  };
  const std::int64_t none = time("");
  EXPECT_EQ(time("pipeline: 1"), none);
  EXPECT_EQ(time("pipeline: 1 schedule: 'gpipe'"), none);
  EXPECT_EQ(time("pipeline: 1 schedule: 'zb-h1'"), none);
}

TEST(Pipeline, OfOneStageLeavesCommunicationAlone) {
  for (const char* plan : {"data: 4", "data: 4 zero_stage: 1", "fsdp: 4", "data: 2 tensor: 2"}) {
    const auto time = [&](const char* schedule) {
      return Simulated(4, absl::StrCat("micro_batch_sequences: 1 ", plan, schedule))
          .run.makespan.ps();
    };
    EXPECT_EQ(time(" schedule: 'zb-h1'"), time("")) << plan;
  }
}

TEST(Pipeline, SplitHalvesHoldWhatTheirPaperSays) {
  // Qi et al., arXiv 2401.10241 table 1: the weights' half needs 32 s b h bytes of a layer (F = 4
  // D, 2-byte formats).
  const Step step =
      Simulated(2, "pipeline: 2 schedule: 'zb-h1' attention_kernel: 'unfused' dropout: true",
                "kv_heads: 8 ffn: 2048 gated_mlp: false position_embeddings: 256");
  double from_input_to_weight = 0;
  for (const MemoryEvent& event : step.graph.memory) {
    const TaskInfo& info = step.graph.tasks[static_cast<std::size_t>(event.task)];
    if (event.bucket == MemoryBucket::kActivations && event.at_end &&
        info.layer == LayerRef::Layer(7) && info.micro_batch == 3) {
      from_input_to_weight = event.bytes;  // the last one: what the weights' half gives back
    }
  }
  EXPECT_DOUBLE_EQ(from_input_to_weight, -32.0 * 256 * kHidden);
}

TEST(Pipeline, TiedTablesExchangeTheirGradients) {
  const Step tied = Simulated(2, "pipeline: 2", std::string(kGated) + " tied_embeddings: true");
  int count = 0;
  EXPECT_DOUBLE_EQ(tied.Sent(Role::kPipeline, "gradients", &count), 2 * 4 * kVocab * kHidden);
  EXPECT_EQ(count, 2);  // each way
  EXPECT_EQ(Simulated(2, "pipeline: 2").Sent(Role::kPipeline, "gradients"), 0);
  EXPECT_EQ(Simulated(1, "pipeline: 1", std::string(kGated) + " tied_embeddings: true")
                .Sent(Role::kPipeline, "gradients"),
            0);
}

// Where the first and the last part are on one stage, its table serves both.
TEST(Pipeline, AVHoldsATiedTableOnce) {
  const auto parameters = [](const std::string& plan, const std::string& tied) {
    double bytes = 0;
    for (const auto& resident :
         Simulated(2, plan, std::string(kGated) + " tied_embeddings: " + tied).graph.resident) {
      bytes += resident[0];
    }
    return bytes;
  };
  const std::string v = "pipeline: 2 schedule: 'zb-v'";
  EXPECT_DOUBLE_EQ(parameters(v, "false") - parameters(v, "true"), 2 * kVocab * kHidden);
  EXPECT_DOUBLE_EQ(parameters("pipeline: 2", "false"), parameters("pipeline: 2", "true"));
}

TEST(Pipeline, DualPipeHoldsEveryPartTwice) {
  const Step once = Simulated(2, "pipeline: 2"),
             twice = Simulated(2, "pipeline: 2 schedule: 'dualpipe'");
  const auto parameters = [](const Step& step) {
    double bytes = 0;
    for (const auto& resident : step.graph.resident) bytes += resident[0];
    return bytes;
  };
  EXPECT_DOUBLE_EQ(parameters(twice), 2 * parameters(once));
  // Parameters in bf16, gradients exchanged in fp32: each stage sends those of the whole model.
  EXPECT_DOUBLE_EQ(twice.Sent(Role::kPipeline, "gradients"), 2 * parameters(twice));
}

// Both directions end where the other begins: the table that embedding and head share moves once.
TEST(Pipeline, DualPipeExchangesATiedTableOnce) {
  const Step tied = Simulated(2, "pipeline: 2 schedule: 'dualpipe'",
                              std::string(kGated) + " tied_embeddings: true"),
             untied = Simulated(2, "pipeline: 2 schedule: 'dualpipe'");
  EXPECT_DOUBLE_EQ(
      untied.Sent(Role::kPipeline, "gradients") - tied.Sent(Role::kPipeline, "gradients"),
      2 * 4 * kVocab * kHidden);
}

TEST(Pipeline, BucketsMoveTheSameBytesInFewerTransfers) {
  const std::string plan = "data: 4 ";
  int each = 0, bucketed = 0, late = 0;
  const Step one = Simulated(4, plan), few = Simulated(4, plan + "gradient_bucket_bytes: 3e7"),
             last = Simulated(4, plan + "overlap_gradients: false");
  const double bytes = one.Sent(Role::kGradients, "gradients", &each);
  EXPECT_DOUBLE_EQ(few.Sent(Role::kGradients, "gradients", &bucketed), bytes);
  EXPECT_DOUBLE_EQ(last.Sent(Role::kGradients, "gradients", &late), bytes);
  EXPECT_EQ(each, 10);  // 8 layers, embedding and head
  // Gradients in fp32: 2.1 MB of the head and 12.6 MB of each layer. To 30 MB go the head and 3
  // layers, then 3 layers, then the rest.
  EXPECT_EQ(bucketed, 3);
  EXPECT_EQ(late, 1);
  EXPECT_GT(last.run.makespan, one.run.makespan);
}

TEST(Pipeline, ParametersOfZero1GatherBesideTheForward) {
  const std::string plan = "data: 4 zero_stage: 1 ";
  const Step exposed = Simulated(4, plan), hidden = Simulated(4, plan + "overlap_parameters: true");
  EXPECT_DOUBLE_EQ(exposed.Sent(Role::kParameters, "parameters"),
                   hidden.Sent(Role::kParameters, "parameters"));
  EXPECT_LT(hidden.run.makespan, exposed.run.makespan);
}

// Over a slow network whole gradients pile up unless backward waits for them.
TEST(Fsdp, BoundsTheGradientsThatWait) {
  const auto simulate = [](int in_flight) {
    return Simulated(16, absl::StrCat("fsdp: 16 reductions_in_flight: ", in_flight));
  };
  const auto most = [](const Step& step) {
    std::vector<std::pair<Time, double>> changes;
    for (const MemoryEvent& e : step.graph.memory) {
      if (e.bucket != MemoryBucket::kCommunication) continue;
      const auto task = static_cast<std::size_t>(e.task);
      changes.emplace_back(e.at_end ? step.run.end[task] : step.run.start[task], e.bytes);
    }
    std::sort(changes.begin(), changes.end());
    double bytes = 0, most = 0;
    for (const auto& [time, change] : changes) most = std::max(most, bytes += change);
    return most;
  };
  const Step one = simulate(1), two = simulate(2), any = simulate(0);
  // Of a layer in fp32: 12.6 MB wait to be reduced while the next layer's are made.
  const double layer = 4 * (512 * (1024 + 512 + 3 * 1536.0) + 1024);
  EXPECT_DOUBLE_EQ(most(one), layer);
  EXPECT_DOUBLE_EQ(most(two), 2 * layer);
  EXPECT_GT(most(any), 2 * layer);
  EXPECT_LE(two.run.makespan, one.run.makespan);
}

TEST(Fsdp, CollectivesTakeUnitsFromKernels) {
  const auto time = [](const std::string& plan, Fidelity fidelity) {
    return Simulated(8, "fsdp: 8 " + plan, kGated, fidelity).run.makespan;
  };
  EXPECT_GT(time("", Fidelity::kCalibrated),
            time("collectives_take_units: false", Fidelity::kCalibrated));
  EXPECT_EQ(time("", Fidelity::kIdeal), time("collectives_take_units: false", Fidelity::kIdeal));
}

TEST(Pipeline, LayoutMovesLayers) {
  const auto time = [](const std::string& plan) {
    return Simulated(4, "pipeline: 4 " + plan).run.makespan.ps();
  };
  EXPECT_EQ(time("layout: 'Et*2|(t*2|)*2t*2L'"), time(""));
  EXPECT_GT(time("layout: 'Et*1|t*5|t|tL'"), time(""));
}

TEST(Pipeline, TablesRunAsTheScheduleTheyHold) {
  const std::string path = testing::TempDir() + "meshstep_table.csv";
  {
    std::ofstream file(path);
    for (int s = 0; s < 4; ++s) {
      for (const Action& a : FindSchedule("1f1b")->Actions(s, {4, 1, 16})) {
        file << s << (a.kind == Action::Kind::kForward ? "F" : "B") << a.micro_batch << ",";
      }
      file << "\n";
    }
  }
  EXPECT_EQ(
      Simulated(4, absl::StrCat("pipeline: 4 schedule_table: '", path, "'")).run.makespan.ps(),
      Simulated(4, "pipeline: 4").run.makespan.ps());
  std::remove(path.c_str());
}

}  // namespace
}  // namespace meshstep
