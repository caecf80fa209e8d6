// What each parallelism does to a layer: shards × degree = whole, communication volumes as in its
// paper, an axis of size 1 changes nothing, activations as Korthikanti et al. count them.

#include "strategies/passes/lower_block.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "meshstep/v1/scenario.pb.h"
#include "sim/base/catalog.h"
#include "strategies/block/block_context.h"
#include "strategies/block/lowered_block.h"
#include "strategies/plan/load_scenario.h"
#include "tests/strategies/scenario_fixtures.h"

namespace meshstep {
namespace {

// GPT-like: 4 D wide plain MLP, LayerNorm, no biases, so that the papers' formulas hold exactly.
constexpr double kHidden = 1024, kHeads = 16, kFfn = 4096, kSequence = 512, kMicro = 2;
constexpr double kTokens = kMicro * kSequence;
constexpr double kLayerParameters = 4 * kHidden * kHidden + 2 * kHidden * kFfn;  // matrices
constexpr double kNormParameters = 2 * 2 * kHidden;

struct Lowered {
  Scenario scenario;
  TransferTable transfers;
  LoweredBlock layer;
};

Lowered Lower(int devices, const std::string& plan) {
  const std::string text = absl::StrCat(
      "model { name: 'gpt' layers: 2 hidden: 1024 heads: 16 ffn: 4096 vocab: 4096 norm_bias: true "
      "position_embeddings: 512 } cluster { preset: 'dgx-h100' chips: ",
      devices, " } workload { global_batch_sequences: 128 sequence_length: 512 } plan { ", plan,
      " micro_batch_sequences: 2 }");
  const v1::Scenario proto = ParseScenario(text);
  Diagnostics diagnostics;
  Lowered out{
      .scenario = LoadScenario(proto, Catalog(), &diagnostics), .transfers = {}, .layer = {}};
  EXPECT_TRUE(diagnostics.ok()) << diagnostics.status();
  const Scenario& s = out.scenario;
  const ComputeModel compute(s.cluster.chip, RateSet::kDatasheet, Fidelity::kIdeal);
  const BlockContext context{&s.model, &s.plan, &s.workload, &compute, &out.transfers};
  const Transformer t = BuildTransformer(
      s.model, {.unfused_attention = s.plan.unfused_attention, .dropout = s.plan.dropout});
  StatusOr<LoweredBlock> layer = LowerBlock(t.kinds[0], context);
  EXPECT_TRUE(layer.ok()) << layer.status();
  if (layer.ok()) out.layer = *std::move(layer);
  return out;
}

// Total bytes by (collective, axes) of the transfers in `ids`.
std::map<std::string, double> Volumes(const Lowered& l, const std::vector<int>& ids) {
  std::map<std::string, double> volumes;
  for (const int id : ids) {
    std::string key(NameOf(l.transfers[id].collective));
    for (const AxisId a : l.transfers[id].axes) {
      absl::StrAppend(&key, " ", l.scenario.plan.axes[static_cast<std::size_t>(a)].name);
    }
    volumes[key] += l.transfers[id].bytes.value();
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

using V = std::map<std::string, double>;

TEST(LoweredBlock, OneDeviceCommunicatesNothing) {
  const Lowered l = Lower(1, "");
  EXPECT_EQ(l.transfers.size(), 0);
  EXPECT_EQ(l.layer.parameters, kLayerParameters + kNormParameters);
  EXPECT_EQ(l.layer.gathered_parameters, 0);
}

TEST(LoweredBlock, DataParallelReducesGradientsOnce) {
  const Lowered l = Lower(8, "data: 8");
  EXPECT_TRUE(Of(l.layer.forward).empty());
  EXPECT_TRUE(Of(l.layer.backward).empty());
  EXPECT_TRUE(l.layer.reduces.empty());
  // fp32 gradients of all parameters.
  EXPECT_EQ(Volumes(l, l.layer.last_reduces),
            (V{{"all-reduce data", 4 * (kLayerParameters + kNormParameters)}}));
}

TEST(LoweredBlock, ZeroOneScattersGradientsAndGathersParameters) {
  const Lowered l = Lower(8, "data: 8 zero_stage: 1");
  const double parameters = kLayerParameters + kNormParameters;
  EXPECT_EQ(l.layer.parameters, parameters);
  EXPECT_EQ(l.layer.gradients, parameters);
  EXPECT_EQ(l.layer.optimizer, parameters / 8);
  EXPECT_EQ(Volumes(l, l.layer.last_reduces), (V{{"reduce-scatter data", 4 * parameters}}));
  EXPECT_EQ(Volumes(l, l.layer.regathers), (V{{"all-gather data", 2 * parameters}}));
  EXPECT_EQ(Lower(8, "data: 8 zero_stage: 2").layer.gradients, parameters / 8);
}

TEST(LoweredBlock, FsdpGathersAndScattersInEveryMicroBatch) {
  const Lowered l = Lower(8, "fsdp: 8");
  const double parameters = kLayerParameters + kNormParameters;
  EXPECT_EQ(l.layer.parameters * 8, parameters);
  EXPECT_EQ(l.layer.optimizer * 8, parameters);
  EXPECT_EQ(l.layer.gathered_parameters, parameters);
  EXPECT_EQ(Volumes(l, l.layer.gathers), (V{{"all-gather fsdp", 2 * parameters}}));
  EXPECT_EQ(Volumes(l, l.layer.reduces), (V{{"reduce-scatter fsdp", 4 * parameters}}));
  EXPECT_TRUE(l.layer.last_reduces.empty());
  const Lowered once = Lower(8, "fsdp: 8 accumulate_unsharded: true");
  EXPECT_TRUE(once.layer.reduces.empty());
  EXPECT_EQ(Volumes(once, once.layer.last_reduces), (V{{"reduce-scatter fsdp", 4 * parameters}}));
}

TEST(LoweredBlock, ZeroThreeIsFsdp) {
  const Lowered a = Lower(8, "data: 8 zero_stage: 3"), b = Lower(8, "fsdp: 8");
  EXPECT_EQ(Volumes(a, a.layer.gathers), Volumes(b, b.layer.gathers));
  EXPECT_EQ(Volumes(a, a.layer.reduces), Volumes(b, b.layer.reduces));
}

// HSDP: reduce-scatter inside, then all-reduce of the shards outside.
// What `meshstep show scenario` prints says all that the degrees said.
TEST(Expansion, IsTheSamePlan) {
  for (const char* plan :
       {"data: 8", "data: 8 zero_stage: 1", "data: 8 zero_stage: 2", "data: 8 zero_stage: 3",
        "data: 2 fsdp: 4 zero_stage: 2", "data: 2 fsdp: 2 tensor: 2 sequence_parallel: true",
        "tensor: 8 rules { dimension: 'D' axes: 'tensor' of: PARAMETERS }"}) {
    v1::Scenario proto;
    const std::string text = absl::StrCat(
        "model { preset: 'llama-3-8b' } cluster { preset: 'dgx-h100' chips: 8 } workload { "
        "global_batch_sequences: 8 sequence_length: 512 } plan { ",
        plan, " }");
    proto = ParseScenario(text);
    const auto layer = [](const v1::Scenario& message) {
      Diagnostics diagnostics;
      const Scenario scenario = LoadScenario(message, Catalog(), &diagnostics);
      EXPECT_TRUE(diagnostics.ok()) << diagnostics.status();
      const ComputeModel compute(scenario.cluster.chip, RateSet::kDatasheet, Fidelity::kIdeal);
      TransferTable transfers;
      const BlockContext context{&scenario.model, &scenario.plan, &scenario.workload, &compute,
                                 &transfers};
      StatusOr<LoweredBlock> lowered =
          LowerBlock(BuildTransformer(scenario.model, {}).kinds[0], context);
      EXPECT_TRUE(lowered.ok()) << lowered.status();
      return lowered.ok() ? *std::move(lowered) : LoweredBlock();
    };
    const LoweredBlock a = layer(proto), b = layer(ExpandScenario(proto, Catalog()));
    EXPECT_EQ(a.parameters, b.parameters) << plan;
    EXPECT_EQ(a.gradients, b.gradients) << plan;
    EXPECT_EQ(a.optimizer, b.optimizer) << plan;
  }
}

TEST(LoweredBlock, HybridShardsInsideAndReplicatesOutside) {
  const Lowered l = Lower(16, "data: 2 fsdp: 8");
  const double parameters = kLayerParameters + kNormParameters;
  EXPECT_EQ(Volumes(l, l.layer.reduces), (V{{"reduce-scatter fsdp", 4 * parameters}}));
  EXPECT_EQ(Volumes(l, l.layer.last_reduces), (V{{"all-reduce data", 4 * parameters / 8}}));
}

// arXiv 1909.08053 §3: one all-reduce of b s h after each of attention and MLP, forward and
// backward.
TEST(LoweredBlock, TensorParallelAllReduces) {
  const Lowered l = Lower(8, "tensor: 8");
  const double stream = 2 * kTokens * kHidden;
  EXPECT_EQ(Volumes(l, Of(l.layer.forward)), (V{{"all-reduce tensor", 2 * stream}}));
  EXPECT_EQ(Volumes(l, Of(l.layer.backward)), (V{{"all-reduce tensor", 2 * stream}}));
  EXPECT_EQ(l.layer.parameters, kLayerParameters / 8 + kNormParameters);
  EXPECT_TRUE(l.layer.last_reduces.empty());
}

// arXiv 2205.05198 §4.2.2: all-gather and reduce-scatter around each; backward gathers the input
// again for the weight gradient. Norm gradients are partial over the sequence shards.
TEST(LoweredBlock, SequenceParallelGathersAndScatters) {
  const Lowered l = Lower(8, "tensor: 8 sequence_parallel: true");
  const double stream = 2 * kTokens * kHidden;
  EXPECT_EQ(Volumes(l, Of(l.layer.forward)),
            (V{{"all-gather tensor", 2 * stream}, {"reduce-scatter tensor", 2 * stream}}));
  EXPECT_EQ(Volumes(l, Of(l.layer.backward)),
            (V{{"all-gather tensor", 4 * stream}, {"reduce-scatter tensor", 2 * stream}}));
  EXPECT_EQ(Volumes(l, l.layer.last_reduces), (V{{"all-reduce tensor", 4 * kNormParameters}}));
}

// "How To Scale Your Model" ch. 5: In[B_X, D_Y] · W[D_X, F_Y]: FSDP moves 1/Y of the weights.
TEST(LoweredBlock, FsdpWithTensorParallel) {
  const Lowered l = Lower(16, "fsdp: 2 tensor: 8 sequence_parallel: true");
  EXPECT_EQ(Volumes(l, l.layer.gathers),
            (V{{"all-gather fsdp", 2 * (kLayerParameters / 8 + kNormParameters)}}));
  EXPECT_EQ(l.layer.parameters, (kLayerParameters / 8 + kNormParameters) / 2);
}

// The book's layout by rules: the residual stream over Y along D.
TEST(LoweredBlock, ResidualShardedOverHidden) {
  const Lowered l = Lower(8,
                          "mesh { axes { name: 'Y' size: 8 } } "
                          "rules { of: COMPUTE dimension: 'F' axes: 'Y' } rules { of: COMPUTE "
                          "dimension: 'N' axes: 'Y' }"
                          "rules { of: COMPUTE dimension: 'K' axes: 'Y' } rules { of: COMPUTE "
                          "dimension: 'V' axes: 'Y' }"
                          "rules { of: PARAMETERS dimension: 'F' axes: 'Y' }"
                          "rules { of: PARAMETERS dimension: 'N' axes: 'Y' }"
                          "rules { of: PARAMETERS dimension: 'K' axes: 'Y' }"
                          "rules { of: PARAMETERS dimension: 'V' axes: 'Y' }"
                          "rules { of: RESIDUAL dimension: 'D' axes: 'Y' }");
  const double stream = 2 * kTokens * kHidden;
  EXPECT_EQ(Volumes(l, Of(l.layer.forward)),
            (V{{"all-gather Y", 2 * stream}, {"reduce-scatter Y", 2 * stream}}));
}

TEST(LoweredBlock, AxisOfOneChangesNothing) {
  const Lowered a = Lower(8, "fsdp: 8"), b = Lower(8, "fsdp: 8 tensor: 1 data: 1 pipeline: 1");
  EXPECT_EQ(a.transfers.size(), b.transfers.size());
  EXPECT_EQ(a.layer.forward.steps.size(), b.layer.forward.steps.size());
  EXPECT_EQ(a.layer.kept_bytes, b.layer.kept_bytes);
}

// Every device does 1/t of the matmul FLOPs: 2 · 12 h² · tokens forward (arXiv 2104.04473 §A), and
// backward twice that.
TEST(LoweredBlock, FlopsAreShared) {
  for (const int t : {1, 2, 8}) {
    const Lowered l = Lower(t, absl::StrCat("tensor: ", t));
    const double matmuls = 2 * kLayerParameters * kTokens;
    const double attention = 4 * kMicro * kSequence * kSequence * kHidden / 2;  // causal
    Flops forward, backward;
    for (const BlockStep& s : l.layer.forward.steps) forward += s.flops;
    for (const BlockStep& s : l.layer.backward.steps) backward += s.flops;
    EXPECT_EQ(forward.value(), (matmuls + attention) / t);
    EXPECT_EQ(backward.value(), 2 * (matmuls + attention) / t);
  }
}

// Korthikanti et al., arXiv 2205.05198, table 2: bytes per layer in units of s b h.
TEST(LoweredBlock, ActivationsAreKorthikantis) {
  const double sbh = kTokens * kHidden, square = 5 * kHeads * kSequence / kHidden;
  const std::string unfused = "attention_kernel: 'unfused' dropout: true ";
  const auto kept = [&](int t, const std::string& plan) {
    return Lower(t, absl::StrCat("tensor: ", t, " ", unfused, plan)).layer.kept_bytes / sbh;
  };
  EXPECT_DOUBLE_EQ(kept(1, ""), 34 + square);
  EXPECT_DOUBLE_EQ(kept(8, ""), 10 + 24.0 / 8 + square / 8);
  EXPECT_DOUBLE_EQ(kept(8, "sequence_parallel: true"), 34.0 / 8 + square / 8);
  EXPECT_DOUBLE_EQ(kept(8, "recompute: 'selective'"), 10 + 24.0 / 8);
  EXPECT_DOUBLE_EQ(kept(8, "sequence_parallel: true recompute: 'selective'"), 34.0 / 8);
  EXPECT_DOUBLE_EQ(kept(8, "recompute: 'full'"), 2);
  EXPECT_DOUBLE_EQ(kept(8, "sequence_parallel: true recompute: 'full'"), 2.0 / 8);
}

}  // namespace
}  // namespace meshstep
