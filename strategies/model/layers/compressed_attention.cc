// Attention over compressed keys, as DeepSeek-V4 has it (Hugging Face transformers
// modular_deepseek_v4.py; NVIDIA/Megatron-LM csa.py). One key of H for all heads is also its value. A
// query sees W_s positions of a window and entries, each of which stands for Q positions j:
//
//   C_i = sum over j of softmax_j(x_j W_z + b_j) * x_j W_c
//
// of its own Q positions or, with overlap, of the Q before too (then W_c and W_z are twice as wide, a
// half for each); all earlier entries, or the top_k that an indexer chooses, which scores entries of
// its own, compressed alike from narrower heads. Outputs, their rotary part turned back, go through
// R_o channels of each group of heads: a block diagonal product of O matrices, and one product more.
//
// Entries are written as [B,T,H_z], H_z = H / Q: what falls to each position, so that they are sharded
// as positions are. FLOPs of a position and head: 2 · 2 H (W_s + top_k (1 - top_k Q / 2 T)), or with
// all entries W_s + T / 2 Q; indexer 2 (H_i + 1) T / 2 Q. Decode keeps the window's keys, the entries
// and the Q (with overlap 2 Q) positions that are no entry yet. The sum over positions is bound by HBM.

#include <memory>

#include "sim/base/dtype.h"
#include "strategies/model/layers/layer_parts.h"

namespace meshstep {
namespace {

// exp, sum, product and sum of products of an element.
constexpr double kPoolFlops = 6;
constexpr double kRootMeanSquareFlops = 4;

ArrayId AddQueries(const LayerParts& p, ArrayId queries) {
  const Dims dims = {"B", "T", "N", "H"};
  const ArrayId projected = p.b.Activation("q_projected", dims);
  p.b.Matmul(OpRole::kLatentUp, "q_up", queries, {{"W_q_up", {"R_q", "N", "H"}}}, {projected})
      .big_matmul = true;
  const ArrayId q = p.b.Activation("q", dims);
  p.b.Elementwise(OpRole::kHeadNormRotary, "q_norm_rotary", {projected}, {q},
                  kRotaryFlops + kRootMeanSquareFlops)
      .saved = {projected};
  return q;
}

ArrayId AddKernel(const LayerParts& p, const std::vector<ArrayId>& inputs) {
  const ArrayId out = p.b.Activation("attention_out", {"B", "T", "N", "H"});
  const ArrayId sums = p.b.Activation("log_sum_exp", {"B", "T", "N"}, kFp32Bytes);
  std::vector<ArrayId> sinks;
  if (p.model.attention_sinks) sinks = {p.b.Parameter({"attention_sinks", {"N"}})};
  Op& op = p.b.Other(Op::Kind::kAttention, OpRole::kAttention, "attention", inputs, {out, sums});
  op.weights = sinks;
  op.saved = inputs;
  op.saved.insert(op.saved.end(), {out, sums});
  op.window = p.model.sliding_window;
  op.top_k = p.model.indexer ? p.model.indexer->top_k : 0;
  op.compressed = true;
  op.rate = p.model.compressed->rate;
  return out;
}

ArrayId ProjectGroups(const LayerParts& p, ArrayId out) {
  const ArrayId grouped = p.b.Activation("attention_grouped", {"B", "T", "O", "H_o"});
  p.b.Elementwise(OpRole::kLatentRotary, "output_rotary", {out}, {grouped}, kRotaryFlops);
  const ArrayId low = p.b.Activation("attention_low", {"B", "T", "O", "R_o"});
  p.b.Matmul(OpRole::kAttentionOutput, "attention_out_groups", grouped,
             {{"W_o_groups", {"O", "H_o", "R_o"}}}, {low})
      .big_matmul = true;
  const ArrayId branch = p.b.Activation("attention_branch", kTokens);
  p.b.Matmul(OpRole::kAttentionOutput, "attention_out", low, {{"W_o", {"O", "R_o", "D"}}}, {branch})
      .big_matmul = true;
  return branch;
}

}  // namespace

ArrayId AddCompressor(const LayerParts& p, ArrayId x, const std::string& name,
                      const std::string& in, const std::string& out) {
  const ArrayId values = p.b.Stream(name + "compress_values", {"B", "T", in});
  const ArrayId gates = p.b.Stream(name + "compress_gates", {"B", "T", in});
  p.b.Matmul(OpRole::kMixerIn, name + "compress", x,
             {{"W_" + name + "compress_values", {"D", in}},
              {"W_" + name + "compress_gates", {"D", in}}},
             {values, gates})
      .big_matmul = true;
  const ArrayId pooled = p.b.Stream(name + "entries_pooled", {"B", "T", out});
  const ArrayId bias = p.b.Parameter({"b_" + name + "compress", {"Q", in}});
  auto mixer = std::make_shared<StateMixer>();
  mixer->forward = {{"compress", {{values, kPoolFlops}}, {values, gates, pooled}}};
  mixer->backward = {
      {"compress backward", {{values, 2 * kPoolFlops}}, {values, gates, pooled, values, gates}}};
  // An entry that overlaps needs the positions before its rank's first.
  mixer->forward[0].hands_on = mixer->backward[0].hands_on = p.model.compressed->overlap;
  mixer->chained = false;
  for (const char* of : {"values", "gates"}) {
    mixer->state.push_back(p.b.Activation(name + "open_" + of, {"B", "Q", in}));
  }
  mixer->model_work = {};
  Op& op =
      p.b.Other(Op::Kind::kChunked, OpRole::kCompress, name + "pool", {values, gates}, {pooled});
  op.weights = {bias};
  op.saved = {values, gates};
  op.mixer = std::move(mixer);
  // The norm spans an entry, and its scale is as long; it and the rotary positions are one pass each.
  const ArrayId entries = p.b.Stream(name + "entries", {"B", "T", out});
  Op& norm = p.b.Elementwise(OpRole::kHeadNormRotary, name + "entries_norm_rotary", {pooled},
                             {entries}, kRotaryFlops + kRootMeanSquareFlops);
  norm.weights = {p.b.Parameter({name + "entries_scale", {"Q", out}})};
  norm.saved = {pooled};
  return entries;
}

ArrayId AddCompressedAttention(const LayerParts& p, ArrayId x) {
  p.b.SetPart(Op::Part::kAttention);
  const ArrayId c_q = p.b.Stream("c_q", {"B", "T", "R_q"});
  const ArrayId projected = p.b.Stream("kv_projected", {"B", "T", "H"});
  p.b.Matmul(OpRole::kLatentDown, "qkv_down", x, {{"W_q_down", {"D", "R_q"}}, {"W_kv", {"D", "H"}}},
             {c_q, projected})
      .big_matmul = true;
  const ArrayId queries = p.b.Norm("q_latent_norm", c_q, false);
  const ArrayId q = AddQueries(p, queries);
  const ArrayId normed = p.b.Norm("kv_norm", projected, false);
  const ArrayId kv = p.b.Stream("kv", {"B", "T", "H"});
  p.b.Elementwise(OpRole::kRotary, "kv_rotary", {normed}, {kv}, kRotaryFlops);
  std::vector<ArrayId> inputs = {q, kv};
  if (p.model.indexer) inputs.push_back(AddIndexer(p, x, queries));
  if (p.model.compressed->rate > 0) inputs.push_back(AddCompressor(p, x, "", "H_x", "H_z"));
  return ProjectGroups(p, AddKernel(p, inputs));
}

}  // namespace meshstep
