// Context parallelism: what each method sends and computes, against its paper.

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "meshstep/v1/scenario.pb.h"
#include "sim/base/catalog.h"
#include "sim/simulate/simulate.h"
#include "strategies/block/block_context.h"
#include "strategies/passes/lower_block.h"
#include "strategies/passes/ops/composite.h"
#include "strategies/passes/ops/sequence_split.h"
#include "strategies/passes/pass_builder.h"
#include "strategies/plan/load_scenario.h"
#include "strategies/step/step_graph.h"
#include "tests/strategies/scenario_fixtures.h"

namespace meshstep {
namespace {

constexpr double kB = 2, kT = 512, kD = 1024, kN = 16, kK = 4, kH = 64, kBytes = 2;
constexpr double kLayerParameters = 2 * kD * (kN + kK) * kH + 2 * kD * 4096;
constexpr double kNormParameters = 2 * kD;

v1::Scenario Proto(int devices, const std::string& plan, const std::string& model = "") {
  const std::string text = absl::StrCat(
      "model { name: 'toy' layers: 2 hidden: 1024 heads: 16 kv_heads: 4 head_dim: 64 ffn: 4096 "
      "vocab: 4096 } cluster { preset: 'dgx-h100' chips: ",
      devices, " } workload { global_batch_sequences: 16 sequence_length: 512 } plan { ", plan,
      " micro_batch_sequences: 2 }");
  v1::Scenario proto = ParseScenario(text);
  v1::Model changes;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(model, &changes)) << model;
  proto.mutable_model()->MergeFrom(changes);
  return proto;
}

struct Lowered {
  Scenario scenario;
  TransferTable transfers;
  LoweredBlock layer;
};

Lowered Lower(const v1::Scenario& proto) {
  Diagnostics diagnostics;
  Lowered out{
      .scenario = LoadScenario(proto, Catalog(), &diagnostics), .transfers = {}, .layer = {}};
  EXPECT_TRUE(diagnostics.ok()) << diagnostics.status();
  const Scenario& s = out.scenario;
  const ComputeModel compute(s.cluster.chip, RateSet::kDatasheet, Fidelity::kIdeal);
  const BlockContext context{&s.model, &s.plan, &s.workload, &compute, &out.transfers};
  StatusOr<LoweredBlock> layer = LowerBlock(
      BuildTransformer(s.model, {.unfused_attention = s.plan.unfused_attention}).kinds[0], context);
  EXPECT_TRUE(layer.ok()) << layer.status();
  if (layer.ok()) out.layer = *std::move(layer);
  return out;
}

Lowered Lower(int devices, const std::string& plan, const std::string& model = "") {
  return Lower(Proto(devices, plan, model));
}

using V = std::map<std::string, double>;

// Total bytes by (collective, axes).
V Volumes(const Lowered& l, const std::vector<int>& ids) {
  V volumes;
  for (const int id : ids) {
    std::string key(NameOf(l.transfers[id].collective));
    for (const AxisId a : l.transfers[id].axes) {
      absl::StrAppend(&key, " ", l.scenario.plan.axes[static_cast<std::size_t>(a)].name);
    }
    volumes[key] += l.transfers[id].bytes.value();
  }
  return volumes;
}

V Volumes(const Lowered& l, const BlockPass& pass) {
  std::vector<int> ids;
  for (const BlockStep& step : pass.steps) {
    if (step.transfer >= 0) ids.push_back(step.transfer);
  }
  return Volumes(l, ids);
}

double FlopsOf(const BlockPass& pass) {
  double flops = 0;
  for (const BlockStep& step : pass.steps) flops += step.flops.value();
  return flops;
}

std::string WithMethod(int context, const std::string& method) {
  return absl::StrCat("context: ", context, " context_method: '", method, "' ");
}

// Keys and values of one of c ranks.
double KvBytes(int c) { return kBytes * 2 * kB * kT / c * kK * kH; }

// Liu et al. arXiv 2310.01889 §3: c - 1 hops bring all blocks of keys and values to a rank. In
// backward their gradients travel with them and once more, to where the block is.
TEST(Context, RingSendsKeysAndValuesRound) {
  for (const int c : {2, 4, 8}) {
    const Lowered l = Lower(c, WithMethod(c, "ring"));
    EXPECT_EQ(Volumes(l, l.layer.forward), (V{{"permute context", (c - 1) * KvBytes(c)}}));
    EXPECT_EQ(Volumes(l, l.layer.backward), (V{{"permute context", (2 * c - 1) * KvBytes(c)}}));
  }
}

// Llama 3, arXiv 2407.21783 §3.3.2: keys and values are gathered; GQA makes them small.
TEST(Context, AllGatherBringsTheWholeOfThem) {
  for (const int c : {2, 8}) {
    const Lowered l = Lower(c, WithMethod(c, "all-gather"));
    EXPECT_EQ(Volumes(l, l.layer.forward), (V{{"all-gather context", KvBytes(1)}}));
    EXPECT_EQ(Volumes(l, l.layer.backward),
              (V{{"all-gather context", KvBytes(1)}, {"reduce-scatter context", KvBytes(1)}}));
  }
}

// DeepSpeed-Ulysses, arXiv 2309.14509 §3.2: all-to-alls of q, k, v and of the output, message sizes
// 3 N h and N h over P ranks; the same for their gradients.
TEST(Context, UlyssesExchangesHeads) {
  const double heads = kBytes * kB * kT / 4 * kN * kH;
  const Lowered l = Lower(4, WithMethod(4, "ulysses"));
  EXPECT_EQ(Volumes(l, l.layer.forward), (V{{"all-to-all context", 2 * heads + KvBytes(4)}}));
  EXPECT_EQ(Volumes(l, l.layer.backward), (V{{"all-to-all context", 2 * heads + KvBytes(4)}}));
  const Lowered mha = Lower(4, WithMethod(4, "ulysses"), "kv_heads: 16");
  EXPECT_EQ(Volumes(mha, mha.layer.forward), (V{{"all-to-all context", 4 * heads}}));
}

// 4 key/value heads on 8 ranks: two copies of each, sent again in backward as they are kept once.
TEST(Context, UlyssesReplicatesTooFewHeads) {
  const double heads = kBytes * kB * kT / 8 * kN * kH;
  const Lowered l = Lower(8, WithMethod(8, "ulysses"));
  EXPECT_EQ(Volumes(l, l.layer.forward), (V{{"all-to-all context", 2 * heads + 2 * KvBytes(8)}}));
  EXPECT_EQ(Volumes(l, l.layer.backward), (V{{"all-to-all context", 2 * heads + 4 * KvBytes(8)}}));
}

TEST(Context, EveryMethodDoesTheSameWork) {
  for (const char* model : {"", "sliding_window: 100", "bidirectional: true"}) {
    const Lowered one = Lower(1, "", model);
    for (const int c : {2, 4}) {
      for (const char* method : {"ring", "all-gather", "ulysses"}) {
        for (const char* balanced : {"true", "false"}) {
          const Lowered l = Lower(
              c, absl::StrCat(WithMethod(c, method), " context_load_balanced: ", balanced), model);
          const double forward = FlopsOf(one.layer.forward), backward = FlopsOf(one.layer.backward);
          EXPECT_NEAR(c * FlopsOf(l.layer.forward), forward, 1e-9 * forward) << method << model;
          EXPECT_NEAR(c * FlopsOf(l.layer.backward), backward, 1e-9 * backward) << method << model;
          EXPECT_DOUBLE_EQ(c * l.layer.kept_bytes, one.layer.kept_bytes) << method;
        }
      }
    }
  }
}

TEST(Context, OfOneIsTheIdentity) {
  const auto step = [](const std::string& plan) {
    const StatusOr<SimulatedStep> simulated = SimulateStep(Proto(8, plan), {});
    EXPECT_TRUE(simulated.ok()) << simulated.status();
    return simulated->run.makespan.ps();
  };
  const std::string plan = "tensor: 4 fsdp: 2 sequence_parallel: true ";
  for (const char* method : {"ring", "all-gather", "ulysses"}) {
    EXPECT_EQ(step(plan), step(plan + WithMethod(1, method))) << method;
  }
  EXPECT_EQ(step(plan), step(plan + "context: 1 order: 'tensor,fsdp,data,pipeline'"));
}

// The residual stream is sharded over both along the sequence; tensor parallelism moves 1/c of it.
TEST(Context, GoesWithSequenceParallelism) {
  const Lowered l = Lower(8, "tensor: 4 sequence_parallel: true " + WithMethod(2, "ring"));
  const Sharding residual = Apply(l.scenario.plan.rules.residual, {"B", "T", "D"});
  ASSERT_EQ(residual.dims[1].axes.size(), 2);
  EXPECT_EQ(l.scenario.plan.axes[static_cast<std::size_t>(residual.dims[1].axes[0])].name,
            "context");
  const double stream = kBytes * kB * kT / 2 * kD;
  EXPECT_EQ(Volumes(l, l.layer.forward), (V{{"all-gather tensor", 2 * stream},
                                            {"reduce-scatter tensor", 2 * stream},
                                            {"permute context", KvBytes(2) / 4}}));
}

// torchtitan and Megatron: gradients reduce over data × context, and what shards does so over both.
TEST(Context, ShardsWhatFsdpAndZeroShard) {
  const double parameters = kLayerParameters + kNormParameters;
  const Lowered plain = Lower(8, "data: 2 context: 4");
  EXPECT_EQ(plain.layer.parameters, parameters);
  EXPECT_EQ(Volumes(plain, plain.layer.last_reduces),
            (V{{"all-reduce data context", 4 * parameters}}));
  const Lowered fsdp = Lower(8, "fsdp: 2 context: 4");
  EXPECT_EQ(fsdp.layer.parameters * 8, parameters);
  EXPECT_EQ(fsdp.layer.optimizer * 8, parameters);
  EXPECT_EQ(Volumes(fsdp, fsdp.layer.gathers), (V{{"all-gather fsdp context", 2 * parameters}}));
  EXPECT_EQ(Volumes(fsdp, fsdp.layer.reduces),
            (V{{"reduce-scatter fsdp context", 4 * parameters}}));
  const Lowered zero = Lower(8, "data: 2 context: 4 zero_stage: 1");
  EXPECT_EQ(zero.layer.parameters, parameters);
  EXPECT_EQ(zero.layer.optimizer * 8, parameters);
  EXPECT_EQ(Lower(8, "context: 8 zero_stage: 3").layer.parameters * 8, parameters);
}

// Degrees and the mesh that they expand to are the same plan.
TEST(Context, WorksByRules) {
  for (const char* method : {"ring", "all-gather", "ulysses"}) {
    const v1::Scenario degrees =
        Proto(8, absl::StrCat("tensor: 2 context_load_balanced: false ", WithMethod(4, method)));
    const v1::Scenario rules = ExpandScenario(degrees, Catalog());
    EXPECT_FALSE(rules.plan().has_context());
    EXPECT_EQ(rules.plan().context_method(), method);
    const Lowered a = Lower(degrees), b = Lower(rules);
    EXPECT_EQ(Volumes(a, a.layer.forward), Volumes(b, b.layer.forward));
    Time times[2];
    for (const BlockStep& s : a.layer.backward.steps) times[0] += s.duration;
    for (const BlockStep& s : b.layer.backward.steps) times[1] += s.duration;
    EXPECT_EQ(times[0].ps(), times[1].ps()) << method;
  }
}

// What attention needs beside its operands, in training.
TEST(Context, HoldsKeysAndValuesThatCome) {
  const auto buffers = [](int c, const std::string& method) {
    Lowered l = Lower(c, WithMethod(c, method));
    const Scenario& s = l.scenario;
    const ComputeModel compute(s.cluster.chip, RateSet::kDatasheet, Fidelity::kIdeal);
    const BlockContext context{&s.model, &s.plan, &s.workload, &compute, &l.transfers};
    const Block block = BuildTransformer(s.model, {}).kinds[0];
    const PassBuilder pass(block, context);
    for (const Op& op : block.ops) {
      if (op.kind == Op::Kind::kAttention) return AttentionBuffers(op, pass);
    }
    return -1.0;
  };
  const double q = kBytes * kB * kT / 4 * kN * kH;
  EXPECT_EQ(buffers(1, "ring"), 0);
  // Two buffers of keys, values and their gradients; fp32 accumulators.
  EXPECT_EQ(buffers(4, "ring"), 4 * KvBytes(4) + 2 * q);
  // All keys and values, and their gradients before they are scattered.
  EXPECT_EQ(buffers(4, "all-gather"), 2 * KvBytes(1));
  // What is sent: q and the output, k and v (8 ranks: two copies of the 4 heads).
  EXPECT_EQ(buffers(4, "ulysses"), 2 * q + KvBytes(4));
  EXPECT_EQ(buffers(8, "ulysses"), q + 2 * KvBytes(8));
}

// Plays the attention of a pass on one compute and one communication stream on which every transfer
// takes `hop`; the time from its first step to the end of its last.
double Play(const Lowered& l, const BlockPass& pass, double hop) {
  double stream[2] = {0, 0};
  std::map<int, double> end;
  double last = 0;
  for (int i = 0; i < static_cast<int>(pass.steps.size()); ++i) {
    const BlockStep& step = pass.steps[static_cast<std::size_t>(i)];
    const bool transfer = step.transfer >= 0;
    if (transfer) {
      EXPECT_EQ(l.transfers[step.transfer].collective, Collective::kPermute);
    }
    if (!transfer && step.name.rfind("attention", 0) != 0) continue;
    if (step.name.rfind("attention_", 0) == 0) continue;  // norm, projection, sum
    double start = stream[transfer];
    for (const int before : step.after) start = std::max(start, end[before]);
    end[i] = stream[transfer] = start + (transfer ? hop : step.duration.seconds());
    last = std::max(last, end[i]);
  }
  return last;
}

// Every step takes as long as the longer of its kernel and the hop beside it; the last kernel has
// none beside it. Backward: two hops a step, and one to bring the gradients home.
TEST(Context, RingHidesTheShorterOfKernelAndHop) {
  const int c = 4;
  const Lowered l = Lower(c, WithMethod(c, "ring"));
  std::vector<double> forward, backward;
  for (const BlockStep& s : l.layer.forward.steps) {
    if (s.name == "attention") forward.push_back(s.duration.seconds());
  }
  for (const BlockStep& s : l.layer.backward.steps) {
    if (s.name == "attention backward") backward.push_back(s.duration.seconds());
  }
  ASSERT_EQ(forward.size(), c);
  ASSERT_EQ(backward.size(), c);
  const double shortest = *std::min_element(forward.begin(), forward.end());
  const double longest = *std::max_element(forward.begin(), forward.end());
  for (const double hop : {shortest / 3, (shortest + longest) / 2, 2 * longest}) {
    double expected = forward.back();
    for (int i = 0; i + 1 < c; ++i) {
      expected += std::max(forward[static_cast<std::size_t>(i)], hop);
    }
    EXPECT_DOUBLE_EQ(Play(l, l.layer.forward, hop), expected);
  }
  double kernels = 0;
  for (const double b : backward) kernels += b;
  const double quick = *std::min_element(backward.begin(), backward.end()) / 2;
  EXPECT_DOUBLE_EQ(Play(l, l.layer.backward, quick), kernels + quick);
  const double slow = *std::max_element(backward.begin(), backward.end());
  EXPECT_DOUBLE_EQ(Play(l, l.layer.backward, slow), (2 * c - 1) * slow);
}

// Roofline of each step of a balanced causal ring: half the square of T / c positions on the rank's
// own keys and on those of every other rank, then the merge with what there is.
TEST(Context, BalancedRingStepsAreEqual) {
  const int c = 4;
  const Lowered l = Lower(c, WithMethod(c, "ring"));
  const double n = kT / c, peak = 989.4e12, hbm = 3352e9;
  const double q = kBytes * kB * n * kN * kH, kv = KvBytes(c);
  const double flops = 4 * kB * kN * n * n / 2 * kH;
  const double own = std::max(flops / peak, (2 * q + kv) / hbm);
  // Ranks whose keys come from before see half of them with all queries; the merge reads the new
  // part and reads and writes 4-byte accumulators.
  const double other = std::max(flops / peak, (2 * q + kv / 2) / hbm) + 5 * q / hbm;
  int at = 0;
  for (const BlockStep& s : l.layer.forward.steps) {
    if (s.name != "attention") continue;
    EXPECT_NEAR(s.duration.seconds(), at++ == 0 ? own : other, 3e-12);
    EXPECT_DOUBLE_EQ(s.flops.value(), flops);
  }
}

// Contiguous chunks: the last rank has the whole square with each of the others' keys.
TEST(Context, ContiguousRingRunsAtThePaceOfTheLastRank) {
  SequenceSplit split{.length = 64, .ranks = 4, .balanced = false};
  for (int step = 0; step < 4; ++step) {
    double most = 0;
    for (int rank = 0; rank < 4; ++rank) most = std::max(most, split.InRing(rank, step).pairs);
    EXPECT_EQ(most, step == 0 ? 16 * 16 / 2 : 16 * 16);
    EXPECT_EQ(split.InRing(0, step).pairs, step == 0 ? 16 * 16 / 2 : 0);
  }
  EXPECT_EQ(split.WithAll(3).pairs, 64 * 16 - 16 * 16 / 2);
}

TEST(Context, WindowSavesHops) {
  SequenceSplit split{.length = 1024, .ranks = 8, .balanced = false, .window = 128};
  EXPECT_EQ(split.HopsNeeded(), 1);
  split.window = 129;
  EXPECT_EQ(split.HopsNeeded(), 2);
  split.window = 0;
  EXPECT_EQ(split.HopsNeeded(), 7);
  // The neighbour of the front chunk is one hop away, that of the back chunk is the next rank's.
  split.balanced = true;
  split.window = 64;
  EXPECT_EQ(split.HopsNeeded(), 7);
  const Lowered l =
      Lower(4, WithMethod(4, "ring") + " context_load_balanced: false", "sliding_window: 100");
  EXPECT_EQ(Volumes(l, l.layer.forward), (V{{"permute context", KvBytes(4)}}));
  EXPECT_EQ(Volumes(l, l.layer.backward), (V{{"permute context", 3 * KvBytes(4)}}));
}

// Against counting positions one by one: a continuum differs by half a cell on the edges of what is
// visible, of which there are at most two per query.
TEST(SequenceSplit, CountsWhatIsVisible) {
  std::mt19937 random(3);
  for (int round = 0; round < 300; ++round) {
    SequenceSplit split;
    split.ranks = 1 + static_cast<int>(random() % 6);
    const int half = 4 + static_cast<int>(random() % 20);
    const int length = 2 * split.ranks * half;
    split.length = length;
    split.balanced = random() % 2 == 0;
    split.causal = random() % 3 != 0;
    const int window = random() % 2 == 0 ? 0 : 1 + static_cast<int>(random() % unsigned(length));
    split.window = window;
    const auto holds = [&](int rank, int position) {
      if (!split.balanced) return position / (2 * half) == rank;
      const int chunk = position / half;
      return chunk == rank || chunk == 2 * split.ranks - 1 - rank;
    };
    double all = 0;
    for (int rank = 0; rank < split.ranks; ++rank) {
      double ring = 0;
      for (int step = 0; step < split.ranks; ++step) {
        const int from = (rank - step + split.ranks) % split.ranks;
        const AttentionWork work = split.InRing(rank, step);
        int count = 0;
        for (int x = 0; x < length; ++x) {
          for (int y = 0; y < length; ++y) {
            if (!holds(rank, x) || !holds(from, y)) continue;
            const int ahead = split.causal ? 0 : window > 0 ? window : length;
            const bool visible = y - x <= ahead && (window == 0 || x - y < window);
            count += visible;
          }
        }
        EXPECT_NEAR(work.pairs, count, 2. * 2 * half);
        EXPECT_LE(work.pairs, work.queries * work.keys * (1 + 1e-12));
        EXPECT_LE(work.queries, 2 * half);
        EXPECT_LE(work.keys, 2 * half);
        ring += work.pairs;
      }
      EXPECT_NEAR(ring, split.WithAll(rank).pairs, 1e-9 * length * length);
      all += ring;
    }
    const double w = window == 0 ? 1 : window / split.length;
    const double visible = split.causal ? w * (1 - w / 2) : window == 0 ? 1 : 2 * w - w * w;
    EXPECT_NEAR(all, visible * length * length, 1e-9 * length * length);
  }
}

std::string ErrorOf(const v1::Scenario& proto) {
  Diagnostics diagnostics;
  LoadScenario(proto, Catalog(), &diagnostics);
  return std::string(diagnostics.status().message());
}

void ExpectError(int devices, const std::string& plan, const std::string& expected,
                 const std::string& model = "") {
  const std::string error = ErrorOf(Proto(devices, plan, model));
  EXPECT_NE(error.find(expected), std::string::npos) << plan << ": " << error;
}

TEST(Context, RefusesWhatItCannotDo) {
  ExpectError(3, "context: 3", "plan.context: is 3, but the sequence of 512 tokens is not");
  ExpectError(
      2, "context: 2 context_method: 'rings'",
      "plan.context_method: is \"rings\", expected ring, all-gather, ulysses or gathered-ring");
  ExpectError(2, "context: 2 attention_kernel: 'unfused'",
              "plan.attention_kernel: is \"unfused\", but ring attention");
  ExpectError(64, "tensor: 8 context: 4 data: 2 context_method: 'ulysses'",
              "leave 2 query heads of toy to each, expected a multiple of 4");
  ExpectError(4, "context: 4 context_method: 'ulysses'",
              "leave 6 key/value heads of toy to each, expected a multiple or a divisor of 4",
              "heads: 24 kv_heads: 6");
  ExpectError(4, "context: 2 tensor: 2 order: 'tensor,fsdp,data,pipeline'",
              "plan.order: is \"tensor,fsdp,data,pipeline\", expected each of tensor, context, "
              "fsdp, data, pipeline once");
  ExpectError(2, "context: 0", "plan.context: is 0, expected 1 to");
  ExpectError(2, "context: 2 mesh { axes { name: 'x' size: 2 } }",
              "plan.context: is set beside mesh");
}

}  // namespace
}  // namespace meshstep
