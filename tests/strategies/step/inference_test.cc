// Prefill and decode steps: against the roofline of "How To Scale Your Model" ch. 7 with every
// other byte listed, and against the formula of the KV cache.

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "meshstep/v1/scenario.pb.h"
#include "sim/base/catalog.h"
#include "sim/simulate/simulate.h"
#include "strategies/bounds/inference_bounds.h"
#include "strategies/plan/load_scenario.h"
#include "strategies/step/step_graph.h"
#include "tests/strategies/scenario_fixtures.h"

namespace meshstep {
namespace {

// A chip of round numbers and a small model with grouped queries.
constexpr double kPeak = 1e14, kHbm = 1e12;
constexpr double kL = 3, kD = 2048, kN = 16, kK = 8, kH = 128, kF = 8192, kV = 8192;
constexpr double kB = 4, kS = 4096;
constexpr double kLayerParameters = kD * (kN + 2 * kK) * kH + kN * kH * kD + 3 * kD * kF + 2 * kD;
constexpr double kHeadParameters = kV * kD + kD;

v1::Scenario Proto(int chips, const std::string& mode, const std::string& plan,
                   const std::string& model = "") {
  const std::string text = absl::StrCat(
      "model { name: 'toy' layers: 3 hidden: 2048 heads: 16 kv_heads: 8 ffn: 8192 vocab: 8192 "
      "gated_mlp: true } ",
      RoundCluster(chips), " workload { mode: ", mode,
      " global_batch_sequences: 4 sequence_length: 4096 } plan { ", plan, " }");
  v1::Scenario proto = ParseScenario(text);
  v1::Model changes;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(model, &changes)) << model;
  proto.mutable_model()->MergeFrom(changes);
  return proto;
}

v1::SimulateReport ReportOf(const v1::Scenario& proto, bool unfolded = false) {
  const StatusOr<v1::SimulateReport> report =
      Simulate(proto, {.fidelity = Fidelity::kIdeal, .unfolded = unfolded});
  EXPECT_TRUE(report.ok()) << report.status();
  return *report;
}

v1::SimulateReport ReportOf(int chips, const std::string& mode, const std::string& plan,
                            const std::string& model = "") {
  return ReportOf(Proto(chips, mode, plan, model));
}

double Bytes(double count, double size = 2) { return count * size; }

// Bytes of a decode step besides parameters and cache, with weights and cache in bf16.
double OtherBytes(double kv_size = 2) {
  const double d = Bytes(kB * kD);
  const double layer = 2 * 2 * d + 2 * 3 * d                          // norms, residual sums
                       + d + Bytes(kB * (kN + 2 * kK) * kH)           // qkv: in, out
                       + 2 * Bytes(kB * (kN + kK) * kH)               // rotary
                       + (2 + kv_size) * kB * 2 * kK * kH             // into the cache
                       + 2 * Bytes(kB * kN * kH)                      // attention: q in, output
                       + Bytes(kB * kN * kH) + d                      // attention_out
                       + d + Bytes(kB * 2 * kF) + Bytes(kB * kF) * 3  // MLP in, activation
                       + Bytes(kB * kF) + d;                          // MLP out
  return 2 * d + kL * layer + 2 * d + d + 2 * Bytes(kB * kV);  // lookup; norm, logits, sample
}

DecodeCase Case(double parameter_bytes, double kv_bytes) {
  DecodeCase c;
  // The norms' scales are read beside their kernels' operands, which the ideal step leaves out.
  c.parameters = c.active_parameters = kL * (kLayerParameters - 2 * kD) + kHeadParameters - kD;
  c.parameter_bytes = parameter_bytes;
  c.kv_bytes_per_sequence = kL * 2 * kK * kH * kS * kv_bytes;
  c.batch = kB;
  return c;
}

ChipLimits Limits() {
  ChipLimits limits;
  limits.hbm_bytes_per_s = kHbm;
  limits.flops_per_s = kPeak;
  limits.hbm_bytes = 80e9;
  return limits;
}

TEST(Decode, IsTheRooflineOfTheBook) {
  const DecodeStep book = StepOf(Case(2, 2), Limits());
  ASSERT_GT(book.weights, book.compute);
  const double expected = book.total() + OtherBytes() / kHbm;
  const v1::SimulateReport r = ReportOf(1, "DECODE", "");
  // Every kernel rounds up to a picosecond.
  EXPECT_NEAR(r.step_time_s(), expected, 50e-12);
  EXPECT_NEAR(r.step_time_s(), book.total(), 0.01 * book.total());
  EXPECT_EQ(r.time_per_token_s(), r.step_time_s());
  EXPECT_FALSE(r.has_time_to_first_token_s());
  EXPECT_DOUBLE_EQ(r.tokens_per_s(), kB / r.step_time_s());
  EXPECT_EQ(r.breakdown().optimizer_s(), 0);
  EXPECT_EQ(r.breakdown_detail().backward_s(), 0);
}

// 8-bit storage is of the blocks' matmuls; the head's stays in bf16.
TEST(Decode, ReadsWhatIsStored) {
  DecodeCase layers = Case(1, 1);
  layers.parameters = layers.active_parameters = kL * (kLayerParameters - 2 * kD);
  const double expected =
      StepOf(layers, Limits()).total() + (Bytes(kV * kD) + OtherBytes(1)) / kHbm;
  EXPECT_NEAR(
      ReportOf(1, "DECODE", "precision { parameters: 'int8' kv_cache: 'fp8' }").step_time_s(),
      expected, 50e-12);
}

// Tensor parallelism shares weights and cache; batch and communication stay.
TEST(Decode, TensorParallelismSharesWeightsAndCache) {
  const v1::SimulateReport r = ReportOf(8, "DECODE", "tensor: 8");
  const DecodeCase whole = Case(2, 2);
  const double shared = (whole.weight_bytes() + whole.kv_bytes()) / 8 / kHbm;
  EXPECT_GT(r.breakdown().compute_s(), shared);
  EXPECT_LT(r.breakdown().compute_s(), shared + OtherBytes() / kHbm);
  // Two all-reduces of the residual stream a layer and one of the embedding, and the best tokens.
  double bytes = 0;
  for (const v1::CommunicationRow& row : r.communication()) {
    if (row.collective() == "all-reduce") {
      EXPECT_EQ(row.count(), 2 * kL + 1);
      bytes = row.bytes_per_chip();
    } else {
      EXPECT_EQ(row.collective(), "all-gather");
      EXPECT_EQ(row.bytes_per_chip(), 7 * kB * 8);
    }
  }
  EXPECT_GE(bytes, (2 * kL + 1) * Bytes(kB * kD));
}

// 2 · layers · K · H · bytes per token ("How To Scale Your Model" ch. 7).
TEST(KvCache, IsThatOfTheFormula) {
  const double token = 2 * kL * kK * kH * 2, all = kB * kS * token;
  const auto cache = [](int chips, const std::string& plan, const std::string& model = "") {
    for (const char* mode : {"PREFILL", "DECODE"}) {
      const v1::SimulateReport r = ReportOf(chips, mode, plan, model);
      const v1::Memory& m = r.memory();
      EXPECT_EQ(m.parameters_bytes() + m.gradients_bytes() + m.optimizer_bytes() +
                    m.activations_bytes() + m.workspace_bytes() + m.kv_cache_bytes(),
                m.peak_bytes());
      EXPECT_EQ(m.gradients_bytes(), 0);
      EXPECT_EQ(m.optimizer_bytes(), 0);
      if (std::string(mode) == "DECODE") return r;
    }
    return v1::SimulateReport();
  };
  EXPECT_EQ(cache(1, "").memory().kv_cache_bytes(), all);
  EXPECT_EQ(cache(1, "precision { kv_cache: 'fp8' }").memory().kv_cache_bytes(), all / 2);
  EXPECT_EQ(cache(8, "tensor: 8").memory().kv_cache_bytes(), all / 8);
  EXPECT_EQ(cache(4, "data: 2 fsdp: 2").memory().kv_cache_bytes(), all / 4);
  EXPECT_EQ(cache(4, "context: 4").memory().kv_cache_bytes(), all / 4);
  EXPECT_EQ(cache(4, "context: 2 tensor: 2").kv_cache_bytes(), all);
  // 8 heads on 16 devices: everyone holds one, twice each.
  const v1::SimulateReport twice = cache(16, "tensor: 16");
  EXPECT_EQ(twice.memory().kv_cache_bytes(), all / 8);
  EXPECT_EQ(twice.kv_cache_bytes(), 2 * all);
  // Micro-batches hold their caches all the time.
  EXPECT_EQ(cache(1, "micro_batch_sequences: 1").memory().kv_cache_bytes(), all);
  EXPECT_EQ(cache(1, "", "sliding_window: 1024").memory().kv_cache_bytes(), all / 4);
  // Layers 0 and 2 keep the window, layer 1 everything.
  EXPECT_DOUBLE_EQ(
      static_cast<double>(
          cache(1, "", "sliding_window: 1024 global_layer_period: 2").memory().kv_cache_bytes()),
      all / 3 * (1 + 2. / 4));
}

// Each rank reads its part of the cache; then it gives the log-sum-exp of its rows (fp32), and
// outputs are summed.
TEST(Decode, ContextShardsTheCachedSequence) {
  const v1::SimulateReport one = ReportOf(1, "DECODE", ""), r = ReportOf(4, "DECODE", "context: 4");
  double attention = 0, quarter = 0;
  for (const v1::ComputeRow& row : one.breakdown_detail().compute()) {
    if (row.op() == "attention") attention = row.busy_s();
  }
  for (const v1::ComputeRow& row : r.breakdown_detail().compute()) {
    if (row.op() == "attention") quarter = row.busy_s();
  }
  const double vectors = kL * 2 * Bytes(kB * kN * kH) / kHbm;
  EXPECT_NEAR(4 * (quarter - vectors), attention - vectors, 20e-12);
  std::map<std::string, double> sent;
  for (const v1::CommunicationRow& row : r.communication()) {
    EXPECT_EQ(row.axis(), "context");
    EXPECT_EQ(row.count(), kL);
    sent[row.collective()] = row.bytes_per_chip();
  }
  EXPECT_EQ(sent.size(), 2);
  EXPECT_DOUBLE_EQ(sent["all-gather"], kL * 3 * kB * kN * 4);
  EXPECT_GE(sent["all-reduce"], kL * 2 * 3. / 4 * Bytes(kB * kN * kH) - 1);
}

// Logits of the last position only: 2 D V for each sequence.
TEST(Prefill, IsAForwardWithOneRowOfLogits) {
  const v1::SimulateReport r = ReportOf(1, "PREFILL", "");
  const double tokens = kB * kS;
  const double layer = 2 * tokens * (kD * (kN + 2 * kK) * kH + kN * kH * kD + 3 * kD * kF) +
                       4 * kB * kN * kS * kS * kH / 2;
  const double flops = kL * layer + 2 * kB * kD * kV;
  EXPECT_DOUBLE_EQ(r.flops().model(), flops);
  EXPECT_DOUBLE_EQ(r.flops().hardware(), flops);
  EXPECT_DOUBLE_EQ(r.mfu(), flops / (r.step_time_s() * kPeak));
  EXPECT_EQ(r.time_to_first_token_s(), r.step_time_s());
  EXPECT_FALSE(r.has_time_per_token_s());
  EXPECT_DOUBLE_EQ(r.tokens_per_s(), tokens / r.step_time_s());
  EXPECT_LE(r.lower_bound_s(), r.step_time_s());
  EXPECT_DOUBLE_EQ(r.lower_bound_s(), flops / kPeak);
}

// With tensor and sequence parallelism and context the last position comes from one of the ranks.
TEST(Prefill, SendsTheLastPositionToTheHead) {
  const v1::SimulateReport r =
      ReportOf(8, "PREFILL", "context: 2 tensor: 4 sequence_parallel: true");
  bool found = false;
  for (const v1::CommunicationRow& row : r.communication()) {
    if (row.collective() != "broadcast") continue;
    found = true;
    EXPECT_EQ(row.axis(), "context+tensor");
    EXPECT_EQ(row.count(), 1);
    EXPECT_GE(row.bytes_per_chip(), Bytes(kB * kD));
  }
  EXPECT_TRUE(found);
}

TEST(Inference, IsNotFasterThanItsBound) {
  for (const char* mode : {"PREFILL", "DECODE"}) {
    for (const char* plan :
         {"", "tensor: 8", "context: 8", "fsdp: 4", "data: 2 tensor: 2 pipeline: 2",
          "pipeline: 2 context: 2 tensor: 2 sequence_parallel: true",
          "tensor: 4 precision { parameters: 'int8' kv_cache: 'fp8' }"}) {
      v1::Scenario proto = Proto(8, mode, plan);
      int devices = 1;
      for (const int d : {proto.plan().tensor(), proto.plan().context(), proto.plan().fsdp(),
                          proto.plan().data(), proto.plan().pipeline()}) {
        devices *= std::max(1, d);
      }
      proto.mutable_cluster()->set_chips(devices);
      const v1::SimulateReport r = ReportOf(proto);
      EXPECT_LE(r.lower_bound_s(), r.step_time_s()) << mode << " " << plan;
      EXPECT_GT(r.lower_bound_s(), 0.01 * r.step_time_s()) << mode << " " << plan;
      EXPECT_EQ(r.step_time_s(), ReportOf(proto, true).step_time_s()) << mode << " " << plan;
      EXPECT_EQ(r.step_time_s(), ReportOf(ExpandScenario(proto, Catalog())).step_time_s()) << plan;
    }
  }
}

// m micro-batches through p equal stages of only forwards: (m + p - 1) / m of the work of one.
TEST(Inference, PipelinesFill) {
  const std::string model = "layers: 2";
  const v1::SimulateReport one = ReportOf(1, "PREFILL", "micro_batch_sequences: 1", model);
  const v1::SimulateReport two = ReportOf(2, "PREFILL", "pipeline: 2", model);
  const double forward = one.step_time_s() / 4;  // of one micro-batch
  EXPECT_GT(two.step_time_s(), 5 * forward / 2);
  EXPECT_LT(two.step_time_s(), 5 * forward / 2 * 1.05);
}

void ExpectError(const std::string& mode, const std::string& plan, const std::string& expected,
                 const std::string& model = "") {
  Diagnostics diagnostics;
  LoadScenario(Proto(1, mode, plan, model), Catalog(), &diagnostics);
  const std::string error(diagnostics.status().message());
  EXPECT_NE(error.find(expected), std::string::npos) << plan << ": " << error;
}

TEST(Inference, RefusesWhatOnlyTrainingHas) {
  const std::string why = ", but this step has no backward and no optimizer; expected ";
  ExpectError("DECODE", "recompute: 'full'", "plan.recompute: is full" + why + "none");
  ExpectError("PREFILL", "zero_stage: 2", "plan.zero_stage: is 2" + why + "0, or 3");
  ExpectError("PREFILL", "schedule: 'gpipe'", "plan.schedule: is gpipe" + why);
  ExpectError("PREFILL", "accumulate_unsharded: true", "plan.accumulate_unsharded: is true" + why);
  ExpectError("PREFILL", "dropout: true", "plan.dropout: is true" + why);
  ExpectError("DECODE", "precision { optimizer: 'sgd' gradients: 'bf16' reduce: 'bf16' }",
              "plan.precision.optimizer: is sgd" + why);
  ExpectError("DECODE", "precision { kv_cache: 'int7' }", "plan.precision.kv_cache: ");
  ExpectError("TRAIN", "precision { kv_cache: 'fp8' }",
              "plan.precision.kv_cache: is \"fp8\", but training has no KV cache");
  ExpectError("DECODE", "attention_kernel: 'unfused'", "plan.attention_kernel: is \"unfused\"");
  ExpectError("DECODE", "", "model.bidirectional: is true", "bidirectional: true");
}

}  // namespace
}  // namespace meshstep
