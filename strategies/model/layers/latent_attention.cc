// Multi-head latent attention. Plain: keys and values of every head are made from the compressed
// vector c_kv, and the kernel sees N heads of H_n + H_r and H_v. Sparse (DeepSeek-V3.2, arXiv
// 2512.02556 §2.1): every query attends to the same kind of entry, c_kv and the rotary key, which all
// heads share: the up-projections go to the query before and to the output after (arXiv 2405.04434
// §2.1.2), and the kernel sees N heads of R_kv + H_r and R_kv.

#include "strategies/model/layers/layer_parts.h"

namespace meshstep {
namespace {

struct Compressed {
  ArrayId q = -1, c_kv = -1, k_rotary = -1;
  ArrayId queries = -1;  // what the indexer's queries come from
};

Compressed Compress(const LayerParts& p, ArrayId x) {
  Compressed c;
  c.q = p.b.Activation("q_projected", {"B", "T", "N", "H"});
  const ArrayId c_kv = p.b.Stream("c_kv", {"B", "T", "R_kv"});
  c.k_rotary = p.b.Stream("k_rotary", {"B", "T", "H_r"});
  std::vector<ParameterSpec> down = {{"W_kv_down", {"D", "R_kv"}}, {"W_k_rotary", {"D", "H_r"}}};
  std::vector<ArrayId> down_out = {c_kv, c.k_rotary};
  c.queries = x;
  if (p.model.mla->q_lora_rank > 0) {
    const ArrayId c_q = p.b.Stream("c_q", {"B", "T", "R_q"});
    down.push_back({"W_q_down", {"D", "R_q"}});
    down_out.push_back(c_q);
    p.b.Matmul(OpRole::kLatentDown, "qkv_down", x, down, down_out).big_matmul = true;
    c.queries = p.b.Norm("q_latent_norm", c_q, false);
    p.b.Matmul(OpRole::kLatentUp, "q_up", c.queries, {{"W_q_up", {"R_q", "N", "H"}}}, {c.q})
        .big_matmul = true;
  } else {
    p.b.Matmul(OpRole::kLatentDown, "kv_down", x, down, down_out).big_matmul = true;
    p.b.Matmul(OpRole::kLatentUp, "q", x, {{"W_q", {"D", "N", "H"}}}, {c.q}).big_matmul = true;
  }
  c.c_kv = c_kv;
  return c;
}

ArrayId Gated(const LayerParts& p, ArrayId x, ArrayId out) {
  if (!p.model.attention_gate) return out;
  const Dims dims = {"B", "T", "N", "H_v"};
  const ArrayId gate = p.b.Activation("attention_gate", dims);
  p.b.Matmul(OpRole::kMixerIn, "attention_gate", x, {{"W_attention_gate", {"D", "N", "H_v"}}},
             {gate})
      .big_matmul = true;
  const ArrayId gated = p.b.Activation("attention_gated", dims);
  p.b.Elementwise(OpRole::kAttentionGating, "attention_gating", {out, gate}, {gated},
                  kGatedActivationFlops)
      .saved = {out, gate};
  return gated;
}

ArrayId SparseAttention(const LayerParts& p, ArrayId x, const Compressed& c) {
  const ArrayId normed = p.b.Norm("kv_latent_norm", c.c_kv, false);
  const ArrayId keys = AddIndexer(p, x, c.queries);
  const ArrayId q_plain = p.b.Activation("q_plain", {"B", "T", "N", "H_n"});
  const ArrayId q_rotary = p.b.Activation("q_rotary", {"B", "T", "N", "H_r"});
  p.b.Elementwise(OpRole::kLatentRotary, "rotary", {c.q}, {q_plain, q_rotary}, kRotaryFlops);
  const ArrayId absorbed = p.b.Activation("q_absorbed", {"B", "T", "N", "R_kv"});
  p.b.Matmul(OpRole::kLatentUp, "q_absorb", q_plain, {{"W_k_up", {"R_kv", "N", "H_n"}}}, {absorbed})
      .big_matmul = true;
  const ArrayId q = p.b.Activation("q", {"B", "T", "N", "H_c"});
  p.b.Elementwise(OpRole::kLatentJoin, "q_concatenate", {absorbed, q_rotary}, {q}, 0);
  const ArrayId k = p.b.Stream("k", {"B", "T", "H_c"});
  p.b.Elementwise(OpRole::kLatentJoin, "k_concatenate", {normed, c.k_rotary}, {k}, 0);
  const ArrayId latent = AddAttentionKernel(p, q, k, k, "R_kv", keys);
  const ArrayId out = p.b.Activation("v_absorbed", {"B", "T", "N", "H_v"});
  p.b.Matmul(OpRole::kLatentUp, "v_absorb", latent, {{"W_v_up", {"R_kv", "N", "H_v"}}}, {out})
      .big_matmul = true;
  return out;
}

}  // namespace

ArrayId AddLatentAttention(const LayerParts& p, ArrayId x) {
  p.b.SetPart(Op::Part::kAttention);
  const Compressed c = Compress(p, x);
  if (p.model.indexer) return ProjectHeads(p, Gated(p, x, SparseAttention(p, x, c)), "H_v");
  const Dims heads = {"B", "T", "N", "H"};
  const ArrayId k_plain = p.b.Activation("k_plain", {"B", "T", "N", "H_n"});
  const ArrayId v = p.b.Activation("v", {"B", "T", "N", "H_v"});
  const ArrayId normed = p.b.Norm("kv_latent_norm", c.c_kv, false);
  p.b.Matmul(OpRole::kLatentUp, "kv_up", normed,
             {{"W_k_up", {"R_kv", "N", "H_n"}}, {"W_v_up", {"R_kv", "N", "H_v"}}}, {k_plain, v})
      .big_matmul = true;
  const ArrayId q = p.b.Activation("q", heads), k = p.b.Activation("k", heads);
  p.b.Elementwise(OpRole::kLatentRotary, "rotary", {c.q, k_plain, c.k_rotary}, {q, k},
                  kRotaryFlops);
  return ProjectHeads(p, Gated(p, x, AddAttentionKernel(p, q, k, v, "H_v")), "H_v");
}

}  // namespace meshstep
