// What the host issues: counts by the frameworks' code, a step bound by the host as operations
// times cost, a step bound by the device as if there were no host. And the bytes of eager
// elementwise work.

#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "meshstep/v1/scenario.pb.h"
#include "sim/base/catalog.h"
#include "sim/simulate/simulate.h"
#include "strategies/plan/load_scenario.h"
#include "strategies/step/lower_step.h"
#include "strategies/step/step_graph.h"
#include "tests/strategies/scenario_fixtures.h"

namespace meshstep {
namespace {

constexpr char kGpt[] =
    "hidden: 1024 heads: 16 ffn: 4096 vocab: 4096 norm_bias: true position_embeddings: 512 "
    "qkv_bias: true attention_output_bias: true mlp_bias: true";
constexpr char kLlama[] =
    "hidden: 1024 heads: 16 kv_heads: 4 ffn: 4096 vocab: 4096 gated_mlp: true";
constexpr char kExperts[] =
    "hidden: 1024 heads: 16 vocab: 4096 gated_mlp: true moe { experts: 16 experts_per_token: 2 "
    "expert_ffn: 512 }";
constexpr double kTokens = 2 * 512, kHidden = 1024;

v1::Scenario Proto(const std::string& model, int layers, const std::string& plan,
                   const std::string& cluster = "dgx-h100") {
  return ParseScenario(absl::StrCat(
      "model { name: 'm' layers: ", layers, " ", model, " } cluster { preset: '", cluster,
      "' chips: 8 } workload { global_batch_sequences: 16 sequence_length: 512 } plan { ", plan,
      " micro_batch_sequences: 2 }"));
}

double Seconds(const v1::Scenario& proto, Fidelity fidelity = Fidelity::kCalibrated) {
  return StepOf(Load(proto), fidelity).run.makespan.seconds();
}

// Operations of one layer in a step that the host bounds: what a layer more costs, by how much more
// it costs where the host is slower.
double OperationsOfLayer(const std::string& model, const std::string& launches,
                         const std::string& plan = "data: 8", const std::string& kernels = "") {
  const auto layer = [&](int dispatch) {
    const auto step = [&](int layers) {
      return Seconds(Proto(model, layers,
                           absl::StrCat(plan, " kernels { host_dispatch_ns: ", dispatch,
                                        " launches: '", launches, "' ", kernels, " }")));
    };
    return step(4) - step(3);
  };
  return (layer(1000000) - layer(500000)) / 0.5e-3;
}

constexpr char kUnfused[] =
    "data: 8 attention_kernel: 'unfused' dropout: true overlap_gradients: false";
constexpr char kSeparate[] = "gradient_accumulation: 'separate'";
// One all-reduce of a layer's gradients, of those that reduce beside backward; 12 parameters cast
// by the optimizer.
constexpr double kReduction = 1, kCasts = 0.26 * 12;

// NVIDIA/Megatron-LM v2.6 megatron/model/transformer.py ParallelTransformerLayer.forward.
TEST(HostLaunches, MegatronLmLayer) {
  // Norm; matmul and bias of qkv; scores, softmax, dropout, values, copy; matmul; bias, dropout and
  // sum; norm; matmul; bias and GELU; matmul; bias, dropout and sum.
  // Beside dropout, random number generators are forked: four operations at the cost of a loop's.
  const double forward = 1 + 2 + (5 + 4 * 0.26) + 1 + 1 + 1 + 1 + 1 + 1 + 1;
  // In reverse, with every parameter's gradient added to its buffer (+): bias, dropout, sum of the
  // branches; two matmuls ++; GELU, bias; two matmuls ++; norm ++; ... ; values twice, dropout,
  // softmax, scores and scale twice, concatenation; two matmuls and the bias ++; norm ++.
  const double backward = 3 + (2 + 2) + 2 + (2 + 2) + (3 + 2) + 3 + (2 + 2) + 9 + (3 + 2) + (3 + 2);
  EXPECT_NEAR(OperationsOfLayer(kGpt, "megatron-lm", kUnfused, kSeparate),
              forward + backward + kCasts, 1e-3);
  EXPECT_NEAR(OperationsOfLayer(kGpt, "megatron-lm", std::string(kUnfused) + " recompute: 'full'",
                                kSeparate),
              2 * forward + 8 * 0.26 + backward + kCasts, 1e-3);
  EXPECT_NEAR(OperationsOfLayer(kGpt, "megatron-deepspeed",
                                "data: 8 attention_kernel: 'unfused' dropout: true", kSeparate),
              forward + backward + kReduction, 1e-3);
}

// fused_softmax.py: two heads of one sequence are not a multiple of four.
TEST(HostLaunches, MegatronLmSoftmaxInParts) {
  v1::Scenario one = Proto(kGpt, 3,
                           "tensor: 8 attention_kernel: 'unfused' kernels { host_dispatch_ns: 1e6 "
                           "launches: 'megatron-lm' }");
  one.mutable_workload()->set_global_batch_sequences(2);
  const double two_sequences = Seconds(one);
  one.mutable_workload()->set_global_batch_sequences(1);
  one.mutable_plan()->set_micro_batch_sequences(1);
  EXPECT_NEAR(Seconds(one) - two_sequences, 3 * (4 + 4) * 1e-3, 1e-4);
}

// One operation for each simulated kernel and collective, and a graph for all of a part.
TEST(HostLaunches, KernelsAndGraphs) {
  // Forward: norm, qkv, rotary, attention, out, sum, norm, in, activation, out, sum. Backward: two
  // for each of four matmuls, one for two norms, rotary, attention, activation.
  const double kernels = 11 + 4 * 2 + 2 + 3;
  const auto layer = [](const std::string& graphs) {
    return OperationsOfLayer(kLlama, "kernels", "data: 8", graphs);
  };
  EXPECT_NEAR(layer(""), kernels + kReduction, 1e-3);
  // Attention: six forward, seven backward.
  EXPECT_NEAR(layer("graphs: 'attention'"), kernels + kReduction - 6 - 7 + 2, 1e-3);
  EXPECT_NEAR(layer("graphs: ['attention', 'mlp']"), 2 + 2 + kReduction, 1e-3);
  // Of a dense model it holds nothing.
  EXPECT_NEAR(layer("graphs: 'router'"), kernels + kReduction, 1e-3);
}

// pytorch/torchtitan models/llama/model.py, norms.py: see ideal.textproto.
TEST(HostLaunches, EagerTorchtitanLayer) {
  const double norm = 8, rotary = 2 * 3, attention = 1 + 2 + 1, gate = 2;
  const double forward = 2 * norm + 3 + rotary + attention + 1 + 1 + 2 + gate + 1 + 1;
  // Norms; each weight's two products and the sums of the gradients of x; three kernels of flash
  // attention and the sums over repeated keys and values; the sums of a residual's branches.
  const double backward = 2 * 16 + (6 + 2) + rotary + (3 + 2) + 2 + (4 + 1) + 3 + 2 + 2;
  // Kernels that are simulated stand for themselves, in whatever way they run.
  for (const char* kernels :
       {"gradient_sums: 'separate'", "gradient_sums: 'separate' projections: 'separate'",
        "gradient_sums: 'separate' projections: 'separate' repeated_heads: true"}) {
    EXPECT_NEAR(OperationsOfLayer(kLlama, "pytorch", "data: 8",
                                  absl::StrCat("elementwise: 'eager' ", kernels)),
                forward + backward + kReduction, 1e-3)
        << kernels;
  }
}

// Gathers forward and backward and a reduction, each with copies.
TEST(HostLaunches, FsdpCopiesAroundItsCollectives) {
  EXPECT_NEAR(OperationsOfLayer(kLlama, "pytorch", "fsdp: 8") -
                  OperationsOfLayer(kLlama, "pytorch", "data: 8"),
              3 * 4 - kReduction, 1e-3);
}

// Host-bound or not, Transformer Engine's modules cost 1.7 operations more: see ideal.textproto.
TEST(HostLaunches, MegatronCoreLayer) {
  const double module = 1.7;
  const double forward = 1 + (1 + module) + 2 + (2 + module) + (1 + module) + 1 + 1 + (1 + module) +
                         1 + (1 + module) + 1;
  const double backward = 2 * 2 + 4 * (2 + module) + 2 + (4 + module) + 1 + 2;
  EXPECT_NEAR(OperationsOfLayer(kLlama, "megatron-core"), forward + backward + kReduction, 1e-3);
}

// Megatron-Core rope_utils.py: for each of queries and keys 12 kernels forward and 7 backward in place
// of 2, each an operation.
TEST(HostLaunches, RotaryOperationByOperation) {
  EXPECT_NEAR(OperationsOfLayer(kLlama, "megatron-core", "data: 8", "eager_rotary: true") -
                  OperationsOfLayer(kLlama, "megatron-core"),
              (2 * 12 - 2) + (2 * 7 - 2), 1e-3);
}

TEST(HostLaunches, WithoutALatePointTheDeviceSetsThePace) {
  const auto step = [](const std::string& kernels) {
    return Seconds(Proto(kLlama, 2, "data: 8 kernels { " + kernels + " }"));
  };
  const double none = step("");
  for (const char* launches : {"kernels", "pytorch", "megatron-core"}) {
    // The first kernel waits for the host, which then runs ahead.
    const double one = step(absl::StrCat("launches: '", launches, "' host_dispatch_ns: 1"));
    EXPECT_NEAR(one, none, 5e-9) << launches;
    EXPECT_GE(one, none) << launches;
  }
  // Where the host waits for the device between forward and backward, that adds what it takes to
  // issue the first of each.
  const double waits = step("launches: 'megatron-lm' host_dispatch_ns: 1000");
  EXPECT_GT(waits, none + 1e-6);
  EXPECT_LT(waits, none + 20e-6);
  EXPECT_LT(step("launches: 'megatron-deepspeed' host_dispatch_ns: 1000"), waits);
}

TEST(HostLaunches, CostComesFromTheChip) {
  const auto ops = [](const std::string& cluster, const std::string& kernels) {
    return Seconds(Proto(kGpt, 24, "data: 8 kernels { " + kernels + " }", cluster));
  };
  // One in-model operation on the host of an A100: 17.839 ms / 583 (pytorch issue 82793).
  EXPECT_NEAR(17.839e6 / 583, 30600, 10);
  EXPECT_EQ(ops("dgx-a100", "launches: 'megatron-lm'"),
            ops("dgx-a100", "launches: 'megatron-lm' host_dispatch_ns: 30600"));
  EXPECT_EQ(ops("dgx-h100", "launches: 'megatron-core'"),
            ops("dgx-h100", "launches: 'megatron-core' host_dispatch_ns: 13480"));
  EXPECT_EQ(ops("dgx-h100", "host_dispatch_ns: 9000"),
            ops("dgx-h100", "host_dispatch_ns: 9000 launches: 'kernels'"));
  const double ideal = Seconds(Proto(kGpt, 2, "data: 8"), Fidelity::kIdeal);
  EXPECT_EQ(
      Seconds(Proto(kGpt, 2, "data: 8 kernels { launches: 'megatron-lm' }"), Fidelity::kIdeal),
      ideal);
}

// pytorch.org/blog/accelerating-generative-ai-2 (2023-11): eager Llama 2 7B makes 25.5 tokens a
// second on an A100-80GB, batch 1, "heavily CPU overhead bound". Neither counts nor cost come from
// it.
TEST(HostLaunches, EagerLlamaDecodesAsFastAsPyTorchSays) {
  const auto tokens_per_second = [](const std::string& kernels) {
    v1::Scenario proto;
    const std::string text =
        "model { preset: 'llama-2-7b' } cluster { preset: 'dgx-a100' chips: 1 } workload { mode: "
        "DECODE global_batch_sequences: 1 sequence_length: 256 } plan { kernels { " +
        kernels + " } }";
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &proto)) << text;
    return 1 / Seconds(proto);
  };
  EXPECT_NEAR(tokens_per_second("launches: 'pytorch' elementwise: 'eager'") / 25.5, 1, 0.12);
  EXPECT_GT(tokens_per_second(""), 70);
}

// token_dispatcher.py: sizes of the all-to-all are read on the host, unless capacity fixes them.
TEST(HostLaunches, DroplessDispatchWaitsForTheRouter) {
  const auto waits = [](const std::string& plan) {
    const Scenario s = Load(Proto(kExperts, 2, plan));
    const StatusOr<StepGraph> graph = LowerStep(s, {});
    EXPECT_TRUE(graph.ok()) << graph.status();
    std::map<std::string, int> count;
    for (TaskId t = 0; t < graph->graph.tasks(); ++t) {
      if (graph->tasks[static_cast<std::size_t>(t)].kind != TaskKind::kHost) continue;
      for (const TaskId d : graph->graph.dependencies(t)) {
        ++count[*graph->tasks[static_cast<std::size_t>(d)].name];
      }
    }
    return count;
  };
  const std::string core = "data: 8 expert: 8 kernels { launches: 'megatron-core' }";
  EXPECT_EQ(waits(core), (std::map<std::string, int>{{"routing", 2}}));
  EXPECT_EQ(waits(core + " recompute: 'full'"), (std::map<std::string, int>{{"routing", 4}}));
  EXPECT_TRUE(waits(core + " capacity_factor: 1").empty());
  EXPECT_TRUE(waits("data: 8 kernels { launches: 'megatron-core' }").empty());
  EXPECT_TRUE(waits("data: 8 expert: 8 kernels { launches: 'kernels' }").empty());
}

// Bytes that kernels of that name and pass read and write, of one layer.
double BytesOf(const std::string& model, const std::string& kernels, const std::string& name,
               const std::string& plan = "data: 8") {
  const Scenario s = Load(Proto(model, 1, plan + " kernels { " + kernels + " }"));
  const StatusOr<StepGraph> graph = LowerStep(s, {.fidelity = Fidelity::kIdeal});
  EXPECT_TRUE(graph.ok()) << graph.status();
  double bytes = 0;
  for (const TaskInfo& task : graph->tasks) {
    if (*task.name == name) bytes += task.hbm_bytes.value();
  }
  return bytes;
}

TEST(EagerElementwise, EveryOperationReadsAndWrites) {
  const auto bytes = [](const std::string& name) {
    return BytesOf(kLlama, "elementwise: 'eager'", name) / (kTokens * kHidden);
  };
  const double a = 2;
  // To fp32, square, mean, product, from fp32, weight.
  EXPECT_DOUBLE_EQ(bytes("mlp_norm"), (a + 4) + 8 + 4 + 8 + (4 + a) + 2 * a);
  // Weight and its gradient, its sum; to fp32; product, both ways, the sum of one; mean; three for
  // the square; the sum of both paths; from fp32.
  EXPECT_DOUBLE_EQ(bytes("mlp_norm backward"),
                   2 * a + 3 * a + a + (a + 4) + 8 + 12 + 4 + 4 + (8 + 8 + 12) + 12 + (4 + a));
  // Queries are as wide as the stream, keys a quarter.
  EXPECT_DOUBLE_EQ(bytes("rotary"), 1.25 * ((a + 4) + 8 + (4 + a)));
  EXPECT_DOUBLE_EQ(bytes("rotary backward"), bytes("rotary"));
  EXPECT_DOUBLE_EQ(bytes("mlp_act"), 4 * (2 * a + 3 * a));
  EXPECT_DOUBLE_EQ(bytes("mlp_act backward"), 4 * (3 * 3 * a));
  EXPECT_DOUBLE_EQ(bytes("mlp_add backward"), 0);
  // TorchInductor leaves the complex product of the rotary embedding alone.
  const auto compiled = [](const std::string& name) {
    return BytesOf(kLlama, "elementwise: 'inductor'", name) / (kTokens * kHidden);
  };
  EXPECT_DOUBLE_EQ(compiled("rotary"), bytes("rotary"));
  EXPECT_DOUBLE_EQ(compiled("mlp_norm"), 2 * a);
  EXPECT_DOUBLE_EQ(compiled("mlp_act"), 4 * 3 * a);
  const auto fused = [](const std::string& name) {
    return BytesOf(kLlama, "", name) / (kTokens * kHidden);
  };
  EXPECT_DOUBLE_EQ(fused("mlp_norm"), 2 * a);
  EXPECT_DOUBLE_EQ(fused("mlp_act"), 4 * 3 * a);
  EXPECT_DOUBLE_EQ(fused("mlp_add backward"), 0);
  // Dropout with its mask, then the sum; fused, the branch is not written in between.
  const auto dropped = [&](const std::string& kernels) {
    return BytesOf(kLlama, kernels, "mlp_dropout_add", "data: 8 dropout: true") /
           (kTokens * kHidden);
  };
  EXPECT_DOUBLE_EQ(dropped("elementwise: 'eager'"), (2 * a + 1) + 3 * a);
  EXPECT_DOUBLE_EQ(dropped(""), 3 * a + 1);
  // LayerNorm and GELU are one kernel in eager PyTorch.
  for (const char* name : {"mlp_norm", "mlp_norm backward", "mlp_act", "mlp_act backward"}) {
    EXPECT_DOUBLE_EQ(BytesOf(kGpt, "elementwise: 'eager'", name), BytesOf(kGpt, "", name)) << name;
  }
}

TEST(HostLaunches, ExpandedPlansAreTheSameStep) {
  for (const char* kernels :
       {"launches: 'pytorch' elementwise: 'eager' gradient_sums: 'separate' projections: "
        "'separate' repeated_heads: true",
        "host_dispatch_ns: 50000",
        "launches: 'megatron-core' graphs: ['attention', 'router'] host_dispatch_ns: 80000"}) {
    const v1::Scenario proto =
        Proto(kExperts, 2, absl::StrCat("data: 8 expert: 4 kernels { ", kernels, " }"));
    EXPECT_EQ(Seconds(proto), Seconds(ExpandScenario(proto, Catalog()))) << kernels;
  }
}

TEST(HostLaunches, WrongPlansAreReported) {
  const auto error = [](const std::string& kernels) {
    Diagnostics diagnostics;
    LoadScenario(Proto(kGpt, 2, "data: 8 kernels { " + kernels + " }"), Catalog(), &diagnostics);
    return std::string(diagnostics.status().message());
  };
  EXPECT_NE(error("launches: 'jax'")
                .find("plan.kernels.launches: is \"jax\", expected none, kernels, pytorch, "
                      "megatron-lm, megatron-deepspeed, megatron-core"),
            std::string::npos);
  EXPECT_NE(error("elementwise: 'slow'")
                .find("plan.kernels.elementwise: is \"slow\", expected fused, eager"),
            std::string::npos);
  EXPECT_NE(error("launches: 'kernels' graphs: 'all'")
                .find("plan.kernels.graphs: is \"all\", expected attention, mlp, router"),
            std::string::npos);
  EXPECT_NE(error("graphs: 'mlp'").find("plan.kernels.graphs: needs launches other than none"),
            std::string::npos);
  EXPECT_NE(error("host_dispatch_ns: -1").find("plan.kernels.host_dispatch_ns: is -1, expected"),
            std::string::npos);
}

}  // namespace
}  // namespace meshstep
