// Folding: one unit per class of devices gives the same step as every device and link on its own,
// to the picosecond, on random small clusters and plans.

#include <algorithm>
#include <iterator>
#include <random>
#include <span>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "meshstep/v1/scenario.pb.h"
#include "sim/base/catalog.h"
#include "sim/simulate/simulate.h"
#include "strategies/plan/load_scenario.h"
#include "strategies/step/lower_step.h"
#include "strategies/step/step_graph.h"

namespace meshstep {
namespace {

struct Shape {
  const char* cluster;
  int devices;
};

constexpr Shape kShapes[] = {{"preset: 'tpu-v5p' slice: '4x4x4'", 64},
                             {"preset: 'tpu-v5p' slice: '2x2x4'", 16},
                             {"preset: 'tpu-v5e' slice: '4x4'", 16},
                             {"preset: 'tpu-v5e' slice: '2x8'", 16},
                             {"preset: 'tpu-v6e' slice: '1x16'", 16},
                             {"preset: 'tpu-v7x' slice: '2x2x2'", 16},
                             {"preset: 'dgx-h100' chips: 8", 8},
                             {"preset: 'dgx-h100' chips: 32", 32},
                             {"preset: 'dgx-a100' chips: 16", 16},
                             {"preset: 'dgx-b200' chips: 64", 64},
                             {"preset: 'tpu-v4' slice: '4x4x8' twisted: true", 128},
                             {"preset: 'tpu-v5e' slice: '4x4' slices: 2", 32},
                             {"preset: 'mi300x-node' chips: 8", 8},
                             {"preset: 'gb200-nvl72' chips: 72", 72},
                             {"preset: 'meta-24k-h100' chips: 32", 32}};

// Two chips on a NIC, several NICs on a chip; tiers of one node, of some and of all, tapered or
// not, with rails or without.
constexpr Shape kNetworks[] = {
    {"preset: 'aws-p4d' chips: 16", 16},
    {"preset: 'aws-p4d' chips: 64", 64},
    {"preset: 'gcp-a3-high' chips: 32", 32},
    {"preset: 'dgx-h100' chips: 32 nodes { nics_per_node: 1 }", 32},
    {"preset: 'dgx-h100' chips: 32 nodes { nics_per_node: 16 }", 32},
    {"preset: 'dgx-h100' chips: 32 nodes { tiers { name: 'leaf' nodes: 1 oversubscription: 2 } "
     "tiers { name: 'spine' } }",
     32},
    {"preset: 'dgx-h100' chips: 32 nodes { tiers { name: 'leaf' nodes: 2 oversubscription: 3 } "
     "tiers { name: 'spine' } }",
     32},
    {"preset: 'dgx-h100' chips: 64 nodes { tiers { name: 'leaf' nodes: 1 oversubscription: 2 } "
     "tiers { name: 'pod' nodes: 4 oversubscription: 3 } tiers { name: 'spine' } }",
     64},
    {"preset: 'dgx-h100' chips: 32 nodes { nics_per_node: 4 tiers { name: 'leaf' nodes: 2 "
     "oversubscription: 3 } tiers { name: 'spine' nodes: 4 } }",
     32},
    {"preset: 'dgx-h100' chips: 32 nodes { nics_per_node: 2 tiers { name: 'leaf' nodes: 2 "
     "rails: true } tiers { name: 'spine' } }",
     32},
    {"preset: 'dgx-h100' chips: 32 nodes { nics_per_node: 16 tiers { name: 'leaf' nodes: 2 "
     "rails: true oversubscription: 2 } tiers { name: 'spine' } }",
     32}};

constexpr char kWindows[] = "sliding_window: 300 global_layer_period: 2 ";
constexpr char kNarrow[] =
    "embedding_dim: 256 position_embeddings: 1152 tied_embeddings: true qk_norm: true "
    "qk_norm_all_heads: true ";
constexpr char kRouted[] =
    "moe { experts: 8 experts_per_token: 2 expert_ffn: 96 dense_layers: 1 shared_experts: 1 "
    "shared_expert_ffn: 64 } mtp_layers: 1 mlp_bias: true ";

// Degrees of experts that divide `ranks`, 8 experts and their width of 96.
std::string RandomExperts(int ranks, std::mt19937* random) {
  const auto divisor = [&](int of, int left) {
    int d = 1 + static_cast<int>((*random)() % 8);
    while (of % d != 0 || left % d != 0) --d;
    return d;
  };
  const int expert = divisor(8, ranks), tensor = divisor(96, ranks / expert);
  const char* dispatch[] = {"", "all-to-all", "deepep", "hybridep", "gather", "einsum"};
  const bool capacity = (*random)() % 2 == 0;
  return absl::StrCat(" expert: ", expert, " expert_tensor: ", tensor,
                      capacity ? " capacity_factor: 1.5" : "", " expert_dispatch: '",
                      dispatch[(*random)() % (capacity ? 6 : 5)], "'",
                      (*random)() % 4 == 0 ? " overlap_experts: true" : "");
}

// A random factorisation of n into five degrees.
std::string RandomPlan(int devices, bool routed, std::mt19937* random) {
  int degree[5] = {1, 1, 1, 1, 1};
  const auto pick = [&](int n) { return static_cast<int>((*random)() % static_cast<unsigned>(n)); };
  int left = devices;
  for (int prime = 2; left > 1; ++prime) {
    while (left % prime == 0) {
      left /= prime;
      // Tensor parallelism divides 8 heads; the pipeline has at most 4 stages.
      while (true) {
        const int d = pick(5);
        if (d == 2 && (8 % (degree[2] * prime) != 0)) continue;
        if (d == 3 && degree[3] * prime > 4) continue;
        if (d == 4 && degree[4] * prime > 8) continue;
        degree[d] *= prime;
        break;
      }
    }
  }
  const char* recompute[] = {"none", "selective", "matmuls", "full", "alternate"};
  const char* loss[] = {"fused", "eager", "megatron"};
  const char* sum[] = {"none", "fused", "separate"};
  const char* experts[] = {"grouped", "each", "fused"};
  const int zero = pick(3), policy = pick(5);
  std::string plan = absl::StrCat(
      "data: ", degree[0], " fsdp: ", degree[1], " tensor: ", degree[2], " pipeline: ", degree[3],
      " context: ", degree[4], " sequence_parallel: ", pick(2), " recompute: '", recompute[policy],
      "' zero_stage: ", zero, " prefetch_layers: ", pick(3), " accumulate_unsharded: ", pick(2));
  // Heads that are repeated go round; heads of one product are copied only where there is one.
  const char* methods[] = {"ring", "gathered-ring", "all-gather", "ulysses"};
  const int method = pick(4);
  const bool repeated = method < 2 && pick(2) == 0, apart = pick(2) == 0;
  const int copied = repeated || apart ? 0 : pick(2);
  absl::StrAppend(&plan, " context_method: '", methods[method],
                  "' context_load_balanced: ", pick(2));
  absl::StrAppend(&plan, " kernels { loss: '", loss[pick(3)], "' gradient_accumulation: '",
                  sum[pick(3)], "' unfused_optimizer: ", pick(2), " experts: '", experts[pick(3)],
                  "' eager_expert_bias: ", pick(2), " eager_expert_clamp: ", pick(2),
                  " eager_rotary: ", pick(2));
  const char* biases[] = {"fused", "separate", "but-qkv"};
  const char* passes[] = {"", "'zero'", "'check', 'scale'", "'zero', 'check', 'scale', 'cast'"};
  absl::StrAppend(&plan, " bias_gradients: '", biases[pick(3)], "' gradient_passes: [",
                  passes[pick(4)], "] copied_heads: ", copied,
                  " dense_embedding_gradient: ", pick(2));
  const char* launches[] = {
      "none", "kernels", "pytorch", "megatron-lm", "megatron-deepspeed", "megatron-core"};
  const int host = pick(3) == 0 ? 1 + pick(5) : 0;
  const char* elementwise[] = {"fused", "eager", "inductor"};
  const char* copies[] = {"none", "flat", "each"};
  absl::StrAppend(&plan, " elementwise: '", elementwise[pick(3)], "' launches: '", launches[host],
                  "' gradient_sums: '", pick(2) ? "fused" : "separate", "' projections: '",
                  apart ? "separate" : "joined", "' sharded_copies: '", copies[pick(3)],
                  "' repeated_heads: ", repeated ? 1 : 0, " tensor_transfers: '",
                  pick(2) ? "megatron" : "dtensor", "'");
  if (host > 0 && pick(2) == 0) absl::StrAppend(&plan, " host_dispatch_ns: ", 1 << pick(20));
  if (host > 0 && pick(3) == 0) absl::StrAppend(&plan, " graphs: ['attention', 'mlp']");
  absl::StrAppend(&plan, " }");
  const char* precision[] = {"compute: 'fp8' scaling: 'block'", "compute: 'int8'",
                             "compute: 'int8' gather: 'bf16' parameters: 'fp32'"};
  if (const int p = pick(9); p < 3) absl::StrAppend(&plan, " precision { ", precision[p], " }");
  if (pick(4) == 0) {
    absl::StrAppend(&plan, " offload { activations: 0.5 optimizer: ", pick(2),
                    " parameters: ", pick(2), " }");
  }
  if (pick(4) == 0) absl::StrAppend(&plan, " recompute_layers: ", pick(3));
  absl::StrAppend(&plan, " recompute_drops_unread: ", pick(2));
  if (policy > 0 && pick(3) == 0) {
    const char* kept[] = {"qkv", "attention", "attention_out", "mlp_in", "mlp_out"};
    absl::StrAppend(&plan, " recompute_keep: ['", kept[pick(5)], "', '", kept[pick(5)], "']");
  }
  if (pick(4) == 0) absl::StrAppend(&plan, " gradient_bucket_bytes: ", 1 << pick(24));
  if (pick(4) == 0) absl::StrAppend(&plan, " reductions_in_flight: ", pick(3));
  if (pick(4) == 0) absl::StrAppend(&plan, " async_tensor: true");
  if (pick(4) == 0) absl::StrAppend(&plan, " split_sends: true");
  absl::StrAppend(&plan, " overlap_gradients: ", pick(2), " overlap_parameters: ", pick(2));
  std::string order[] = {"tensor", "context", "fsdp", "data", "pipeline"};
  if (pick(4) == 0) std::shuffle(std::begin(order), std::end(order), *random);
  absl::StrAppend(&plan, " order: '", absl::StrJoin(order, ","), "'");
  const int micro = 1 + pick(2);
  absl::StrAppend(&plan, " micro_batch_sequences: ", micro);
  if (degree[3] > 1) {
    const char* schedules[] = {"1f1b", "gpipe", "interleaved", "zb-h1", "zb-v", "dualpipe"};
    absl::StrAppend(&plan, " schedule: '", schedules[degree[3] % 2 == 0 ? pick(6) : pick(5)], "'");
  }
  const int replicas = degree[0] * degree[1];
  if (routed) absl::StrAppend(&plan, RandomExperts(devices / degree[3], random));
  return absl::StrCat(
      "workload { global_batch_sequences: ", replicas * micro * 4 * (1 + pick(2)) * 3,
      " sequence_length: 1152 } plan { ", plan, " }");
}

StatusOr<Run> RunScenario(const Scenario& scenario, Fidelity fidelity, bool unfolded) {
  ASSIGN_OR_RETURN(SimulatedStep simulated,
                   SimulateStep(scenario, {.fidelity = fidelity, .unfolded = unfolded}));
  return std::move(simulated.run);
}

// Of a random plan on a random cluster; nothing if the plan does not go.
v1::Scenario RandomScenario(std::span<const Shape> shapes, bool routed, std::mt19937* random) {
  const Shape& shape = shapes[(*random)() % shapes.size()];
  const std::string text = absl::StrCat(
      "model { name: 'toy' layers: 8 hidden: 512 heads: 8 kv_heads: 4 ffn: 1152 vocab: 1000 "
      "gated_mlp: true ",
      routed               ? kRouted
      : shape.devices > 16 ? kNarrow
                           : kWindows,
      "} cluster { ", shape.cluster, " } ", RandomPlan(shape.devices, routed, random));
  v1::Scenario proto;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &proto)) << text;
  return proto;
}

// False if the plan does not go (interleaving needs micro-batches in groups of stages).
bool Compare(const v1::Scenario& proto, Fidelity fidelity) {
  Diagnostics diagnostics;
  const Scenario scenario = LoadScenario(proto, Catalog(), &diagnostics);
  if (!diagnostics.ok()) return false;
  const StatusOr<meshstep::Run> folded = RunScenario(scenario, fidelity, false);
  const StatusOr<meshstep::Run> unfolded = RunScenario(scenario, fidelity, true);
  EXPECT_EQ(folded.ok(), unfolded.ok()) << proto.ShortDebugString() << "\n"
                                        << folded.status() << unfolded.status();
  if (!folded.ok() || !unfolded.ok()) return false;
  EXPECT_EQ(folded->makespan.ps(), unfolded->makespan.ps()) << proto.ShortDebugString();
  return true;
}

Fidelity FidelityOf(int round) { return round % 2 == 0 ? Fidelity::kIdeal : Fidelity::kCalibrated; }

TEST(Folding, EqualsEveryDeviceAndLink) {
  std::mt19937 random(7);
  int compared = 0, with_context = 0, with_experts = 0;
  for (int round = 0; round < 220; ++round) {
    const v1::Scenario proto = RandomScenario(kShapes, round >= 140, &random);
    if (!Compare(proto, FidelityOf(round))) continue;
    ++compared;
    with_context += proto.plan().context() > 1;
    with_experts += proto.model().has_moe();
  }
  EXPECT_GE(compared, 60);
  EXPECT_GE(with_context, 20);
  EXPECT_GE(with_experts, 30);
}

TEST(Folding, HoldsOnNetworksOfEveryShape) {
  std::mt19937 random(23);
  int compared = 0;
  for (int round = 0; round < 120; ++round) {
    v1::Scenario proto = RandomScenario(kNetworks, round % 3 == 0, &random);
    std::string order[] = {"tensor", "context", "fsdp", "data", "pipeline"};
    std::shuffle(std::begin(order), std::end(order), random);
    proto.mutable_plan()->set_order(absl::StrJoin(order, ","));
    // What is measured across nodes is what differs between networks.
    compared += Compare(proto, round % 4 == 0 ? Fidelity::kIdeal : Fidelity::kCalibrated);
  }
  EXPECT_GE(compared, 40);
}

TEST(Folding, HoldsForwardOnly) {
  std::mt19937 random(11);
  int compared = 0;
  for (int round = 0; round < 80; ++round) {
    v1::Scenario proto = RandomScenario(kShapes, false, &random);
    proto.mutable_workload()->set_mode(random() % 2 == 0 ? v1::Workload::PREFILL
                                                         : v1::Workload::DECODE);
    v1::Plan* plan = proto.mutable_plan();
    plan->clear_recompute();
    plan->clear_recompute_keep();
    plan->clear_zero_stage();
    plan->clear_accumulate_unsharded();
    plan->clear_schedule();
    plan->clear_virtual_stages();
    plan->clear_overlap_gradients();
    plan->clear_overlap_parameters();
    plan->clear_gradient_bucket_bytes();
    plan->clear_reductions_in_flight();
    compared += Compare(proto, FidelityOf(round));
  }
  EXPECT_GE(compared, 40);
}

v1::Scenario Toy(const std::string& text) {
  v1::Scenario proto;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(
      absl::StrCat("model { name: 'toy' layers: 4 hidden: 512 heads: 8 kv_heads: 4 ffn: 1152 "
                   "vocab: 1000 gated_mlp: true } ",
                   text),
      &proto))
      << text;
  return proto;
}

std::size_t UnitsOf(const v1::Scenario& proto) {
  Diagnostics diagnostics;
  const Scenario scenario = LoadScenario(proto, Catalog(), &diagnostics);
  EXPECT_TRUE(diagnostics.ok()) << diagnostics.status();
  const StatusOr<StepGraph> step = LowerStep(scenario, {});
  EXPECT_TRUE(step.ok()) << step.status();
  std::int64_t devices = 0;
  for (const UnitInfo& unit : step->units) devices += unit.devices;
  EXPECT_EQ(devices, scenario.cluster.devices());
  return step->units.size();
}

// A ring of 8 ranks that takes 2 places of every node looks the same from the first place of all
// nodes, and from the second.
TEST(Folding, RingAcrossNodesIsOneClassPerPlaceInANode) {
  const v1::Scenario proto =
      Toy("cluster { preset: 'dgx-h100' chips: 64 } workload { global_batch_sequences: 8 "
          "sequence_length: 2048 } plan { tensor: 4 context: 8 data: 2 context_method: 'ring' }");
  EXPECT_LE(UnitsOf(proto), 2U);
  for (const Fidelity fidelity : {Fidelity::kIdeal, Fidelity::kCalibrated}) {
    EXPECT_TRUE(Compare(proto, fidelity));
  }
}

// Two axes on each dimension: 64 places, of which those at equal distance from the end of a line
// behave alike.
TEST(Folding, EndsOfALineAreOneClass) {
  const v1::Scenario proto =
      Toy("cluster { preset: 'tpu-v5p' slice: '4x4x4' } workload { global_batch_sequences: 32 "
          "sequence_length: 512 } plan { tensor: 2 fsdp: 8 data: 4 }");
  EXPECT_LE(UnitsOf(proto), 16U);
  for (const Fidelity fidelity : {Fidelity::kIdeal, Fidelity::kCalibrated}) {
    EXPECT_TRUE(Compare(proto, fidelity));
  }
}

// Gradients that leave shards in one order for shards in another are shifted over all devices,
// which loads links unevenly: devices are then told apart as by shifts of activations.
TEST(Folding, TellsApartWhatShiftsOfGradientsDo) {
  v1::Scenario proto;
  const char* text =
      "model { name: 'toy' layers: 2 hidden: 512 heads: 8 ffn: 1152 vocab: 1000 gated_mlp: true "
      "mla { q_lora_rank: 0 kv_lora_rank: 256 qk_nope_head_dim: 32 qk_rope_head_dim: 32 "
      "v_head_dim: 64 } moe { experts: 8 experts_per_token: 2 expert_ffn: 96 } } "
      "cluster { preset: 'tpu-v5p' slice: '4x4x4' } "
      "workload { global_batch_sequences: 16 sequence_length: 2048 } "
      "plan { data: 2 fsdp: 8 tensor: 2 context: 2 expert: 2 zero_stage: 2 "
      "accumulate_unsharded: true context_method: 'ring' recompute: 'matmuls' prefetch_layers: 0 "
      "overlap_parameters: 0 kernels { loss: 'megatron' unfused_optimizer: 1 } }";
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &proto));
  for (const Fidelity fidelity : {Fidelity::kIdeal, Fidelity::kCalibrated}) {
    EXPECT_TRUE(Compare(proto, fidelity));
  }
}

// Two GPUs share a NIC: which protocol is quickest depends on what the other one sends.
TEST(Folding, TellsApartWhatASharedNicDoes) {
  v1::Scenario proto;
  const char* text =
      "model { layers: 2 hidden: 1024 heads: 16 ffn: 2048 vocab: 4096 } "
      "cluster { preset: 'aws-p4d' chips: 64 } "
      "workload { global_batch_sequences: 16 sequence_length: 512 } "
      "plan { tensor: 8 data: 8 micro_batch_sequences: 1 zero_stage: 1 "
      "order: 'fsdp,context,data,tensor,pipeline' }";
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &proto));
  for (const Fidelity fidelity : {Fidelity::kIdeal, Fidelity::kCalibrated}) {
    EXPECT_TRUE(Compare(proto, fidelity));
  }
}

// An all-to-all inside a part of a twisted torus crosses the seam to another part.
TEST(Folding, TellsApartWhatATwistDoes) {
  v1::Scenario proto;
  const char* text =
      "model { name: 'toy' layers: 2 hidden: 512 heads: 8 ffn: 1152 vocab: 1000 gated_mlp: true "
      "moe { experts: 64 experts_per_token: 2 expert_ffn: 96 } } "
      "cluster { preset: 'tpu-v4' slice: '4x4x8' twisted: true } "
      "workload { global_batch_sequences: 128 sequence_length: 1152 } plan { data: 128 expert: 8 }";
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &proto));
  for (const Fidelity fidelity : {Fidelity::kIdeal, Fidelity::kCalibrated}) {
    EXPECT_TRUE(Compare(proto, fidelity));
  }
}

}  // namespace
}  // namespace meshstep
