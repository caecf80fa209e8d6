// Kinds of layers: parameters and FLOPs of each against its definition and the published counters,
// saved activations and states by hand.

#include <cmath>
#include <string>

#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "meshstep/v1/model.pb.h"
#include "strategies/model/load_model.h"
#include "strategies/model/model_arithmetic.h"

namespace meshstep {
namespace {

using ::testing::HasSubstr;

constexpr double kD = 64, kV = 1000, kTokens = 4096;

v1::Model Proto(const std::string& fields) {
  v1::Model message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(
      "layers: 1 hidden: 64 vocab: 1000 " + fields, &message))
      << fields;
  return message;
}

Model Loaded(const std::string& fields) {
  Diagnostics diagnostics;
  Model model = LoadModel(Proto(fields), "model", &diagnostics);
  EXPECT_TRUE(diagnostics.ok()) << diagnostics.status();
  return model;
}

std::string Problem(const std::string& fields) {
  Diagnostics diagnostics;
  LoadModel(Proto(fields), "model", &diagnostics);
  return std::string(diagnostics.status().message());
}

// Of the layers alone: without tables and the final norm.
double Parameters(const std::string& fields) {
  return ModelArithmetic(Loaded(fields), TokenShape()).Parameters().total - 2 * kV * kD - kD;
}

// Forward, of one token, without the head.
double Flops(const std::string& fields, Square square = Square::kMasked) {
  const ModelArithmetic a(Loaded(fields), {1, kTokens, kTokens});
  const FlopCounts counts = a.Forward(square);
  return (counts.total() - counts.head) / kTokens;
}

double State(const std::string& fields, double positions) {
  return ModelArithmetic(Loaded(fields), TokenShape()).KvBytesPerSequence(positions, 2);
}

const std::string kMamba =
    "mamba { heads: 16 head_dim: 8 groups: 2 state: 32 } "
    "layer_kinds { mixer: MAMBA mlp: NO_MLP } ";

// arXiv 2405.21060 §7.1: projections to z, x (heads of channels each), B, C (groups of states) and a
// step of each head; a convolution of 4 with its bias over x, B and C; A, D and the steps' bias of
// each head; a norm of the channels and the way back. One norm before.
TEST(Mamba2, IsItsDefinition) {
  const double inner = 16 * 8, groups = 2 * 2 * 32, heads = 16;
  const double in = kD * (2 * inner + groups + heads), conv = (inner + groups) * (4 + 1);
  EXPECT_EQ(Parameters(kMamba), in + conv + 3 * heads + inner + inner * kD + kD);
  // NVIDIA/Megatron-LM training.py, mamba_layer_flops; the convolution, which it leaves out, counts.
  const double counter = 2 * kD * (2 * inner + groups + heads) + 7 * inner * 32 + 2 * inner * kD;
  EXPECT_EQ(Flops(kMamba), counter + 2 * 4 * (inner + groups));
  // A state of each head in fp32 and three positions of what is convolved, however long it gets.
  for (const double positions : {16.0, 4096.0}) {
    EXPECT_EQ(State(kMamba, positions), 4 * inner * 32 + 2 * 3 * (inner + groups));
  }
}

// arXiv 2312.00752 §3.4, with the norms of Jamba (arXiv 2403.19887 §2): steps come through a low
// rank; every channel has a state of its own and its decays.
TEST(Mamba1, IsItsDefinition) {
  const std::string text =
      "mamba { heads: 128 state: 16 dt_rank: 4 } layer_kinds { mixer: MAMBA mlp: NO_MLP } ";
  const double inner = 128, state = 16, rank = 4;
  const double low = inner * (rank + 2 * state) + (rank + 2 * state) + rank * inner + inner;
  EXPECT_EQ(Parameters(text),
            2 * kD * inner + 5 * inner + low + inner * state + inner + inner * kD + kD);
  EXPECT_EQ(Flops(text), 2 * (2 * kD * inner + inner * (rank + 2 * state) + rank * inner +
                              inner * kD + 4 * inner) +
                             7 * inner * state);
}

const std::string kDelta =
    "delta_net { key_heads: 2 value_heads: 4 key_dim: 16 value_dim: 16 } "
    "layer_kinds { mixer: DELTA_NET mlp: NO_MLP } ";

// arXiv 2412.06464 §3.4; NVIDIA/Megatron-LM training.py, gdn_layer_flops, to the digit.
TEST(GatedDeltaNet, IsItsDefinitionAndItsCounter) {
  const double qk = 2 * 16, v = 4 * 16, heads = 4;
  EXPECT_EQ(Parameters(kDelta),
            kD * (2 * qk + 2 * v + 2 * heads) + 4 * (2 * qk + v) + 2 * heads + 16 + v * kD + kD);
  EXPECT_EQ(Flops(kDelta), 2 * (kD * (2 * qk + 2 * v + 2 * heads) + 4 * (2 * qk + v) +
                                heads * 16 * 16 * 4 + kD * v));
  EXPECT_EQ(State(kDelta, 4096), 4 * heads * 16 * 16 + 2 * 3 * (2 * qk + v));
}

// arXiv 2510.26692 §3 and NVIDIA-NeMo/Megatron-Bridge flop_utils.py (kimi_kda_layers): q, k, v, gate
// and output projections, beta, decays through a rank, three convolutions and the recurrence. With
// gate_rank the gate goes through one too.
TEST(KimiDeltaAttention, IsItsCounter) {
  const std::string text =
      "delta_net { key_heads: 4 key_dim: 16 decay_rank: 8 } layer_kinds { mixer: DELTA_NET mlp: "
      "NO_MLP } ";
  const double p = 4 * 16, heads = 4, rank = 8;
  const double macs =
      kD * p * 5 + kD * heads + kD * rank + rank * p + 4 * 3 * p + heads * 16 * 16 * 4;
  EXPECT_EQ(Flops(text), 2 * macs);
  EXPECT_EQ(Parameters(text),
            kD * p * 5 + kD * heads + kD * rank + rank * p + 4 * 3 * p + heads + p + 16 + kD);
  std::string ranked = text;
  ranked.replace(ranked.find("decay_rank: 8"), 13, "decay_rank: 8 gate_rank: 8");
  EXPECT_EQ(Parameters(ranked), Parameters(text) - kD * p + kD * rank + rank * p);
}

// arXiv 2501.08313 §2.2: one projection to q, k, v and the gate, a norm of all heads.
TEST(LinearAttentionLayer, IsItsDefinition) {
  const std::string text =
      "linear_attention { heads: 4 head_dim: 16 } "
      "layer_kinds { mixer: LINEAR_ATTENTION mlp: NO_MLP } ";
  const double p = 4 * 16;
  EXPECT_EQ(Parameters(text), 5 * kD * p + p + kD);
  EXPECT_EQ(Flops(text), 2 * 5 * kD * p + 5 * p * 16);
  EXPECT_EQ(State(text, 4096), 4 * p * 16);
}

// LFM2, arXiv 2511.23404; Hugging Face transformers modeling_lfm2.py, Lfm2ShortConv: three streams of
// one projection, three taps of each channel, and the way back; two positions are kept.
TEST(ShortConvolutionLayer, IsItsDefinition) {
  const std::string text = "layer_kinds { mixer: SHORT_CONVOLUTION mlp: NO_MLP } ";
  EXPECT_EQ(Parameters(text), 3 * kD * kD + 3 * kD + kD * kD + kD);
  EXPECT_EQ(Parameters("short_convolution { conv: 4 bias: true } " + text),
            3 * (kD * kD + kD) + (4 + 1) * kD + kD * kD + kD + kD);
  EXPECT_EQ(Flops(text), 2 * (3 * kD * kD + 3 * kD + kD * kD));
  EXPECT_EQ(State(text, 4096), 2 * 2 * kD);
}

// Griffin, arXiv 2402.19427 §2.3, §2.4; modeling_recurrent_gemma.py: 96 channels in four blocks of 24.
TEST(RecurrentUnitLayer, IsItsDefinition) {
  const std::string text =
      "recurrent_unit { width: 96 heads: 4 } layer_kinds { mixer: RECURRENT_UNIT mlp: NO_MLP } ";
  const double w = 96, block = 24;
  EXPECT_EQ(Parameters(text),
            2 * (kD * w + w) + (4 + 1) * w + w + 2 * (w * block + w) + w * kD + kD + kD);
  EXPECT_EQ(Flops(text), 2 * (3 * kD * w + 4 * w) + w * (2 * 2 * block + 6));
  for (const double positions : {16.0, 4096.0}) {
    EXPECT_EQ(State(text, positions), 4 * w + 2 * 3 * w);
  }
  EXPECT_THAT(Problem("recurrent_unit { width: 95 heads: 4 } layer_kinds { mixer: RECURRENT_UNIT "
                      "mlp: NO_MLP }"),
              HasSubstr("recurrent_unit.width: is 95, expected a multiple of the 4 heads"));
  EXPECT_THAT(Problem("layer_kinds { mixer: RECURRENT_UNIT mlp: NO_MLP }"),
              HasSubstr("recurrent_unit: is not set"));
}

const std::string kSparse =
    "heads: 4 mla { q_lora_rank: 24 kv_lora_rank: 32 qk_nope_head_dim: 16 qk_rope_head_dim: 8 "
    "v_head_dim: 16 } indexer { heads: 2 head_dim: 8 top_k: 512 } "
    "layer_kinds { mixer: ATTENTION mlp: NO_MLP } ";

// arXiv 2512.02556 §2.1: beside the latent attention an indexer's queries from the compressed ones,
// one key (with a LayerNorm) and a weight for each of its heads. Every query scores all earlier keys
// and attends to 512 of them, in the space of the compressed vector.
TEST(SparseAttention, ScoresAllAndAttendsToSome) {
  const double n = 4, h = 24, rope = 8, nope = 16, v = 16, qr = 24, kvr = 32;
  const double latent = kD * (qr + kvr + rope) + qr * n * h + kvr * n * (nope + v) + n * v * kD;
  const double index = qr * 2 * 8 + kD * (8 + 2);
  EXPECT_EQ(Parameters(kSparse), latent + qr + kvr + index + 2 * 8 + kD);
  const double t = kTokens, w = 512 / t, chosen = t * w * (1 - w / 2);
  const double scores = 2 * (t / 2) * 2 * (8 + 1), attention = 2 * chosen * n * (kvr + rope + kvr);
  EXPECT_NEAR(Flops(kSparse), 2 * (latent + index) + scores + attention, 1e-6);
  EXPECT_EQ(State(kSparse, 4096), 2 * 4096 * (kvr + rope + 8));
}

// NVIDIA/Megatron-LM training.py, moe_layer_flops: experts work on the latent; down and up.
TEST(LatentExperts, WorkOnANarrowerStream) {
  const std::string text =
      "moe { experts: 8 experts_per_token: 2 expert_ffn: 32 latent: 16 shared_experts: 1 "
      "shared_expert_ffn: 48 } layer_kinds { mixer: NO_MIXER mlp: ROUTED } ";
  EXPECT_EQ(Parameters(text), 8 * 2 * 16 * 32 + 2 * kD * 16 + 2 * kD * 48 + kD * 8 + kD);
  const double router = 2 * kD * 8;
  EXPECT_EQ(Flops(text) - router, 4 * 16 * 32 * 2 + 4 * kD * 16 + 4 * kD * 48);
}

// Qwen3-Next: a gate of each element of the output (Megatron-LM attention_output_gate).
TEST(Attention, GateWindowAndChunk) {
  const std::string base = "heads: 4 kv_heads: 2 head_dim: 16 layer_kinds { mlp: NO_MLP } ";
  EXPECT_EQ(Parameters("attention_gate: true " + base), Parameters(base) + kD * 4 * 16);
  // One number of a head (Step-3.5), and keys that are the values (Gemma 4).
  EXPECT_EQ(Parameters("attention_head_gate: true " + base), Parameters(base) + kD * 4);
  EXPECT_EQ(Parameters("keys_as_values: true " + base), Parameters(base) - kD * 2 * 16);
  EXPECT_EQ(Flops("keys_as_values: true " + base), Flops(base) - 2 * kD * 2 * 16);
  EXPECT_EQ(State("keys_as_values: true " + base, 4096), State(base, 4096));
  EXPECT_THAT(Problem("attention_head_gate: true attention_gate: true " + base),
              HasSubstr("attention_head_gate: is set beside attention_gate"));
  EXPECT_THAT(Problem("keys_as_values: true v_head_dim: 8 " + base),
              HasSubstr("keys_as_values: is set beside another v_head_dim"));
  // Values narrower than keys (MiMo-V2): projections of values and of the output.
  EXPECT_EQ(Parameters("v_head_dim: 8 " + base), Parameters(base) - kD * 2 * 8 - 4 * 8 * kD);
  // Causal within chunks of 1,024 of 4,096 positions: a quarter of the triangle.
  const auto scores = [](const std::string& fields) {
    return ModelArithmetic(Loaded(fields), {1, kTokens, kTokens}).Forward(Square::kMasked).scores;
  };
  EXPECT_EQ(scores("attention_chunk: 1024 " + base), scores(base) / 4);
  EXPECT_EQ(State("attention_chunk: 1024 " + base, 4096), State(base, 4096) / 4);
}

// arXiv 2512.24880 §4: J streams; each half has weights for J + J + J^2 from all of them.
TEST(HyperConnections, HoldWeightsOfTheirStreams) {
  const std::string base = "heads: 4 ffn: 256 ";
  const double weights = (4 * kD + 1) * (4 + 4 + 16);
  EXPECT_EQ(Parameters("residual_streams: 4 " + base), Parameters(base) + 2 * weights);
  EXPECT_EQ(Parameters("residual_streams: 1 " + base), Parameters(base));
  EXPECT_THAT(Problem("residual_streams: 4 parallel_block: true " + base),
              HasSubstr("model.residual_streams: is more than 1"));
}

}  // namespace
}  // namespace meshstep
