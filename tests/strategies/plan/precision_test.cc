// Which parts of a layer run, lie and travel in which number format, and what the casts move.

#include "strategies/plan/precision.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "meshstep/v1/scenario.pb.h"
#include "sim/base/catalog.h"
#include "strategies/block/block_context.h"
#include "strategies/block/lowered_block.h"
#include "strategies/passes/lower_block.h"
#include "strategies/plan/load_scenario.h"
#include "tests/strategies/scenario_fixtures.h"

namespace meshstep {
namespace {

// GPT-like: a plain MLP of 4 D, LayerNorm, no biases, learned positions.
constexpr double kHidden = 1024, kHeads = 16, kSequence = 512, kMicro = 2;
constexpr double kTokens = kMicro * kSequence, kStream = kTokens * kHidden;
constexpr double kMatrices = 12 * kHidden * kHidden, kNorms = 2 * 2 * kHidden;
// TransformerEngine casts into two layouts on Hopper, one on Blackwell.
constexpr char kHopper[] = "dgx-h100", kBlackwell[] = "dgx-b200";

struct Lowered {
  std::string error;
  Scenario scenario;
  TransferTable transfers;
  LoweredBlock layer, head;
};

Lowered Lower(const std::string& cluster, int devices, const std::string& precision,
              const std::string& plan = "") {
  const std::string text = absl::StrCat(
      "model { name: 'gpt' layers: 2 hidden: 1024 heads: 16 ffn: 4096 vocab: 4096 norm_bias: true "
      "position_embeddings: 512 } cluster { preset: '",
      cluster, "' chips: ", devices,
      " } workload { global_batch_sequences: 128 sequence_length: 512 } plan { ", plan,
      " micro_batch_sequences: 2 precision { ", precision, " } }");
  const v1::Scenario proto = ParseScenario(text);
  Diagnostics diagnostics;
  Lowered out;
  out.scenario = LoadScenario(proto, Catalog(), &diagnostics);
  if (!diagnostics.ok()) {
    out.error = std::string(diagnostics.status().message());
    return out;
  }
  const Scenario& s = out.scenario;
  const ComputeModel compute(s.cluster.chip, RateSet::kDatasheet, Fidelity::kIdeal);
  const BlockContext context{&s.model, &s.plan, &s.workload, &compute, &out.transfers};
  const Transformer t = BuildTransformer(
      s.model, {.unfused_attention = s.plan.unfused_attention, .dropout = s.plan.dropout});
  StatusOr<LoweredBlock> layer = LowerBlock(t.kinds[0], context),
                         head = LowerBlock(t.head, context);
  EXPECT_TRUE(layer.ok() && head.ok()) << layer.status() << head.status();
  if (layer.ok()) out.layer = *std::move(layer);
  if (head.ok()) out.head = *std::move(head);
  return out;
}

const BlockStep* Find(const BlockPass& pass, const std::string& name) {
  for (const BlockStep& step : pass.steps) {
    if (step.transfer < 0 && step.name == name) return &step;
  }
  return nullptr;
}

// HBM bytes of the casts of a pass.
double CastBytes(const BlockPass& pass) {
  double bytes = 0;
  for (const BlockStep& step : pass.steps) {
    if (step.name.ends_with("cast")) bytes += step.hbm_bytes.value();
  }
  return bytes;
}

double Moved(const Lowered& l, const BlockPass& pass, Collective kind) {
  double bytes = 0;
  for (const BlockStep& step : pass.steps) {
    if (step.transfer >= 0 && l.transfers[step.transfer].collective == kind) {
      bytes += l.transfers[step.transfer].bytes.value();
    }
  }
  return bytes;
}

// Roofline at data-sheet rates.
Time Roofline(const BlockStep& step, const Rates& rates, Dtype dtype) {
  return Time::RoundUp(std::max(step.flops / rates.peak(dtype), step.hbm_bytes / rates.hbm_rate));
}

TEST(Precision, OnlyMatmulsOfTheBlocksAreNarrow) {
  const Lowered wide = Lower(kBlackwell, 1, ""), narrow = Lower(kBlackwell, 1, "compute: 'fp8'");
  const Rates& rates = narrow.scenario.cluster.chip.datasheet;
  for (const char* name : {"qkv", "attention_out", "mlp_in", "mlp_out"}) {
    const BlockStep* step = Find(narrow.layer.forward, name);
    ASSERT_NE(step, nullptr) << name;
    EXPECT_EQ(step->duration, Roofline(*step, rates, Dtype::kFp8)) << name;
    EXPECT_EQ(step->flops, Find(wide.layer.forward, name)->flops) << name;
  }
  for (const char* name : {"qkv dx", "qkv dw", "mlp_out dx", "mlp_out dw"}) {
    const BlockStep* step = Find(narrow.layer.backward, name);
    ASSERT_NE(step, nullptr) << name;
    EXPECT_EQ(step->duration, Roofline(*step, rates, Dtype::kFp8)) << name;
  }
  EXPECT_EQ(Find(narrow.layer.forward, "attention")->duration,
            Find(wide.layer.forward, "attention")->duration);
  EXPECT_EQ(Find(narrow.layer.backward, "attention backward")->duration,
            Find(wide.layer.backward, "attention backward")->duration);
  EXPECT_EQ(Find(narrow.head.forward, "logits")->duration,
            Find(wide.head.forward, "logits")->duration);
  // Large matmuls take half the time.
  EXPECT_LT(Find(narrow.layer.forward, "mlp_in")->duration.seconds(),
            0.75 * Find(wide.layer.forward, "mlp_in")->duration.seconds());
  EXPECT_EQ(narrow.head.kept_bytes, wide.head.kept_bytes);
}

// Some products may stay wide beside the others: as they are without narrow ones, and with what they
// save.
TEST(Precision, NamedProductsStayWide) {
  const std::string named = "compute: 'fp8' wide: 'attention-output, mlp-out'";
  const Lowered wide = Lower(kBlackwell, 1, ""), narrow = Lower(kBlackwell, 1, "compute: 'fp8'"),
                mixed = Lower(kBlackwell, 1, named);
  for (const char* name : {"attention_out", "mlp_out"}) {
    EXPECT_EQ(Find(mixed.layer.forward, name)->duration, Find(wide.layer.forward, name)->duration);
  }
  for (const char* name : {"qkv", "mlp_in"}) {
    EXPECT_EQ(Find(mixed.layer.forward, name)->duration,
              Find(narrow.layer.forward, name)->duration);
  }
  // Inputs of 1 and 4 s b h are not cast; gradients of 1 and 1 neither. A byte more of each is kept, but
  // attention keeps its own output wide anyway.
  EXPECT_DOUBLE_EQ(CastBytes(mixed.layer.forward), 0);
  EXPECT_DOUBLE_EQ(CastBytes(mixed.layer.backward), (9 - 2) * kStream * (2 + 1));
  EXPECT_DOUBLE_EQ(mixed.layer.kept_bytes - narrow.layer.kept_bytes, (4 - 1) * kStream);
}

// Of the 34 s b h of arXiv 2205.05198 eq. 1, 14 are inputs of matmuls (2 of qkv, 2 of the
// projection, 2 and 8 of the MLP); they are stored in one byte, with the scales of each format.
TEST(Precision, SavedInputsOfMatmulsAreNarrow) {
  const double square = 5 * kHeads * kSequence / kHidden;
  const auto kept = [&](const std::string& precision) {
    const char* unfused = "attention_kernel: 'unfused' dropout: true";
    return Lower(kBlackwell, 1, precision, unfused).layer.kept_bytes / kStream - square;
  };
  EXPECT_DOUBLE_EQ(kept(""), 34);
  EXPECT_DOUBLE_EQ(kept("compute: 'fp8'"), 34 - 14 + 7);
  EXPECT_DOUBLE_EQ(kept("compute: 'int8'"), 34 - 14 + 7);
  EXPECT_DOUBLE_EQ(kept("compute: 'fp8' scaling: 'mx'"), 34 - 14 + 7 * (1 + 1.0 / 32));
  EXPECT_DOUBLE_EQ(kept("compute: 'fp8' scaling: 'block'"), 34 - 14 + 7 * (1 + 4.0 / 128));
  EXPECT_DOUBLE_EQ(kept("compute: 'fp4'"), 34 - 14 + 7 * (0.5 + 1.0 / 16));
  EXPECT_DOUBLE_EQ(kept("compute: 'fp8' activations: 'fp16'"), 34 - 14 + 7);
}

// Casts read 2 bytes and write one or two versions: of 1 + 4 s b h forward where norms write theirs
// themselves, else 7; of 3 + 1 + 4 + 1 s b h of gradients.
TEST(Precision, CastsMoveWhatTheyReadAndWrite) {
  const Lowered tensor = Lower(kBlackwell, 1, "compute: 'fp8'");
  EXPECT_DOUBLE_EQ(CastBytes(tensor.layer.forward), 5 * kStream * (2 + 1));
  EXPECT_DOUBLE_EQ(CastBytes(tensor.layer.backward), 9 * kStream * (2 + 1));
  const Lowered hopper = Lower(kHopper, 1, "compute: 'fp8'");
  EXPECT_DOUBLE_EQ(CastBytes(hopper.layer.forward), 5 * kStream * (2 + 2));
  EXPECT_DOUBLE_EQ(CastBytes(hopper.layer.backward), 9 * kStream * (2 + 2));
  const Lowered block = Lower(kHopper, 1, "compute: 'fp8' scaling: 'block'");
  const double versions = 2 * (1 + 4.0 / 128);
  EXPECT_DOUBLE_EQ(CastBytes(block.layer.forward), 7 * kStream * (2 + versions));
  EXPECT_DOUBLE_EQ(CastBytes(block.layer.backward), 9 * kStream * (2 + versions));
  // A norm that casts reads 2 bytes and writes 1 instead of 2.
  EXPECT_DOUBLE_EQ(Find(tensor.layer.forward, "attention_norm")->hbm_bytes.value(), 3 * kStream);
  EXPECT_DOUBLE_EQ(Find(block.layer.forward, "attention_norm")->hbm_bytes.value(), 4 * kStream);
  EXPECT_EQ(CastBytes(Lower(kHopper, 1, "").layer.forward), 0);
}

// A scale of the tensor's own takes a pass more over it, and NVFP4 one more for the columns, whose
// cast follows a Hadamard transform (TransformerEngine docs/features/low_precision_training); norms
// then write the wide tensor.
TEST(Precision, ScalesOfTheTensorItselfTakeMorePasses) {
  const Lowered current = Lower(kBlackwell, 1, "compute: 'fp8' scaling: 'current'");
  EXPECT_DOUBLE_EQ(CastBytes(current.layer.forward), 7 * kStream * (2 * 2 + 1));
  EXPECT_DOUBLE_EQ(CastBytes(current.layer.backward), 9 * kStream * (2 * 2 + 1));
  EXPECT_DOUBLE_EQ(Find(current.layer.forward, "attention_norm")->hbm_bytes.value(), 4 * kStream);
  EXPECT_DOUBLE_EQ(current.layer.cast_bytes, (2 * 2 + 1) * kMatrices);
  const Lowered hopper = Lower(kHopper, 1, "compute: 'fp8' scaling: 'current'");
  EXPECT_DOUBLE_EQ(CastBytes(hopper.layer.forward), 7 * kStream * (2 * 2 + 2));
  const Lowered nvfp4 = Lower(kBlackwell, 1, "compute: 'fp4'");
  const double versions = 2 * (0.5 + 1.0 / 16);
  EXPECT_DOUBLE_EQ(CastBytes(nvfp4.layer.forward), 7 * kStream * (3 * 2 + versions));
  EXPECT_DOUBLE_EQ(CastBytes(nvfp4.layer.backward), 9 * kStream * (3 * 2 + versions));
  const Lowered delayed = Lower(kBlackwell, 1, "compute: 'fp8'");
  EXPECT_DOUBLE_EQ(current.layer.kept_bytes, delayed.layer.kept_bytes);
}

// AQT: scales along what a product sums over, so that y = x W, dx = dy W' and dW = x' dy each cast
// their operands, by a pass for the largest values and one that writes 1 byte; dy is rounded with
// random numbers of 4 bytes, written and read. Norms write the wide tensor, which is what is kept.
TEST(Precision, ScalesOfChannelsAreOfOneProduct) {
  const Lowered channel = Lower(kBlackwell, 1, "compute: 'fp8' scaling: 'channel'");
  const double cast = 2 * 2 + 1, noise = 2 * 4;
  EXPECT_DOUBLE_EQ(CastBytes(channel.layer.forward), 7 * kStream * cast);
  EXPECT_DOUBLE_EQ(CastBytes(channel.layer.backward),
                   kStream * (7 * cast + 9 * 2 * (cast + noise)));
  EXPECT_DOUBLE_EQ(channel.layer.kept_bytes, Lower(kBlackwell, 1, "").layer.kept_bytes);
  const auto again = [](const char* policy) {
    return CastBytes(Lower(kBlackwell, 1, "compute: 'fp8' scaling: 'channel'",
                           absl::StrCat("recompute: '", policy, "'"))
                         .layer.recompute);
  };
  EXPECT_DOUBLE_EQ(again("full"), 7 * kStream * cast);
  EXPECT_EQ(again("matmuls"), 0);
}

// Hopper's matmuls read rows: what was gathered is transposed for the weight gradient, x of qkv and
// of the MLP and the gradients of the two projections back (4 s b h, whole), read and written in
// one byte; before the gather one version is written, not two.
TEST(Precision, GatheredOperandsAreTransposedWhereTheyArrive) {
  const auto bytes = [](const Lowered& l, const char* ending) {
    double sum = 0;
    for (const BlockStep& step : l.layer.backward.steps) {
      if (step.name.ends_with(ending)) sum += step.hbm_bytes.value();
    }
    return sum;
  };
  const char* plan = "tensor: 8 sequence_parallel: true";
  const Lowered hopper = Lower(kHopper, 8, "compute: 'fp8'", plan);
  EXPECT_DOUBLE_EQ(bytes(hopper, "transpose"), 4 * 2 * kStream);
  EXPECT_DOUBLE_EQ(Find(hopper.layer.forward, "attention_norm")->hbm_bytes.value(),
                   (2 + 1) * kStream / 8);
  EXPECT_EQ(bytes(Lower(kBlackwell, 8, "compute: 'fp8'", plan), "transpose"), 0);
  EXPECT_EQ(bytes(Lower(kHopper, 8, "compute: 'fp8' scaling: 'block'", plan), "transpose"), 0);
  EXPECT_EQ(bytes(Lower(kHopper, 8, "compute: 'fp8'", "tensor: 8"), "transpose"), 0);
  EXPECT_EQ(bytes(Lower(kHopper, 8, "", plan), "transpose"), 0);
}

TEST(Precision, WhatIsMadeAgainIsCastAgain) {
  const auto recomputed = [](const char* policy) {
    return Lower(kBlackwell, 1, "compute: 'fp8' scaling: 'block'",
                 absl::StrCat("recompute: '", policy, "'"))
        .layer;
  };
  const double read_and_written = 2 + 2 * (1 + 4.0 / 128);
  EXPECT_DOUBLE_EQ(CastBytes(recomputed("full").recompute), 7 * kStream * read_and_written);
  // "matmuls": what they read is made again by norms, attention and activation.
  EXPECT_DOUBLE_EQ(CastBytes(recomputed("matmuls").recompute), 7 * kStream * read_and_written);
  EXPECT_EQ(CastBytes(recomputed("none").recompute), 0);
  EXPECT_DOUBLE_EQ(recomputed("full").kept_bytes, 2 * kStream);
}

// TransformerEngine gathers what it has cast; sums are of wide numbers.
TEST(Precision, SequenceParallelGathersNarrowAndScattersWide) {
  const Lowered l = Lower(kBlackwell, 8, "compute: 'fp8'", "tensor: 8 sequence_parallel: true");
  EXPECT_DOUBLE_EQ(Moved(l, l.layer.forward, Collective::kAllGather), 2 * kStream);
  EXPECT_DOUBLE_EQ(Moved(l, l.layer.forward, Collective::kReduceScatter), 2 * 2 * kStream);
  EXPECT_DOUBLE_EQ(Moved(l, l.layer.backward, Collective::kAllGather), 4 * kStream);
  EXPECT_DOUBLE_EQ(Moved(l, l.layer.backward, Collective::kReduceScatter), 2 * 2 * kStream);
  const Lowered plain = Lower(kBlackwell, 8, "compute: 'fp8'", "tensor: 8");
  EXPECT_DOUBLE_EQ(Moved(plain, plain.layer.forward, Collective::kAllReduce), 2 * 2 * kStream);
}

double Gathered(const Lowered& l) {
  double bytes = 0;
  for (const int t : l.layer.gathers) bytes += l.transfers[t].bytes.value();
  return bytes;
}

TEST(Precision, FsdpGathersTheMatmulsWeightsInTheGatherType) {
  const Lowered narrow = Lower(kBlackwell, 8, "compute: 'fp8'", "fsdp: 8");
  EXPECT_DOUBLE_EQ(Gathered(narrow), kMatrices + 2 * kNorms);
  EXPECT_DOUBLE_EQ(narrow.layer.gathered_bytes, kMatrices + 2 * kNorms);
  EXPECT_DOUBLE_EQ(narrow.layer.parameter_bytes, (2 * kMatrices + kMatrices + 2 * kNorms) / 8);
  const Lowered wide = Lower(kBlackwell, 8, "compute: 'fp8' gather: 'bf16'", "fsdp: 8");
  EXPECT_DOUBLE_EQ(Gathered(wide), 2 * (kMatrices + kNorms));
  // The gathered weights and what they are cast to.
  EXPECT_DOUBLE_EQ(wide.layer.gathered_bytes, 3 * kMatrices + 2 * kNorms);
  EXPECT_DOUBLE_EQ(wide.layer.parameter_bytes, 2 * (kMatrices + kNorms) / 8);
  for (const auto& [pass, other] : {std::pair{&wide.layer.forward, &narrow.layer.forward},
                                    std::pair{&wide.layer.backward, &narrow.layer.backward}}) {
    EXPECT_DOUBLE_EQ(CastBytes(*pass) - CastBytes(*other), 3 * kMatrices);
  }
  EXPECT_EQ(wide.layer.cast_bytes, 0);
  const Lowered fp32 = Lower(kBlackwell, 8, "parameters: 'fp32' gather: 'fp32'", "fsdp: 8");
  EXPECT_DOUBLE_EQ(Gathered(fp32), 4 * (kMatrices + kNorms));
}

// bf16 parameters beside fp8 copies: one, and a transposed one on Hopper; none where parameters are
// fp8 themselves.
TEST(Precision, ParametersCountTheirCopies) {
  const auto layer = [](const char* cluster, const char* precision) {
    return Lower(cluster, 1, precision).layer;
  };
  const double norms = 2 * kNorms;
  EXPECT_DOUBLE_EQ(layer(kBlackwell, "").parameter_bytes, 2 * kMatrices + norms);
  EXPECT_DOUBLE_EQ(layer(kBlackwell, "compute: 'fp8'").parameter_bytes, 3 * kMatrices + norms);
  EXPECT_DOUBLE_EQ(layer(kHopper, "compute: 'fp8'").parameter_bytes, 4 * kMatrices + norms);
  EXPECT_DOUBLE_EQ(layer(kBlackwell, "compute: 'fp8' scaling: 'mx'").parameter_bytes,
                   (2 + 2 * (1 + 1.0 / 32)) * kMatrices + norms);
  const char* stored = "compute: 'fp8' parameters: 'fp8'";
  EXPECT_DOUBLE_EQ(layer(kBlackwell, stored).parameter_bytes, kMatrices + norms);
  EXPECT_DOUBLE_EQ(layer(kHopper, stored).parameter_bytes, 2 * kMatrices + norms);
  // Read once, written in every copy, once a step.
  EXPECT_DOUBLE_EQ(layer(kBlackwell, "compute: 'fp8'").cast_bytes, (2 + 1) * kMatrices);
  EXPECT_DOUBLE_EQ(layer(kHopper, "compute: 'fp8'").cast_bytes, (2 + 2) * kMatrices);
  EXPECT_EQ(layer(kBlackwell, stored).cast_bytes, 0);
  EXPECT_EQ(layer(kBlackwell, "").cast_bytes, 0);
}

TEST(Precision, OptimizerStateIsWhatItsNameSays) {
  const auto bytes = [](const char* precision) {
    return Lower(kBlackwell, 1, precision).scenario.plan.precision.StateBytes(false);
  };
  EXPECT_EQ(bytes(""), 12);
  EXPECT_EQ(bytes("parameters: 'fp32'"), 8);
  EXPECT_EQ(bytes("optimizer: 'adam-bf16-master'"), 8);
  EXPECT_EQ(bytes("optimizer: 'adam-bf16'"), 4);
}

TEST(Precision, SaysWhatIsWrong) {
  const auto error = [](const char* precision) { return Lower(kHopper, 1, precision).error; };
  const std::vector<std::pair<const char*, const char*>> cases = {
      {"scaling: 'tensor'",
       "plan.precision.scaling: is \"tensor\" with compute \"bf16\", expected"},
      {"compute: 'fp8' scaling: 'nvfp4'", "expected tensor or current or channel or block or mx"},
      {"activations: 'fp32'", "plan.precision.activations: is \"fp32\" with compute \"bf16\""},
      {"compute: 'fp8' activations: 'fp8'", "expected bf16, fp16, tf32 or fp32"},
      {"gather: 'fp8'", "plan.precision.gather: is \"fp8\", expected a type no narrower"},
      {"compute: 'fp4'", "plan.precision.compute: is \"fp4\", which h100-sxm has no matrix rate"},
      {"optimizer: 'adam'", "plan.precision.optimizer: is \"adam\", expected one of adam-fp32"},
      {"reduce: 'fp9'", "plan.precision.reduce: is \"fp9\""},
      {"compute: 'fp8' wide: 'mlp-up'", "plan.precision.wide: has \"mlp-up\", expected roles of"},
      {"compute: 'fp8' wide: 'rms-norm'", "plan.precision.wide: has \"rms-norm\""}};
  for (const auto& [precision, expected] : cases) {
    EXPECT_NE(error(precision).find(expected), std::string::npos)
        << precision << ": " << error(precision);
  }
}

TEST(Precision, ExpansionIsTheSame) {
  for (const char* text : {"compute: 'fp8'", "compute: 'fp8' scaling: 'current'",
                           "compute: 'fp8' scaling: 'block' gather: 'bf16'",
                           "compute: 'fp8' activations: 'fp16' parameters: 'fp8'",
                           "compute: 'fp8' wide: 'mlp-out'", ""}) {
    v1::Scenario proto;
    ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(
        absl::StrCat("model { preset: 'llama-3-8b' } cluster { preset: 'dgx-h100' chips: 8 } "
                     "workload { global_batch_sequences: 8 sequence_length: 512 } plan { fsdp: 8 "
                     "precision { ",
                     text, " } }"),
        &proto));
    Diagnostics diagnostics;
    const Precision a = LoadScenario(proto, Catalog(), &diagnostics).plan.precision;
    const Precision b =
        LoadScenario(ExpandScenario(proto, Catalog()), Catalog(), &diagnostics).plan.precision;
    EXPECT_TRUE(diagnostics.ok()) << diagnostics.status();
    EXPECT_EQ(a.compute, b.compute);
    EXPECT_EQ(a.activations, b.activations);
    EXPECT_EQ(a.parameters, b.parameters);
    EXPECT_EQ(a.gather, b.gather);
    EXPECT_EQ(a.scaling, b.scaling);
    EXPECT_EQ(a.wide, b.wide);
  }
}

}  // namespace
}  // namespace meshstep
