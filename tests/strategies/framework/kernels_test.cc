// Plan.kernels, attention_kernel and overlap_gradients: what each kernel moves, by the formulas of
// the frameworks that run it.

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "meshstep/v1/scenario.pb.h"
#include "sim/base/catalog.h"
#include "sim/simulate/simulate.h"
#include "strategies/block/block_context.h"
#include "strategies/block/lowered_block.h"
#include "strategies/framework/optimizer.h"
#include "strategies/passes/lower_block.h"
#include "strategies/plan/load_scenario.h"
#include "strategies/step/step_graph.h"
#include "tests/strategies/scenario_fixtures.h"

namespace meshstep {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr double kHidden = 1024, kHeads = 16, kSequence = 512, kMicro = 2, kVocab = 4096;
constexpr double kTokens = kMicro * kSequence;

v1::Scenario Proto(const std::string& plan, const std::string& cluster = "dgx-h100") {
  return ParseScenario(absl::StrCat(
      "model { name: 'gpt' layers: 2 hidden: 1024 heads: 16 ffn: 4096 vocab: 4096 norm_bias: true "
      "position_embeddings: 512 } cluster { preset: '",
      cluster, "' chips: 8 } workload { global_batch_sequences: 64 sequence_length: 512 } plan { ",
      plan, " micro_batch_sequences: 2 }"));
}

struct Step {
  StepGraph graph;
  double seconds;
};

Step Simulated(const Scenario& scenario, Fidelity fidelity = Fidelity::kIdeal) {
  SimulatedStep simulated = StepOf(scenario, fidelity);
  return {std::move(simulated.step), simulated.run.makespan.seconds()};
}

Step Simulated(const std::string& plan) { return Simulated(Load(Proto(plan))); }

// HBM bytes of the tasks whose name starts with `name`, of the first unit.
double BytesOf(const StepGraph& step, const std::string& name) {
  double bytes = 0;
  for (const TaskInfo& task : step.tasks) {
    if (task.name->starts_with(name)) bytes += task.hbm_bytes.value();
  }
  return bytes;
}

TEST(Kernels, EachLossReadsAndWritesWhatItsFrameworkDoes) {
  const double logits = kTokens * kVocab, micro_batches = 64 / (8 * kMicro);
  const auto loss = [&](const std::string& kind) {
    const Step s = Simulated(absl::StrCat("data: 8 kernels { loss: '", kind, "' }"));
    return BytesOf(s.graph, "loss") / logits / micro_batches;
  };
  const double fused = (2 + 4) + (2 + 4);  // bf16 logits, fp32 probabilities, each way
  EXPECT_DOUBLE_EQ(loss("fused"), fused);
  // Cast, log-softmax; backward: zeros, log-softmax from two arrays, cast.
  EXPECT_DOUBLE_EQ(loss("eager"), (2 + 4) + (4 + 4) + 4 + (4 + 4 + 4) + (4 + 2));
  // Cast, maximum, difference, exponential, sum, quotient; backward: product, cast.
  EXPECT_DOUBLE_EQ(loss("megatron"),
                   (2 + 4) + 4 + (4 + 4) + (4 + 4) + 4 + (4 + 4) + (4 + 4) + (4 + 2));
  // Cast and maximum; difference in place, exponential, sum; quotient; backward in one.
  EXPECT_DOUBLE_EQ(loss("megatron-compiled"), (2 + 4) + (4 + 4 + 4) + (4 + 4) + (4 + 2));
}

// Megatron-LM's compiled functions keep the fp32 logits beside their exponentials; eager PyTorch
// has a zeroed gradient and a result beside the log-softmax.
TEST(Kernels, BuffersOfTheLoss) {
  const auto workspace = [](const std::string& loss) {
    const Scenario s = Load(Proto("data: 8 kernels { loss: " + loss + " }"));
    const ComputeModel compute(s.cluster.chip, RateSet::kDatasheet, Fidelity::kIdeal);
    TransferTable transfers;
    const BlockContext context{&s.model, &s.plan, &s.workload, &compute, &transfers};
    const StatusOr<LoweredBlock> head = LowerBlock(BuildTransformer(s.model, {}).head, context);
    EXPECT_TRUE(head.ok()) << head.status();
    return head->workspace_bytes;
  };
  const double one = 4 * kTokens * kVocab;
  EXPECT_EQ(workspace("'megatron-compiled'") - workspace("'megatron'"), one);
  EXPECT_EQ(workspace("'eager'") - workspace("'fused'"), 2 * one);
  EXPECT_EQ(workspace("'eager' elementwise: 'inductor'"), workspace("'fused'"));
}

// FlashAttention saves what it reads: keys and values of all heads where they were repeated.
TEST(Kernels, RepeatedHeadsAreKept) {
  const auto kept = [](const std::string& kernels) {
    v1::Scenario proto = Proto("data: 8 " + kernels);
    proto.mutable_model()->set_kv_heads(4);
    const Scenario s = Load(proto);
    const ComputeModel compute(s.cluster.chip, RateSet::kDatasheet, Fidelity::kIdeal);
    TransferTable transfers;
    const BlockContext context{&s.model, &s.plan, &s.workload, &compute, &transfers};
    return LowerBlock(BuildTransformer(s.model, {}).kinds[0], context)->kept_bytes;
  };
  EXPECT_EQ(kept("kernels { repeated_heads: true }") - kept(""),
            2 * 2 * kTokens * (kHeads - 4) / kHeads * kHidden);
}

// "scale" is by one over the replicas: of one there is nothing to scale, whatever sums the norms'
// gradients over tensor ranks.
TEST(Kernels, OneReplicaScalesNothing) {
  const std::string one = "tensor: 8 sequence_parallel: true ";
  EXPECT_EQ(Simulated(one + "kernels { gradient_passes: 'scale' }").seconds,
            Simulated(one).seconds);
  EXPECT_GT(Simulated("data: 8 kernels { gradient_passes: 'scale' }").seconds,
            Simulated("data: 8").seconds);
}

TEST(Kernels, ThoseThatCannotRunTogetherAreRefused) {
  for (const auto& [plan, problem] :
       {std::pair{"data: 8 kernels { copied_heads: true projections: 'separate' }",
                  "plan.kernels.copied_heads: is true beside projections"},
        {"data: 8 kernels { copied_heads: true repeated_heads: true }", "beside repeated_heads"},
        {"context: 8 context_method: 'ulysses' kernels { repeated_heads: true }",
         "plan.kernels.repeated_heads: is true beside context_method \"ulysses\""},
        {"data: 8 kernels { experts: 'each' expert_tile_rows: 8 }", "beside experts \"each\""}}) {
    Diagnostics diagnostics;
    LoadScenario(Proto(plan), Catalog(), &diagnostics);
    EXPECT_THAT(std::string(diagnostics.status().message()), HasSubstr(problem));
  }
}

TEST(Kernels, GradientsOfWeightsAreAdded) {
  const double weights = 4 * kHidden * kHidden;  // mlp_in
  const auto dw = [&](const std::string& kind, const std::string& name) {
    const Step s =
        Simulated(absl::StrCat("data: 8 kernels { gradient_accumulation: '", kind, "' }"));
    return BytesOf(s.graph, name) / (2 * 4);  // layers, micro-batches
  };
  const double operands = 2 * (kTokens * kHidden + kTokens * 4 * kHidden);
  EXPECT_DOUBLE_EQ(dw("separate", "mlp_in dw") - dw("separate", "mlp_in dw sum"),
                   operands + 2 * weights);
  // Instead of 2 bytes written, 4 read and 4 written.
  EXPECT_DOUBLE_EQ(dw("fused", "mlp_in dw"), operands + (4 + 4) * weights);
  // Of several micro-batches the sum stays in place.
  EXPECT_DOUBLE_EQ(dw("none", "mlp_in dw"), dw("fused", "mlp_in dw"));
  EXPECT_DOUBLE_EQ(dw("separate", "mlp_in dw sum"), weights * (2 + 4 + 4));
}

TEST(Kernels, OptimizerPasses) {
  const auto passes = [](const std::string& plan) {
    return OptimizerPasses(Load(Proto("data: 8 " + plan)).plan, false);
  };
  using Passes = std::vector<double>;
  // Gradient 4, state 12 read and written, parameter 2.
  EXPECT_EQ(passes(""), Passes({4 + 2 * 12 + 2}));
  // Norm, scale, update, cast.
  EXPECT_EQ(passes("kernels { unfused_optimizer: true }"), Passes({4, 2 * 4, 4 + 2 * 12, 4 + 2}));
  // fp16 gradients are cast and unscaled before.
  EXPECT_EQ(passes("kernels { unfused_optimizer: true } precision { compute: 'fp16' parameters: "
                   "'fp16' gradients: 'fp16' }"),
            Passes({2 + 4, 2 * 4, 4, 2 * 4, 4 + 2 * 12, 4 + 2}));
  // fp32 parameters have no master copy and are read and written.
  EXPECT_EQ(passes("kernels { unfused_optimizer: true } precision { parameters: 'fp32' }"),
            Passes({4, 2 * 4, 4 + 2 * 8 + 2 * 4}));
}

TEST(Kernels, UnfusedAttentionMovesTheSquare) {
  const auto bytes = [](const std::string& plan, const std::string& name) {
    const Step s = Simulated("data: 8 attention_kernel: 'unfused' " + plan);
    double sum = 0;
    int count = 0;
    for (const TaskInfo& task : s.graph.tasks) {
      if (*task.name == name) sum += task.hbm_bytes.value(), ++count;
    }
    return sum / count;
  };
  const double square = kMicro * kHeads * kSequence * kSequence;
  const double heads = kMicro * kSequence * kHidden;  // q, k, v or the output
  // Scores written, softmax read and written, read for the values.
  EXPECT_DOUBLE_EQ(bytes("", "attention"), 2 * (4 * square + 4 * heads));
  // And a dropout kernel that reads, writes and leaves a mask byte.
  EXPECT_DOUBLE_EQ(bytes("dropout: true", "attention"), 2 * (4 * square + 4 * heads) + 5 * square);
  // Four products read or write the square once, the softmax three times.
  EXPECT_DOUBLE_EQ(bytes("", "attention backward"), 2 * (4 + 3) * square + 2 * 8 * heads);
}

TEST(Kernels, AttentionOfAnOlderGenerationIsNotFaster) {
  const auto seconds = [](const std::string& kernel) {
    const Scenario s = Load(Proto("data: 8 attention_kernel: '" + kernel + "'"));
    return StepOf(s, Fidelity::kCalibrated).run.makespan.seconds();
  };
  EXPECT_LT(seconds("flash"), seconds("flash-2"));
  EXPECT_LT(seconds("flash-2"), seconds("flash-1"));
  // Not measured on this chip: the note says that its fastest is taken.
  Diagnostics diagnostics;
  LoadScenario(Proto("data: 8 attention_kernel: 'flash-1'", "dgx-b200"), Catalog(), &diagnostics);
  ASSERT_EQ(diagnostics.notes().size(), 1U);
  EXPECT_NE(diagnostics.notes()[0].find("flash-1 was not measured on b200"), std::string::npos);
}

// A host that is slower than the device sets the pace: launches follow each other on its stream.
TEST(Kernels, TheHostLaunchesEveryKernel) {
  const auto run = [](const std::string& dispatch) {
    return Simulated(Load(Proto("data: 8 kernels { host_dispatch_ns: " + dispatch + " }")),
                     Fidelity::kCalibrated);
  };
  const double none = run("0").seconds;
  EXPECT_NEAR(run("1").seconds, none, 1e-7);  // it runs ahead
  const double slow = run("100000").seconds, slower = run("200000").seconds;
  EXPECT_GT(slow, none);
  double launches = 0;
  const Step step = run("100000");
  for (const TaskInfo& task : step.graph.tasks) launches += task.kind != TaskKind::kHost;
  // Gradients reduce beside the last of them.
  EXPECT_NEAR(slower - slow, 1e-4 * launches, 0.02 * (slower - slow));
}

// Libraries hold their memory all step, on every device.
TEST(Kernels, LibrariesHoldWorkspace) {
  const Step none = Simulated("data: 8");
  const v1::Scenario proto = Proto("data: 8 kernels { library_workspace_bytes: 1e6 }");
  for (const v1::Scenario& some : {proto, ExpandScenario(proto, Catalog())}) {
    const Step step = Simulated(Load(some));
    EXPECT_EQ(step.seconds, none.seconds);
    for (std::size_t b = 0; b < kMemoryBuckets; ++b) {
      const bool workspace = b == static_cast<std::size_t>(MemoryBucket::kWorkspace);
      EXPECT_EQ(step.graph.resident[0][b], none.graph.resident[0][b] + (workspace ? 1e6 : 0));
    }
  }
}

// Beside what the step holds; the plan says how much, a framework's file by default.
TEST(MemoryReserve, IsOfThePlan) {
  const v1::Scenario proto = Proto(
      "data: 8 memory_reserve { context_bytes: 5e8 allocator_fraction: 0.1 "
      "communication_bytes: 1e9 }");
  for (const v1::Scenario& some : {proto, ExpandScenario(proto, Catalog())}) {
    const MemoryReserve reserve = Load(some).plan.memory_reserve;
    EXPECT_EQ(reserve.context_bytes, 5e8);
    EXPECT_EQ(reserve.allocator_fraction, 0.1);
    EXPECT_EQ(reserve.communication_bytes, 1e9);
  }
  Diagnostics diagnostics;
  LoadScenario(Proto("data: 8 memory_reserve { context_bytes: -1 allocator_fraction: 2 }"),
               Catalog(), &diagnostics);
  const std::string message(diagnostics.status().message());
  for (const char* part : {"plan.memory_reserve.context_bytes: is -1, expected 0 to 1e+12",
                           "plan.memory_reserve.allocator_fraction: is 2, expected 0 to 1"}) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
  }
}

TEST(Kernels, WrongNamesAreReported) {
  Diagnostics diagnostics;
  LoadScenario(Proto("data: 8 attention_kernel: 'flash-9' kernels { loss: 'fast' "
                     "gradient_accumulation: 'some' library_workspace_bytes: -1 }"),
               Catalog(), &diagnostics);
  const std::string message(diagnostics.status().message());
  for (const char* part :
       {"plan.attention_kernel: is \"flash-9\", expected flash, flash-1, flash-2, cudnn-2024, "
        "splash-1, "
        "splash-2, "
        "splash-3 or unfused",
        "plan.kernels.loss: is \"fast\", expected fused, eager, megatron, "
        "megatron-compiled",
        "plan.kernels.gradient_accumulation: is \"some\", expected none, fused, separate",
        "plan.kernels.library_workspace_bytes: is -1, expected 0 to 1e+12"}) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
  }
}

TEST(OverlapGradients, WithoutItReductionsFollowTheBackwardPass) {
  const Step beside = Simulated("data: 8"), after = Simulated("data: 8 overlap_gradients: false");
  EXPECT_GT(after.seconds, beside.seconds);
  // The same bytes leave either way.
  const auto sent = [](const Step& s) {
    double bytes = 0;
    for (const TaskInfo& task : s.graph.tasks) {
      if (task.transfer >= 0) {
        bytes += s.graph.transfers[static_cast<std::size_t>(task.transfer)].spec.bytes.value();
      }
    }
    return bytes;
  };
  EXPECT_DOUBLE_EQ(sent(after), sent(beside));
  // With one replica there is nothing to reduce.
  EXPECT_EQ(Simulated("tensor: 8 overlap_gradients: false").seconds,
            Simulated("tensor: 8").seconds);
}

TEST(Plan, NotesWhatChangesNothing) {
  const auto notes = [](const v1::Scenario& proto) {
    Diagnostics diagnostics;
    LoadScenario(proto, Catalog(), &diagnostics);
    EXPECT_TRUE(diagnostics.ok()) << diagnostics.status();
    return diagnostics.notes();
  };
  const std::string nothing = " changes nothing: ";
  EXPECT_THAT(
      notes(Proto("data: 8 async_tensor: true split_sends: true recompute_drops_unread: true "
                  "kernels { experts: 'each' launches: 'none' host_dispatch_ns: 5 }")),
      ElementsAre(HasSubstr("plan.async_tensor" + nothing), HasSubstr("plan.split_sends" + nothing),
                  HasSubstr("plan.recompute_drops_unread" + nothing),
                  HasSubstr("plan.kernels.host_dispatch_ns" + nothing),
                  HasSubstr("plan.kernels.experts" + nothing)));
  EXPECT_THAT(notes(Proto("data: 4 tensor: 2 async_tensor: true")),
              ElementsAre(HasSubstr("without sequence_parallel")));
  // What does act, and what a scenario is when written out, has no notes.
  const v1::Scenario acting = Proto(
      "data: 2 tensor: 2 pipeline: 2 sequence_parallel: true async_tensor: true "
      "split_sends: true recompute: 'full' recompute_drops_unread: true");
  EXPECT_THAT(notes(acting), IsEmpty());
  EXPECT_THAT(notes(ExpandScenario(acting, Catalog())), IsEmpty());
}

TEST(Kernels, ExpandedPlansAreTheSameStep) {
  const v1::Scenario proto = Proto(
      "data: 8 overlap_gradients: false attention_kernel: 'flash-1' kernels { loss: 'megatron' "
      "gradient_accumulation: 'separate' unfused_optimizer: true }");
  EXPECT_EQ(Simulated(Load(proto)).seconds,
            Simulated(Load(ExpandScenario(proto, Catalog()))).seconds);
}

}  // namespace
}  // namespace meshstep
