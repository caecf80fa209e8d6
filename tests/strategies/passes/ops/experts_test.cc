// Routed experts: how their degrees fold onto the ranks of a stage, what dispatch and combine move,
// what each rank stores and reduces, and that FLOPs are those of the model.

#include <cmath>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "meshstep/v1/scenario.pb.h"
#include "sim/base/catalog.h"
#include "sim/cost/collective_model.h"
#include "sim/simulate/simulate.h"
#include "strategies/block/block_context.h"
#include "strategies/passes/lower_block.h"
#include "strategies/plan/load_scenario.h"
#include "strategies/step/lower_step.h"
#include "strategies/step/step_graph.h"
#include "tests/strategies/scenario_fixtures.h"
#include "topologies/build_fabric.h"
#include "topologies/tiers.h"

namespace meshstep {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

// A routed layer without biases, so that parameters are products.
constexpr double kHidden = 1024, kExperts = 8, kTopK = 2, kWidth = 512, kSequence = 512;
constexpr double kExpertParameters = kExperts * 2 * kHidden * kWidth;
constexpr double kDenseParameters = 4 * kHidden * kHidden + kExperts * kHidden + 2 * kHidden;
constexpr char kToy[] =
    "name: 'routed' layers: 2 hidden: 1024 heads: 16 vocab: 4096 moe { experts: 8 "
    "experts_per_token: 2 expert_ffn: 512 }";

Scenario Load(const std::string& model, int devices, const std::string& plan) {
  return meshstep::Load(OnDgx(model, devices, plan));
}

std::string Problem(const std::string& model, int devices, const std::string& plan) {
  const v1::Scenario proto = OnDgx(model, devices, plan);
  Diagnostics diagnostics;
  LoadScenario(proto, Catalog(), &diagnostics);
  EXPECT_FALSE(diagnostics.ok()) << plan;
  return std::string(diagnostics.status().message());
}

struct Lowered {
  Scenario scenario;
  TransferTable transfers;
  LoweredBlock layer;
};

Lowered LowerLayer(int devices, const std::string& plan, const std::string& model = kToy) {
  Lowered out{.scenario = Load(model, devices, plan + " micro_batch_sequences: 2"),
              .transfers = {},
              .layer = {}};
  const Scenario& s = out.scenario;
  const ComputeModel compute(s.cluster.chip, RateSet::kDatasheet, Fidelity::kIdeal);
  const BlockContext context{&s.model, &s.plan, &s.workload, &compute, &out.transfers};
  StatusOr<LoweredBlock> layer = LowerBlock(BuildTransformer(s.model, {}).kinds[0], context);
  EXPECT_TRUE(layer.ok()) << plan << ": " << layer.status();
  if (layer.ok()) out.layer = *std::move(layer);
  return out;
}

// Total bytes by collective and names of axes.
std::map<std::string, double> Volumes(const Lowered& l, const std::vector<int>& ids) {
  std::map<std::string, double> volumes;
  for (const int id : ids) {
    const TransferSpec& spec = l.transfers[id];
    volumes[absl::StrCat(std::string(NameOf(spec.collective)), " ",
                         absl::StrJoin(AxisNames(l.scenario.plan, spec.axes, spec.experts),
                                       "+"))] += spec.bytes.value();
  }
  return volumes;
}

std::vector<int> Of(const BlockPass& pass) {
  std::vector<int> ids;
  for (const BlockStep& step : pass.steps) {
    if (step.transfer >= 0) ids.push_back(step.transfer);
  }
  return ids;
}

double FlopsOf(const BlockPass& pass) {
  double flops = 0;
  for (const BlockStep& step : pass.steps) flops += step.flops.value();
  return flops;
}

Time DurationOf(const BlockPass& pass, const std::string& name) {
  Time time;
  for (const BlockStep& step : pass.steps) {
    if (step.name == name) time += step.duration;
  }
  return time;
}

using V = std::map<std::string, double>;

std::vector<AxisId> ShardsOf(const Plan& plan, const char* dim) {
  return Apply(plan.rules.experts, {dim}).dims.front().axes;
}

TEST(ExpertFolding, AxesAreDividedWhereDegreesEnd) {
  const Plan plan = Load("preset: 'deepseek-v3'", 128, "tensor: 8 data: 16 expert: 64").plan;
  ASSERT_EQ(plan.axes.size(), 3);
  EXPECT_EQ(plan.axes[0].name, "tensor");
  EXPECT_EQ(plan.axes[1].size, 8);
  EXPECT_EQ(plan.axes[2].size, 2);
  EXPECT_EQ(plan.axes[1].part_of, "data");
  EXPECT_EQ(plan.axes[2].part_of, "data");
  EXPECT_THAT(ShardsOf(plan, "E"), ElementsAre(1, 0));
  EXPECT_THAT(ShardsOf(plan, "B"), ElementsAre(2, 1, 0));
  EXPECT_THAT(Apply(plan.rules.compute, {"B"}).dims.front().axes, ElementsAre(2, 1));
  EXPECT_THAT(Degrees(plan), ElementsAre(Pair("tensor", 8), Pair("data", 16), Pair("expert", 64)));
  const AxisId all[] = {2, 1, 0};
  EXPECT_THAT(AxisNames(plan, all, true), ElementsAre("expert-data", "expert"));
  EXPECT_THAT(AxisNames(plan, all, false), ElementsAre("data", "tensor"));
}

TEST(ExpertFolding, WholeAxesStayWhole) {
  const Plan plan = Load(kToy, 32, "tensor: 4 data: 8 expert: 4").plan;
  EXPECT_THAT(Degrees(plan), ElementsAre(Pair("tensor", 4), Pair("data", 8), Pair("expert", 4)));
  ASSERT_EQ(plan.axes.size(), 2);
  EXPECT_TRUE(plan.axes[0].part_of.empty() && plan.axes[1].part_of.empty());
}

// Megatron Core (arXiv 2504.14960; core/parallel_state.py, order "tp-cp-ep-dp-pp" of the expert
// ranks): of the ranks of a stage, rank r has the coordinates r mod etp, r / etp mod ep and
// r / (etp ep), whatever tensor and data are.
TEST(ExpertFolding, IsMegatronsRankOrder) {
  struct Case {
    int tensor, fsdp, data, etp, ep;
  };
  for (const Case& c : {Case{8, 1, 4, 1, 8}, Case{4, 1, 8, 1, 8}, Case{2, 2, 8, 4, 4},
                        Case{8, 4, 1, 2, 8}, Case{1, 8, 4, 2, 2}, Case{2, 4, 4, 1, 2}}) {
    const std::string text =
        absl::StrCat("tensor: ", c.tensor, " fsdp: ", c.fsdp, " data: ", c.data,
                     " pipeline: 2 expert: ", c.ep, " expert_tensor: ", c.etp);
    const Scenario s = Load(kToy, 64, text);
    const std::unique_ptr<Fabric> fabric =
        BuildFabric(FitTiers(s.cluster, s.plan.axes), RateSet::kDatasheet, Fidelity::kIdeal);
    const StatusOr<Mesh> mesh = Mesh::Place(*fabric, s.plan.axes);
    ASSERT_TRUE(mesh.ok()) << mesh.status();
    for (const DeviceId d : {0, 5, 31, 40, 63}) {
      std::vector<DeviceId> expected;
      for (int i = 0; i < c.ep; ++i) {
        expected.push_back(d + (i - d / c.etp % c.ep) * c.etp);
      }
      EXPECT_EQ(mesh->GroupOf(ShardsOf(s.plan, "E"), d).members, expected) << text << " " << d;
      const int inside = c.etp * c.ep, stage = 32;
      expected.clear();
      for (int i = 0; i < stage / inside; ++i) {
        expected.push_back(d / stage * stage + d % inside + i * inside);
      }
      std::vector<AxisId> rest = ShardsOf(s.plan, "B");
      std::erase_if(rest, [&](AxisId a) {
        const auto e = ShardsOf(s.plan, "E");
        return std::find(e.begin(), e.end(), a) != e.end();
      });
      EXPECT_EQ(mesh->GroupOf(rest, d).members, expected) << text << " " << d;
    }
  }
}

// torchtitan (config/configs.py): dp_shard · cp · tp = efsdp · ep; an expert's parameters are
// stored over the efsdp ranks that have it.
TEST(ExpertFolding, StoresAsTorchtitanDoes) {
  for (const auto& [plan, ep] :
       {std::pair{"fsdp: 8 tensor: 4 expert: 8", 8}, std::pair{"fsdp: 32 expert: 4", 4},
        std::pair{"fsdp: 16 tensor: 2 expert: 2", 2}}) {
    const Lowered l = LowerLayer(32, plan);
    const double efsdp = 32.0 / ep;
    const double shard = kExpertParameters / ep / efsdp;
    EXPECT_DOUBLE_EQ(shard * 32, kExpertParameters);
    const V gathers = Volumes(l, l.layer.gathers);
    EXPECT_EQ(gathers.at("all-gather expert-data"), 2 * kExpertParameters / ep) << plan;
    EXPECT_GT(l.layer.parameters, shard) << plan;
    EXPECT_LE(l.layer.parameters, shard + kDenseParameters / 8) << plan;
  }
}

// n tokens of a rank make n · k copies of D elements; an all-to-all keeps 1/ep of them.
TEST(ExpertDispatch, MovesCopiesOfTokens) {
  for (const int ep : {2, 4, 8}) {
    for (const char* sequence : {"", " sequence_parallel: true"}) {
      for (const int tensor : {1, 4}) {
        const Lowered l = LowerLayer(32, absl::StrCat("data: ", 32 / tensor, " tensor: ", tensor,
                                                      " expert: ", ep, sequence));
        const double copies = 2 * kSequence / tensor * kTopK * kHidden * 2;  // bytes, bf16
        EXPECT_EQ(Volumes(l, Of(l.layer.forward)).at("all-to-all expert"), 2 * copies) << ep;
        EXPECT_EQ(Volumes(l, Of(l.layer.backward)).at("all-to-all expert"), 2 * copies) << ep;
      }
    }
  }
}

TEST(ExpertDispatch, SendsAllButItsOwnShare) {
  const int ep = 8;
  Scenario s = Load(kToy, 8, "data: 8 expert: 8 micro_batch_sequences: 2");
  const StatusOr<StepGraph> step = LowerStep(s, {Fidelity::kIdeal, false});
  ASSERT_TRUE(step.ok()) << step.status();
  int found = 0;
  for (const StepTransfer& t : step->transfers) {
    if (t.spec.collective != Collective::kAllToAll) continue;
    ++found;
    EXPECT_THAT(t.axes, ElementsAre("expert"));
    EXPECT_DOUBLE_EQ(t.sent_bytes_per_device, 2 * kSequence * kTopK * kHidden * 2 * (ep - 1) / ep);
  }
  EXPECT_EQ(found, 1);
}

// arXiv 2412.19437 §3.2.2: a token's 8 experts are on at most 4 of the 8 nodes; it crosses to each
// node once, and is copied there to each rank once.
TEST(ExpertDispatch, CopiesAreJoinedOnTheirWay) {
  const Scenario s = Load("preset: 'deepseek-v3' layers: 4", 64,
                          "data: 64 expert: 64 micro_batch_sequences: 1 collectives { collective: "
                          "'all-to-all' axis: 'expert' algorithm: 'hierarchical' }");
  const StatusOr<StepGraph> step = LowerStep(s, {Fidelity::kIdeal, false});
  ASSERT_TRUE(step.ok()) << step.status();
  const double token = kSequence * 7168 * 2;
  const double nodes = 4 * (1 - std::pow(3.0 / 4, 8)), ranks = 32 * (1 - std::pow(31.0 / 32, 8));
  int found = 0;
  for (const StepTransfer& t : step->transfers) {
    if (t.spec.collective != Collective::kAllToAll) continue;
    ++found;
    EXPECT_EQ(t.algorithm, "hierarchical");
    EXPECT_NEAR(t.sent_bytes_per_device, token * (ranks + nodes) * 7 / 8, 1);
  }
  EXPECT_EQ(found, 1);
}

TEST(ExpertDispatch, JoinedShares) {
  EXPECT_EQ(JoinedShare({}, 8), 1);
  EXPECT_EQ(JoinedShare({.copies = 8}, 1), 1.0 / 8);
  EXPECT_NEAR(JoinedShare({.copies = 8}, 1e9), 1, 1e-6);  // no two on a node
  // 4 of 8 groups on 2 nodes are on both.
  const Copies limited{.copies = 8, .groups = 8, .groups_of_item = 4};
  EXPECT_DOUBLE_EQ(JoinedShare(limited, 2), 2 * (1 - std::pow(0.5, 8)) / 8);
  EXPECT_DOUBLE_EQ(JoinedShare(limited, 8), 4 * (1 - std::pow(0.75, 8)) / 8);
}

// DeepEP's normal kernels on H800 (deepseek-ai/DeepEP, docs/legacy.md at dd758ca): 4096 tokens of
// 7168 in fp8, 8 experts in 4 of 8 groups, over 32 and 64 ranks, where the network is the
// bottleneck. Its bandwidth counts a token once for every node that it goes to, its own included.
// Over 16 ranks NVLink is the bottleneck here; DeepEP's kernels do not fill it (43 GB/s measured,
// 69 predicted).
TEST(ExpertDispatch, IsNearDeepEp) {
  const Copies copies{.copies = 8, .groups = 8, .groups_of_item = 4};
  for (const auto& [ranks, measured] : {std::pair{32, 58e9}, {64, 51e9}}) {
    v1::Scenario proto;
    const std::string text = absl::StrCat(
        "model { ", kToy, " } cluster { preset: 'hgx-h800-deepseek' chips: ", ranks,
        " } workload { global_batch_sequences: 64 sequence_length: 512 } plan { data: ", ranks,
        " }");
    proto = ParseScenario(text);
    Diagnostics diagnostics;
    const Scenario s = LoadScenario(proto, Catalog(), &diagnostics);
    ASSERT_TRUE(diagnostics.ok()) << diagnostics.status();
    const std::unique_ptr<Fabric> fabric =
        BuildFabric(FitTiers(s.cluster, s.plan.axes), RateSet::kDatasheet, Fidelity::kCalibrated);
    const StatusOr<Mesh> mesh = Mesh::Place(*fabric, s.plan.axes);
    ASSERT_TRUE(mesh.ok()) << mesh.status();
    const CollectiveModel model(*mesh, nullptr, Fidelity::kCalibrated);
    const AxisId axis[] = {0};
    const double token_bytes = 4096 * 7168;
    const StatusOr<CollectiveCost> cost =
        model.Cost(Collective::kAllToAll, Bytes(8 * token_bytes), axis, 0, "hierarchical", copies);
    ASSERT_TRUE(cost.ok()) << cost.status();
    const double nodes = 8 * JoinedShare(copies, ranks / 8.0);
    EXPECT_NEAR(token_bytes * nodes / cost->idle_time.value() / measured, 1, 0.2) << ranks;
  }
}

// Latent attention: heads over tensor; what all heads share is made from each rank's own positions
// and gathered narrow: compressed queries, keys and values, and the rotary key.
TEST(LatentAttention, GathersWhatIsCompressed) {
  constexpr char kMla[] =
      " mla { q_lora_rank: 256 kv_lora_rank: 128 qk_nope_head_dim: 64 qk_rope_head_dim: 32 "
      "v_head_dim: 48 }";
  const Lowered l = LowerLayer(32, "data: 8 tensor: 4 sequence_parallel: true expert: 8",
                               std::string(kToy) + kMla);
  const double tokens = 2 * kSequence;
  const V forward = Volumes(l, Of(l.layer.forward));
  EXPECT_EQ(forward.at("all-gather tensor"), tokens * (256 + 128 + 32) * 2);
  EXPECT_EQ(forward.at("reduce-scatter tensor"), tokens * kHidden * 2);
  // arXiv 2405.04434 §2.1: scores of 64 + 32, values of 48, half the square; 4 heads of 16.
  double attention = 0;
  for (const BlockStep& step : l.layer.forward.steps) {
    if (step.name == "attention") attention += step.flops.value();
  }
  EXPECT_DOUBLE_EQ(attention, 2 * tokens * 4 * kSequence * (64 + 32 + 48) / 2);
  const V backward = Volumes(l, Of(l.layer.backward));
  // Compressed ones again for the weights' gradients, and the gradient of the attention's output.
  EXPECT_EQ(backward.at("all-gather tensor"), tokens * (256 + 128 + kHidden) * 2);
  // Their gradients are sums over heads.
  EXPECT_EQ(backward.at("reduce-scatter tensor"), tokens * (256 + 128 + 32) * 2);
}

TEST(ExpertDispatch, OneExpertRankMovesNothing) {
  const Lowered a = LowerLayer(8, "data: 8"), b = LowerLayer(8, "data: 8 expert: 1");
  EXPECT_TRUE(Of(a.layer.forward).empty());
  EXPECT_TRUE(Of(a.layer.backward).empty());
  EXPECT_EQ(a.layer.forward.steps.size(), b.layer.forward.steps.size());
  EXPECT_EQ(a.layer.kept_bytes, b.layer.kept_bytes);
  EXPECT_EQ(a.layer.parameters, kExpertParameters + kDenseParameters);
}

// Without sequence parallelism every rank of `tensor` has all tokens: it routes its share of them,
// and what comes back is gathered.
TEST(ExpertDispatch, ReplicatedTokensAreSlicedAndGathered) {
  const Lowered l = LowerLayer(32, "data: 4 tensor: 8 expert: 8");
  const double stream = 2 * kSequence * kHidden * 2;
  const V forward = Volumes(l, Of(l.layer.forward));
  EXPECT_EQ(forward.at("all-gather tensor"), stream);
  EXPECT_EQ(forward.at("all-reduce tensor"), stream);  // attention
}

// Ranks that share an expert gather its tokens and reduce-scatter its results (Megatron Core's
// all-to-all dispatcher with expert tensor parallelism).
TEST(ExpertTensor, GathersTokensAndSumsResults) {
  const Lowered l = LowerLayer(32, "data: 32 expert: 4 expert_tensor: 2");
  const double copies = 2 * kSequence * kTopK * kHidden * 2;
  const V forward = Volumes(l, Of(l.layer.forward));
  EXPECT_EQ(forward.at("all-to-all expert"), 2 * copies);
  EXPECT_EQ(forward.at("all-gather expert-tensor"), 2 * copies);
  EXPECT_EQ(forward.at("reduce-scatter expert-tensor"), 2 * copies);
  EXPECT_EQ(l.layer.parameters, kExpertParameters / 8 + kDenseParameters);
}

// megatron/core/transformer/moe/token_dispatcher.py gathers before the experts, and in backward the
// gradients of what it scatters after them; what was gathered stays for the gradients of weights.
TEST(ExpertTensor, MegatronGathersTwiceALayer) {
  const std::string plan = "data: 32 expert: 4 expert_tensor: 2";
  const double gather = 2 * 2 * kSequence * kTopK * kHidden * 2;
  const auto gathers = [](const Lowered& l) {
    return Volumes(l, Of(l.layer.forward)).at("all-gather expert-tensor") +
           Volumes(l, Of(l.layer.backward)).at("all-gather expert-tensor");
  };
  EXPECT_EQ(gathers(LowerLayer(32, plan)), 3 * gather);
  for (const char* dispatch : {"all-to-all", "deepep", "hybridep"}) {
    EXPECT_EQ(gathers(LowerLayer(32, plan + " expert_dispatch: '" + dispatch + "'")), 2 * gather)
        << dispatch;
  }
}

TEST(ExpertParameters, GradientsReduceOverExpertData) {
  const Lowered l = LowerLayer(32, "data: 32 expert: 4");
  EXPECT_EQ(Volumes(l, l.layer.last_reduces),
            (V{{"all-reduce data", 4 * kDenseParameters},
               {"all-reduce expert-data", 4 * kExpertParameters / 4}}));
  EXPECT_EQ(l.layer.parameters, kExpertParameters / 4 + kDenseParameters);
  // All ranks of one expert group hold all experts once.
  EXPECT_EQ((l.layer.parameters - kDenseParameters) * 4, kExpertParameters);
  const Lowered whole = LowerLayer(8, "data: 8 expert: 8");
  EXPECT_EQ(Volumes(whole, whole.layer.last_reduces),
            (V{{"all-reduce data", 4 * kDenseParameters}}));
}

// ZeRO-1: state of experts over the expert-data ranks (arXiv 1910.02054 §5 in their groups).
TEST(ExpertParameters, StateShardsOverExpertData) {
  const Lowered l = LowerLayer(32, "data: 32 expert: 4 zero_stage: 1");
  EXPECT_EQ(l.layer.optimizer, kExpertParameters / 32 + kDenseParameters / 32);
  EXPECT_EQ(Volumes(l, l.layer.last_reduces).at("reduce-scatter expert-data"),
            4 * kExpertParameters / 4);
  EXPECT_EQ(Volumes(l, l.layer.regathers).at("all-gather expert-data"), 2 * kExpertParameters / 4);
}

TEST(ExpertLoad, ImbalanceIsTheBusiestRank) {
  const Lowered even = LowerLayer(8, "data: 8 expert: 8");
  const Lowered busy = LowerLayer(8, "data: 8 expert: 8 expert_imbalance: 2");
  EXPECT_EQ(FlopsOf(busy.layer.forward), FlopsOf(even.layer.forward));
  EXPECT_EQ(FlopsOf(busy.layer.backward), FlopsOf(even.layer.backward));
  EXPECT_GT(DurationOf(busy.layer.forward, "experts_in").ps(),
            1.5 * static_cast<double>(DurationOf(even.layer.forward, "experts_in").ps()));
  EXPECT_EQ(DurationOf(busy.layer.forward, "qkv"), DurationOf(even.layer.forward, "qkv"));
  EXPECT_EQ(Volumes(busy, Of(busy.layer.forward)).at("all-to-all expert"),
            2 * Volumes(even, Of(even.layer.forward)).at("all-to-all expert"));
  EXPECT_GT(busy.layer.kept_bytes, even.layer.kept_bytes);
}

// GShard, arXiv 2006.16668 §2.2: an expert takes capacity_factor times its mean, full or not.
TEST(ExpertLoad, CapacityIsPaddedAndComputed) {
  const Lowered even = LowerLayer(8, "data: 8 expert: 8");
  const Lowered padded = LowerLayer(8, "data: 8 expert: 8 capacity_factor: 1.5");
  const double tokens = 2 * kSequence;
  EXPECT_DOUBLE_EQ(FlopsOf(padded.layer.forward) - FlopsOf(even.layer.forward),
                   0.5 * tokens * kTopK * 2 * 2 * kHidden * kWidth);
  EXPECT_EQ(Volumes(padded, Of(padded.layer.forward)).at("all-to-all expert"),
            1.5 * Volumes(even, Of(even.layer.forward)).at("all-to-all expert"));
}

TEST(ExpertPlan, ExpansionIsTheSameStep) {
  for (const char* plan :
       {"tensor: 2 data: 16 expert: 8", "fsdp: 8 data: 4 expert: 4",
        "fsdp: 4 tensor: 4 pipeline: 2 expert: 8 sequence_parallel: true "
        "expert_imbalance: 1.5 micro_batch_sequences: 1",
        "data: 32 expert: 4 expert_tensor: 2 zero_stage: 2 capacity_factor: 1.25", "data: 32"}) {
    v1::Scenario proto;
    const std::string text =
        absl::StrCat("model { ", kToy,
                     " } cluster { preset: 'dgx-h100' chips: 32 } workload { "
                     "global_batch_sequences: 64 sequence_length: 512 } plan { ",
                     plan, " }");
    proto = ParseScenario(text);
    std::vector<std::int64_t> times;
    for (const v1::Scenario& message : {proto, ExpandScenario(proto, Catalog())}) {
      const StatusOr<SimulatedStep> simulated =
          SimulateStep(message, {.fidelity = Fidelity::kIdeal});
      ASSERT_TRUE(simulated.ok()) << plan << simulated.status();
      times.push_back(simulated->run.makespan.ps());
      EXPECT_EQ(simulated->step.resident.size(), simulated->step.units.size());
    }
    EXPECT_EQ(times[0], times[1]) << plan;
  }
}

TEST(ExpertPlan, SaysWhatDoesNotFit) {
  const std::string toy = kToy, dense = "preset: 'llama-3-8b'";
  EXPECT_THAT(Problem(dense, 8, "data: 8 expert: 8"), HasSubstr("plan.expert: is 8, but llama-3-8b "
                                                                "has no routed experts"));
  EXPECT_THAT(Problem(dense, 8, "data: 8 capacity_factor: 1.5"),
              HasSubstr("plan.capacity_factor: is 1.5, but llama-3-8b has no routed experts"));
  EXPECT_THAT(Problem(toy, 16, "data: 16 expert: 16"),
              HasSubstr("plan.expert: is 16, which does not divide the 8 experts of routed"));
  EXPECT_THAT(Problem(toy, 24, "data: 24 expert: 8 expert_tensor: 3"),
              HasSubstr("plan.expert_tensor: is 3, which does not divide the 512"));
  EXPECT_THAT(Problem(toy, 16, "data: 16 expert: 8 expert_tensor: 4"),
              HasSubstr("whose product 32 does not divide the 16 ranks of a pipeline stage"));
  EXPECT_THAT(Problem("preset: 'deepseek-v2'", 24, "tensor: 2 data: 12 expert: 3"),
              HasSubstr("does not fold onto the ranks of a pipeline stage (tensor 2 × data 12"));
  EXPECT_THAT(Problem(toy, 8, "data: 8 expert: 8 expert_imbalance: 9"),
              HasSubstr("plan.expert_imbalance: is 9, expected 1 to 8"));
  EXPECT_THAT(Problem(toy, 8, "data: 8 expert: 8 expert_imbalance: 2 capacity_factor: 1"),
              HasSubstr("plan.expert_imbalance: is 2 beside capacity_factor"));
  EXPECT_THAT(Problem(toy, 8, "data: 8 expert: 8 capacity_factor: 5"),
              HasSubstr("plan.capacity_factor: is 5, expected above 0 and at most 4"));
  EXPECT_THAT(Problem(toy, 8, "mesh { axes { name: 'a' size: 8 } } expert: 8"),
              HasSubstr("plan.expert: is set beside mesh"));
}

}  // namespace
}  // namespace meshstep
