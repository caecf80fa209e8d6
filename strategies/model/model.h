// A transformer as a value, and as a list of einsums over named dimensions.
//
// Named dimensions: B batch (sequences), T positions, S key positions (scores only), D hidden,
// N query heads, K key/value heads, H head size, F MLP width, V vocabulary, P rows of the position
// table. Routed experts: E experts, A experts of one token, F_e and F_s inner widths of a routed
// expert and of the shared experts together. D_e: width of the embedding table. Latent attention:
// R_q, R_kv ranks, H_r, H_n, H_v sizes of the rotary, the other and the value part of a head (then
// H is H_n + H_r). C: 2 D, two streams side by side (multi-token prediction). Sources: "How To
// Scale Your Model" ch. 4; Korthikanti et al. arXiv 2205.05198 for what is saved.

#ifndef MESHSTEP_STRATEGIES_MODEL_MODEL_H_
#define MESHSTEP_STRATEGIES_MODEL_MODEL_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "strategies/model/op_role.h"

namespace meshstep {

struct Moe {
  int experts = 0, experts_per_token = 0;
  int expert_ffn = 0;
  int shared_experts = 0, shared_expert_ffn = 0;
  int dense_layers = 0, layer_period = 1;
  int groups = 0, groups_per_token = 0;
  bool router_bias = false, shared_expert_gate = false;
};

struct Mla {
  int q_lora_rank = 0, kv_lora_rank = 0;
  int qk_nope_head_dim = 0, qk_rope_head_dim = 0, v_head_dim = 0;
};

// Field meanings and defaults as in proto/meshstep/v1/model.proto; defaults are filled in.
struct Model {
  std::string name;
  int layers = 0, hidden = 0, heads = 0, kv_heads = 0, head_dim = 0, ffn = 0, vocab = 0;
  bool gated_mlp = false, tied_embeddings = false, norm_bias = false;
  int norms_per_layer = 2;
  bool qkv_bias = false, attention_output_bias = false, mlp_bias = false;
  int position_embeddings = 0;
  int embedding_dim = 0;  // of a table narrower than the stream; 0: as wide
  bool rotary = true, qk_norm_all_heads = false;
  bool parallel_block = false, qk_norm = false, bidirectional = false, final_norm = true;
  bool attention_sinks = false;
  int sliding_window = 0, global_layer_period = 0;
  std::optional<Moe> moe;
  std::optional<Mla> mla;
  int mtp_layers = 0;
};

// Index into Block::arrays.
using ArrayId = int;

// How an array is sharded between ops (strategies/plan/plan.h).
enum class Place {
  kInner,     // as einsums use it
  kResidual,  // as the residual stream
  kRouted,    // on the ranks of the experts that its tokens go to; parameters: of routed experts
};

struct Array {
  std::string name;               // "x", "W_q"
  std::vector<std::string> dims;  // of the list above
  bool parameter = false;
  Place place = Place::kInner;
  // Bytes per element if not the compute type's (dropout masks 1); 0 means the compute type's.
  double element_bytes = 0;
  // A parameter that another block holds (the table of a tied head): not one more.
  bool shared = false;
};

// One operation of a block, forward. Backward follows from its kind
// (strategies/passes/lower_block.h).
struct Op {
  enum class Kind {
    kMatmul,       // outputs[i] = inputs[0] · weights[i]: one fused kernel with a common input
    kElementwise,  // reads inputs (and small weights), writes outputs
    kAttention,    // inputs q, k, v; output: composite op strategies/passes/ops/attention.cc
    kEmbedding,    // token ids -> outputs[0] by table lookup in weights[0]
    kLoss,         // inputs[0] logits -> scalar; cross-entropy over V; saves outputs[0]
    kDispatch,     // tokens to their experts: [B,T,D] -> [B,T,A,D]
    kExperts,      // a matmul whose weights [E,..] each token selects: [B,T,A,D] · [E,D,F_e]
    kCombine,      // tokens back, weighted by the router: [B,T,A,D], gates [B,T,A] -> [B,T,D]
  };
  Kind kind;
  // What the op is part of, for tables of parameters and FLOPs.
  enum class Part { kAttention, kMlp, kRouter, kNorm, kResidual, kEmbedding, kHead };
  Part part = Part::kResidual;
  OpRole role = OpRole::kResidualAdd;
  // Half of a layer that the op belongs to, with the norms before and after and the sum with the
  // stream. The norm before routed experts is the router's.
  enum class Sublayer { kNone, kAttention, kRouter, kFeed };
  Sublayer sublayer = Sublayer::kNone;
  std::string name;  // "qkv", "attention", "mlp_in"
  std::vector<ArrayId> inputs, weights, outputs;
  // kMatmul, kExperts: added to the outputs inside the kernel.
  std::vector<ArrayId> biases;
  // Inputs and outputs that backward needs; stored unless recomputed.
  std::vector<ArrayId> saved;
  // kElementwise: arithmetic per output element (norms, activations); HBM traffic is inputs +
  // outputs.
  double flops_per_element = 0;
  // Recompute class: outputs of the seven big matmuls are kept under "matmuls".
  bool big_matmul = false;
  // Run again under "selective" (unfused attention: scores, softmax, AV). What it saves but for its
  // inputs and outputs[0] is not kept; outputs[0] is, as the input of the next op.
  bool selective = false;
  // kAttention: positions a query sees, 0 for all; causal.
  int window = 0;
  bool causal = true;
};

struct Block {
  std::string name;  // "dense", "experts", "dense window"
  std::vector<Array> arrays;
  std::vector<Op> ops;
  ArrayId input = -1, output = -1;  // residual stream [B,T,D]
};

// Block kinds and which one each layer is; embedding before, head (final norm, logits, loss) after.
struct Transformer {
  Block embedding;
  std::vector<Block> kinds;
  std::vector<int> layer_kind;  // per layer: index into kinds
  int mtp_kind = -1;            // of each multi-token-prediction layer; -1: there is none
  Block head;
};

struct TransformerOptions {
  bool unfused_attention = false;
  bool dropout = false;
};

// With dims F = 0 (and no experts), N = 0 or V = 0 the block has no MLP, no attention, the model no
// embedding and head.
//
// What ops save adds up to Korthikanti et al. eq. 1 for a block with dropout, unfused attention and
// a plain MLP of F = 4 D in a 2-byte format: 34 s b h + 5 a s^2 b bytes.
Transformer BuildTransformer(const Model& model, const TransformerOptions& options);

// Size of a dimension of `model`; for B, T and S the arguments.
std::int64_t DimSize(const Model& model, const std::string& dim, std::int64_t batch,
                     std::int64_t sequence);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_MODEL_MODEL_H_
