// What eager and sharded PyTorch runs beside the products: sums of gradients, matmuls apart, copies
// around transfers and of key/value heads, and every second product again.

#include <map>
#include <string>

#include "absl/strings/str_cat.h"
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

constexpr double kHidden = 1024, kFfn = 4096, kHeads = 16, kKvHeads = 4, kHead = 64;
constexpr double kSequence = 512, kMicro = 2, kTokens = kMicro * kSequence;
constexpr double kStream = kTokens * kHidden, kBf16 = 2, kFp32 = 4;
constexpr double kQkv = kHidden * (kHeads + 2 * kKvHeads) * kHead;
constexpr double kLayer = kQkv + kHidden * kHeads * kHead + 3 * kHidden * kFfn + 2 * kHidden;

v1::Scenario Proto(const std::string& plan, int batch = 16) {
  return ParseScenario(absl::StrCat(
      "model { name: 'llama' layers: 1 hidden: 1024 heads: 16 kv_heads: 4 ffn: 4096 vocab: 4096 "
      "gated_mlp: true } cluster { preset: 'dgx-h100' chips: 8 } workload { "
      "global_batch_sequences: ",
      batch, " sequence_length: 512 } plan { ", plan, " micro_batch_sequences: 2 }"));
}

struct Step {
  StepGraph graph;
  double seconds;

  double Bytes(const std::string& name) const {
    double bytes = 0;
    for (const TaskInfo& task : graph.tasks) {
      if (*task.name == name) bytes += task.hbm_bytes.value();
    }
    return bytes;
  }
  int Count(const std::string& name) const {
    int count = 0;
    for (const TaskInfo& task : graph.tasks) count += *task.name == name ? 1 : 0;
    return count;
  }
  double Flops(const std::string& name, Pass pass) const {
    double flops = 0;
    for (const TaskInfo& task : graph.tasks) {
      if (*task.name == name && task.pass == pass) flops += task.flops.value();
    }
    return flops;
  }
};

Step Simulated(const v1::Scenario& proto, Fidelity fidelity = Fidelity::kIdeal) {
  SimulatedStep simulated = StepOf(Load(proto), fidelity);
  return {std::move(simulated.step), simulated.run.makespan.seconds()};
}

Step Simulated(const std::string& plan) { return Simulated(Proto(plan)); }

// torch/csrc/autograd/input_buffer.cpp: two operands are read and one is written. The residual
// stream is read by a norm and a sum, twice in a layer.
TEST(FrameworkKernels, PartsOfAGradientAreAdded) {
  const Step fused = Simulated("data: 8"),
             separate = Simulated("data: 8 kernels { gradient_sums: 'separate' }");
  double sums = 0;
  for (const TaskInfo& task : separate.graph.tasks) {
    if (!task.name->ends_with(" sum")) continue;
    EXPECT_DOUBLE_EQ(task.hbm_bytes.value(), 3 * kStream * kBf16) << *task.name;
    ++sums;
  }
  EXPECT_EQ(sums, 2);
  for (const TaskInfo& task : fused.graph.tasks) EXPECT_FALSE(task.name->ends_with(" sum"));
  EXPECT_GT(separate.seconds, fused.seconds);
}

TEST(FrameworkKernels, ProjectionsApart) {
  const Step joined = Simulated("data: 8"),
             apart = Simulated("data: 8 kernels { projections: 'separate' }");
  EXPECT_EQ(joined.Count("qkv") * 3, apart.Count("qkv"));
  EXPECT_EQ(joined.Count("mlp_in dw") * 2, apart.Count("mlp_in dw"));
  EXPECT_EQ(joined.Count("mlp_out"), apart.Count("mlp_out"));
  // Each matmul reads x, and in backward writes its gradient, by itself; what reads that next reads
  // two arrays more.
  const double array = kStream * kBf16;
  EXPECT_DOUBLE_EQ(apart.Bytes("qkv") - joined.Bytes("qkv"), 2 * array);
  EXPECT_DOUBLE_EQ(apart.Bytes("qkv dx") - joined.Bytes("qkv dx"), 2 * array);
  EXPECT_DOUBLE_EQ(apart.Bytes("qkv dw") - joined.Bytes("qkv dw"), 2 * array);
  EXPECT_DOUBLE_EQ(apart.Bytes("qkv dx sum"), 2 * array);
  const Step eager =
      Simulated("data: 8 kernels { projections: 'separate' gradient_sums: 'separate' }");
  EXPECT_DOUBLE_EQ(eager.Bytes("qkv dx sum"), 2 * 3 * array);
  EXPECT_DOUBLE_EQ(eager.Bytes("mlp_in dx sum"), 3 * array);
  // The work is the same.
  EXPECT_DOUBLE_EQ(apart.graph.hardware_flops.value(), joined.graph.hardware_flops.value());
}

// A sum that a collective takes is made by kernels of its own, and is not made in parts beside it
// (torch/_inductor/fx_passes/micro_pipeline_tp.py).
TEST(FrameworkKernels, SumsOfProjectionsLeaveAtOnce) {
  const std::string plan =
      "tensor: 8 sequence_parallel: true async_tensor: true kernels { tensor_transfers: 'dtensor' ";
  const Step joined = Simulated(plan + "}"), apart = Simulated(plan + "projections: 'separate' }");
  const int micro_batches = 8, parts = 8;
  EXPECT_EQ(joined.Count("qkv dx"), micro_batches * parts);
  EXPECT_EQ(apart.Count("qkv dx"), micro_batches * 3);
  EXPECT_EQ(apart.Count("qkv dx sum"), micro_batches * 2);
  EXPECT_DOUBLE_EQ(apart.Bytes("qkv dx sum"), micro_batches * 2 * 3 * kStream * kBf16);
  // Forward still runs in parts, which a kernel of each weight works on.
  EXPECT_EQ(apart.Count("qkv"), micro_batches * parts);
}

// torch/distributed/_functional_collectives.py: a gather or scatter of the sequence, the second
// dimension, reads and writes the array once more; what is gathered stays for the gradient of the
// weight. Megatron gathers that again, in each layer for two products, in the head for one.
TEST(FrameworkKernels, DtensorCopiesAndKeeps) {
  const std::string plan = "tensor: 8 sequence_parallel: true kernels { tensor_transfers: '";
  const auto transfers = [](const Step& step, Collective collective) {
    int count = 0;
    for (const TaskInfo& task : step.graph.tasks) {
      if (task.transfer < 0) continue;
      const TransferSpec& spec = step.graph.transfers[static_cast<std::size_t>(task.transfer)].spec;
      count += spec.collective == collective && spec.role == Role::kActivations ? 1 : 0;
    }
    return count;
  };
  const Step megatron = Simulated(plan + "megatron' }"), dtensor = Simulated(plan + "dtensor' }");
  const int micro_batches = 8;
  EXPECT_EQ(
      transfers(megatron, Collective::kAllGather) - transfers(dtensor, Collective::kAllGather),
      micro_batches * (2 + 1));
  EXPECT_EQ(transfers(megatron, Collective::kReduceScatter),
            transfers(dtensor, Collective::kReduceScatter));
  int copies = 0;
  for (const TaskInfo& task : dtensor.graph.tasks) {
    if (!task.name->ends_with(" copy")) continue;
    EXPECT_DOUBLE_EQ(task.hbm_bytes.value(), 2 * kStream * kBf16) << *task.name;
    ++copies;
  }
  EXPECT_EQ(copies, transfers(dtensor, Collective::kAllGather) +
                        transfers(dtensor, Collective::kReduceScatter));
  for (const TaskInfo& task : megatron.graph.tasks) EXPECT_FALSE(task.name->ends_with(" copy"));
  // The inputs of both layers' products and of the head's are kept whole.
  const auto kept = [](const Step& step) {
    double bytes = 0;
    for (const MemoryEvent& event : step.graph.memory) {
      if (event.bytes > 0 && event.bucket == MemoryBucket::kActivations) bytes += event.bytes;
    }
    return bytes;
  };
  EXPECT_NEAR(kept(dtensor) - kept(megatron), micro_batches * 3 * kStream * kBf16 * 7 / 8, 1);
  // Without a sharded sequence there is nothing to copy or keep.
  EXPECT_EQ(Simulated("tensor: 8 kernels { tensor_transfers: 'dtensor' }").seconds,
            Simulated("tensor: 8").seconds);
}

TEST(FrameworkKernels, CopiesAroundShardedTransfers) {
  const auto step = [](const std::string& copies) {
    return Simulated(
        "fsdp: 8 precision { parameters: 'fp32' reduce: 'fp32' } kernels { "
        "sharded_copies: '" +
        copies + "' }");
  };
  const auto of_layer = [](const Step& step, const std::string& name) {
    double bytes = 0;
    for (const TaskInfo& task : step.graph.tasks) {
      if (*task.name == name && task.layer == LayerRef::Layer(0)) bytes += task.hbm_bytes.value();
    }
    return bytes;
  };
  // Read and written in bf16 after the gathers of forward and backward (the only layer's is still
  // there where its backward follows); gradients read in bf16, written in fp32.
  const Step each = step("each");
  const double gathers = of_layer(each, "parameters copy") / (kLayer * 2 * kBf16);
  EXPECT_DOUBLE_EQ(gathers, 2);
  EXPECT_DOUBLE_EQ(of_layer(each, "gradients copy"), kLayer * (kBf16 + kFp32));
  const Step flat = step("flat"), none = step("none");
  EXPECT_EQ(flat.Count("parameters copy"), 0);
  EXPECT_DOUBLE_EQ(of_layer(flat, "gradients copy"), kLayer * 2 * kBf16);
  EXPECT_EQ(none.Count("gradients copy"), 0);
  EXPECT_GT(each.seconds, flat.seconds);
  EXPECT_GT(flat.seconds, none.seconds);
  // Of whole parameters nothing is copied.
  EXPECT_EQ(Simulated("data: 8 kernels { sharded_copies: 'each' }").seconds,
            Simulated("data: 8").seconds);
}

// torchao float8_ops.py preprocess_addmm: of what is gathered by rows, the gradient of the input
// reads columns on Hopper.
TEST(FrameworkKernels, GatheredNarrowWeightsAreTransposed) {
  const auto bytes = [](const std::string& plan) {
    return Simulated(plan + " precision { compute: 'fp8' scaling: 'current' }")
        .Bytes("mlp_in weight transpose");
  };
  EXPECT_DOUBLE_EQ(bytes("fsdp: 8"), 2 * 2 * kHidden * kFfn);
  EXPECT_EQ(bytes("data: 8"), 0);
  EXPECT_EQ(Simulated("fsdp: 8").Count("mlp_in weight transpose"), 0);
}

// chip file precise_fraction: backward of fp8 on Hopper, forward only with block scales, and no
// other format.
TEST(FrameworkKernels, GradientsAddUpPrecisely) {
  const Scenario scenario = Load(Proto("data: 8"));
  const ComputeModel compute(scenario.cluster.chip, RateSet::kDatasheet, Fidelity::kCalibrated);
  const auto ratio = [&](Dtype dtype) {
    MatmulShape shape{.m = 16384, .n = 16384, .k = 16384};
    const double fast = compute.Matmul(shape, dtype, Bytes(2)).seconds();
    shape.precise = true;
    return compute.Matmul(shape, dtype, Bytes(2)).seconds() / fast;
  };
  EXPECT_NEAR(ratio(Dtype::kFp8), 1 / 0.87, 1e-6);
  EXPECT_EQ(ratio(Dtype::kBf16), 1);
  const auto slower = [](const std::string& name, const std::string& scaling = "tensor") {
    v1::Scenario proto =
        Proto(absl::StrCat("data: 8 precision { compute: 'fp8' scaling: '", scaling, "' }"));
    proto.mutable_model()->set_ffn(65536);
    const Scenario precise = Load(proto);
    Scenario fast = precise;
    for (MatmulCalibration& c : fast.cluster.chip.calibration.matmul) c.precise_fraction = 1;
    const auto time = [&](const Scenario& s) {
      const StatusOr<StepGraph> graph = LowerStep(s, {.fidelity = Fidelity::kCalibrated});
      EXPECT_TRUE(graph.ok()) << graph.status();
      double seconds = 0;
      for (TaskId t = 0; t < graph->graph.tasks(); ++t) {
        const TaskInfo& task = graph->tasks[static_cast<std::size_t>(t)];
        if (*task.name == name) seconds += graph->graph.duration(t).seconds();
      }
      return seconds;
    };
    return time(precise) / time(fast);
  };
  EXPECT_EQ(slower("mlp_out"), 1);
  EXPECT_GT(slower("mlp_out dx"), 1.05);
  EXPECT_GT(slower("mlp_out dw"), 1.05);
  EXPECT_GT(slower("mlp_out", "block"), 1.05);
}

// Whole gradients leave, and are copied, once a step.
TEST(FrameworkKernels, WholeGradientsAreCopiedOnce) {
  const auto copies = [](const std::string& more) {
    return Simulated(Proto("fsdp: 8 kernels { sharded_copies: 'each' } " + more, 64))
        .Count("gradients copy");
  };
  EXPECT_EQ(copies(""), 4 * copies("accumulate_unsharded: true"));
  EXPECT_EQ(copies("accumulate_unsharded: true"),
            copies("accumulate_unsharded: true overlap_gradients: false"));
}

TEST(FrameworkKernels, HeadsAreRepeated) {
  const Step step = Simulated("data: 8 kernels { repeated_heads: true }");
  const double kv = kTokens * kKvHeads * kHead * kBf16;
  EXPECT_DOUBLE_EQ(step.Bytes("repeat heads"), 2 * kv * (1 + kHeads / kKvHeads));
  EXPECT_DOUBLE_EQ(step.Bytes("sum heads"), 2 * kv * (1 + kHeads / kKvHeads));
  v1::Scenario own = Proto("data: 8 kernels { repeated_heads: true }");
  own.mutable_model()->set_kv_heads(16);
  EXPECT_EQ(Simulated(own).Count("repeat heads"), 0);
}

// torchtitan's option "op": wq, wv, w1 and w2 are kept, wk, wo and w3 run again, attention does
// not.
TEST(FrameworkKernels, EverySecondProductRunsAgain) {
  for (const char* projections : {"joined", "separate"}) {
    const Step step = Simulated(absl::StrCat(
        "data: 8 recompute: 'alternate' kernels { projections: '", projections, "' }"));
    const auto again = [&](const std::string& name) { return step.Flops(name, Pass::kRecompute); };
    EXPECT_DOUBLE_EQ(again("qkv"), 2 * kTokens * kHidden * kKvHeads * kHead);
    EXPECT_DOUBLE_EQ(again("attention_out"), 2 * kTokens * kHidden * kHeads * kHead);
    EXPECT_DOUBLE_EQ(again("mlp_in"), 2 * kTokens * kHidden * kFfn);
    EXPECT_EQ(again("mlp_out"), 0);
    EXPECT_EQ(again("attention"), 0);
  }
  // What is summed over tensor ranks is kept.
  const Step tensor = Simulated("tensor: 8 sequence_parallel: true recompute: 'alternate'");
  EXPECT_EQ(tensor.Flops("attention_out", Pass::kRecompute), 0);
}

// torch/distributed/tensor/experimental/_attention.py: keys and values of all ranks are gathered
// once each way; gradients go round in fp32, once more than there are hops.
TEST(FrameworkKernels, GatheredRing) {
  const auto sent = [](const std::string& plan) {
    const Step step = Simulated("context: 8 context_method: " + plan);
    std::map<std::string, double> bytes;
    for (const TaskInfo& task : step.graph.tasks) {
      if (task.transfer < 0 || task.layer != LayerRef::Layer(0)) continue;
      bytes[*task.name] +=
          step.graph.transfers[static_cast<std::size_t>(task.transfer)].spec.bytes.value();
    }
    return bytes;
  };
  const double kv = 2 * kTokens / 8 * kKvHeads * kHead * kBf16, micro_batches = 8;
  const std::map<std::string, double> gathered = sent("'gathered-ring'"), ring = sent("'ring'");
  EXPECT_DOUBLE_EQ(gathered.at("k, v"), micro_batches * 2 * 8 * kv);
  EXPECT_DOUBLE_EQ(gathered.at("dk, dv"), micro_batches * 8 * kv * kFp32 / kBf16);
  EXPECT_DOUBLE_EQ(ring.at("k, v"), micro_batches * 2 * 7 * kv);
  EXPECT_DOUBLE_EQ(ring.at("dk, dv"), micro_batches * 8 * kv);
  const auto repeated = sent("'gathered-ring' kernels { repeated_heads: true }");
  EXPECT_DOUBLE_EQ(repeated.at("k, v"), kHeads / kKvHeads * gathered.at("k, v"));
  // One rank has everything.
  EXPECT_EQ(Simulated("data: 8 context_method: 'gathered-ring'").seconds,
            Simulated("data: 8").seconds);
}

TEST(FrameworkKernels, ExpandedPlansAreTheSameStep) {
  for (const char* plan :
       {"fsdp: 8 recompute: 'alternate' kernels { gradient_sums: 'separate' projections: "
        "'separate' sharded_copies: 'each' repeated_heads: true elementwise: 'inductor' }",
        "tensor: 8 sequence_parallel: true kernels { tensor_transfers: 'dtensor' }",
        "fsdp: 2 context: 4 context_method: 'gathered-ring' kernels { sharded_copies: 'flat' "
        "repeated_heads: true }"}) {
    const v1::Scenario proto = Proto(plan);
    EXPECT_EQ(Simulated(proto, Fidelity::kCalibrated).seconds,
              Simulated(ExpandScenario(proto, Catalog()), Fidelity::kCalibrated).seconds)
        << plan;
  }
}

TEST(FrameworkKernels, WrongNamesAreReported) {
  Diagnostics diagnostics;
  LoadScenario(Proto("data: 8 context_method: 'gathered' recompute: 'second' kernels { "
                     "gradient_sums: 'two' projections: 'one' sharded_copies: 'fsdp3' "
                     "tensor_transfers: 'own' }"),
               Catalog(), &diagnostics);
  const std::string message(diagnostics.status().message());
  for (const char* part :
       {"plan.context_method: is \"gathered\", expected ring, all-gather, ulysses or gathered-ring",
        "plan.recompute: is \"second\", expected none, selective, matmuls, alternate, full, block "
        "or modules",
        "plan.kernels.gradient_sums: is \"two\", expected fused, separate",
        "plan.kernels.projections: is \"one\", expected joined, separate",
        "plan.kernels.tensor_transfers: is \"own\", expected megatron, dtensor",
        "plan.kernels.sharded_copies: is \"fsdp3\", expected none, flat, each"}) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
  }
}

}  // namespace
}  // namespace meshstep
