// A transformer as a value, and as a list of einsums over named dimensions.
//
// Named dimensions: B batch (sequences), T positions, S key positions (scores only), D hidden,
// N query heads, K key/value heads, H head size, F MLP width, V vocabulary, P rows of the position
// table. Routed experts: E experts, A experts of one token, F_e and F_s inner widths of a routed
// expert and of the shared experts together, D_l the width of tokens at experts of a latent. D_e:
// width of the embedding table. Latent attention: R_q, R_kv ranks, H_r, H_n, H_v sizes of the
// rotary, the other and the value part of a head (then H is H_n + H_r); H_v without it: size of a
// value head that is not H. I, H_i: heads of an indexer and their size; Z: keys that it chooses.
// Mixers with a state: M heads, G groups of heads that share keys (and queries), M_v and M_k
// channels of a head's values and keys, so that its state is M_v x M_k; W positions that a
// convolution spans, W_t those before the last; R_d rank of decays or step sizes, R_g of gates; L
// a chunk's positions, S_c of a chunk's state what falls to each; H_c: R_kv + H_r,
// else H. Q: positions of a compressed entry; H_x, I_x what they are projected to for it; H_z, I_z what
// of an entry (of H, H_i) falls to each. O groups of heads with an output projection of their own, H_o
// channels of one, R_o the width made of them. J: residual streams, J_w their weights in one half of a
// layer. C: 2 D, two streams side by side (multi-token prediction). Sources: "How To Scale Your Model" ch. 4; Korthikanti et al. arXiv
// 2205.05198 for what is saved.

#ifndef MESHSTEP_STRATEGIES_MODEL_MODEL_H_
#define MESHSTEP_STRATEGIES_MODEL_MODEL_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "strategies/model/op_role.h"

namespace meshstep {

struct Moe {
  int experts = 0, experts_per_token = 0;
  int expert_ffn = 0;
  int shared_experts = 0, shared_expert_ffn = 0;
  int groups = 0, groups_per_token = 0;
  bool router_bias = false, shared_expert_gate = false;
  int latent = 0;  // 0: tokens go to experts as wide as the stream
};

struct Mla {
  int q_lora_rank = 0, kv_lora_rank = 0;
  int qk_nope_head_dim = 0, qk_rope_head_dim = 0, v_head_dim = 0;
};

struct Mamba {
  int heads = 0, head_dim = 1, groups = 1, state = 0, conv = 4, chunk = 256;
  int dt_rank = 0;  // of Mamba-1; 0: Mamba-2
  bool conv_bias = true, projection_bias = false, norm = true;
};

struct DeltaNet {
  int key_heads = 0, value_heads = 0, key_dim = 0, value_dim = 0, conv = 4, chunk = 64;
  int decay_rank = 0, gate_rank = 0;
};

struct LinearAttention {
  int heads = 0, head_dim = 0, chunk = 256;
  bool gate = true;
};

struct ShortConvolution {
  int conv = 3;
  bool bias = false;
};

struct RecurrentUnit {
  int width = 0, heads = 0, conv = 4;
};

struct Indexer {
  int heads = 0, head_dim = 0, top_k = 0;
};

struct CompressedAttention {
  int q_lora_rank = 0, output_groups = 1, output_rank = 0;
  int rate = 0;  // positions of an entry; 0: the window alone
  bool overlap = false;
};

enum class Mixer {
  kAttention,
  kMamba,
  kDeltaNet,
  kLinearAttention,
  kAttentionAndMamba,
  kShortConvolution,
  kRecurrentUnit,
  kNone,
};

// What a layer holds. Field meanings and defaults as in proto/meshstep/v1/model.proto; defaults are
// filled in. Without heads there is no attention; with `moe` the MLP is routed, without it and
// without a width there is none.
struct Layer {
  std::string kind;  // "dense", "experts, window 512"
  Mixer mixer = Mixer::kAttention;
  int heads = 0, kv_heads = 0, head_dim = 0, ffn = 0;
  int v_head_dim = 0;  // 0: head_dim
  bool gated_mlp = false, norm_bias = false;
  int norms_per_layer = 2;
  bool qkv_bias = false, attention_output_bias = false, mlp_bias = false;
  bool rotary = true, qk_norm = false, qk_norm_all_heads = false;
  bool parallel_block = false, bidirectional = false;
  bool attention_sinks = false, attention_gate = false, attention_head_gate = false;
  bool keys_as_values = false;
  int sliding_window = 0, attention_chunk = 0;
  std::optional<Moe> moe;
  std::optional<Mla> mla;
  std::optional<Mamba> mamba;
  std::optional<DeltaNet> delta_net;
  std::optional<LinearAttention> linear_attention;
  std::optional<Indexer> indexer;
  std::optional<ShortConvolution> short_convolution;
  std::optional<RecurrentUnit> recurrent_unit;
  std::optional<CompressedAttention> compressed;

  bool HasAttention() const {
    return heads > 0 && (mixer == Mixer::kAttention || mixer == Mixer::kAttentionAndMamba);
  }
  bool HasState() const { return mixer != Mixer::kAttention && mixer != Mixer::kNone; }
  bool HasFeed() const { return moe.has_value() || ffn > 0; }
};

// Kinds of layers one after another: `first`, then `period` again and again. Each is an index into
// Model::kinds.
struct LayerOrder {
  std::vector<int> first, period = {0};
  int At(int layer) const;
};

// A model's own `Layer` is what multi-token prediction and reports take for a layer: the only kind,
// or attention and MLP of the first kinds that have them.
struct Model : Layer {
  std::string name;
  int layers = 0, hidden = 0, vocab = 0;
  bool tied_embeddings = false, final_norm = true;
  int position_embeddings = 0;
  int embedding_dim = 0;  // of a table narrower than the stream; 0: as wide
  int residual_streams = 1;
  int mtp_layers = 0;
  std::vector<Layer> kinds;  // empty: every layer is the model's own
  LayerOrder order;

  const Layer& LayerAt(int layer) const;
  // Its kinds, or its own layer alone.
  std::span<const Layer> Kinds() const {
    const Layer& own = *this;
    return kinds.empty() ? std::span<const Layer>(&own, 1) : std::span<const Layer>(kinds);
  }
};

// `model` with `layer` for its own.
Model WithLayer(const Model& model, const Layer& layer);

// Index into Block::arrays.
using ArrayId = int;

// How an array is sharded between ops (strategies/plan/plan.h).
enum class Place {
  kInner,     // as einsums use it
  kResidual,  // as the residual stream
  kRouted,    // on the ranks of the experts that its tokens go to; parameters: of routed experts
  kChunked,  // as mixers with a state use it: shards of the sequence, or of the heads in their place
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

// FLOPs for each element of an array.
struct Work {
  ArrayId of = -1;
  double flops = 0;
};

// One kernel of a mixer with a state. A gradient is as large as its array: `moves` lists what the
// kernel reads and writes, forward or backward.
struct MixerKernel {
  std::string name;
  std::vector<Work> work = {};
  std::vector<ArrayId> moves = {};
  // What it writes goes on to the next ranks of the sequence before the kernels after it run.
  bool hands_on = false;
};

// A mixer of positions that carries a state from one to the next. Times of its kernels are
// estimates: what each multiplies at the rate of matmuls, or moves at that of HBM.
struct StateMixer {
  std::vector<MixerKernel> forward, backward;
  // What goes on from a position, of each sequence; decode keeps it.
  std::vector<ArrayId> state;
  // The state of a rank needs that of the rank before; else it is the last positions of that rank.
  bool chained = true;
  // Forward, by one position after another: what counters of model FLOPs count, and decode does.
  std::vector<Work> model_work;
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
    kChunked,      // a mixer of positions with a state: strategies/passes/ops/chunked.cc
    kIndex,        // q [B,T,I,H_i], k [B,T,H_i], weights [B,T,I] -> keys of each query [B,T,Z]
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
  // kAttention: positions a query sees, 0 for all; those of its chunk; as many as it chooses of all
  // (inputs[3] says which); causal.
  int window = 0, chunk = 0, top_k = 0;
  bool causal = true;
  // kAttention of compressed keys (passes/ops/compressed_attention.cc): beside the window entries,
  // inputs.back(), of `rate` positions; top_k counts entries. kIndex: entries that are scored.
  bool compressed = false;
  int rate = 0;
  // kChunked.
  std::shared_ptr<const StateMixer> mixer;
};

struct Block {
  std::string name;  // "dense", "experts", "dense window"
  std::vector<Array> arrays;
  std::vector<Op> ops;
  ArrayId input = -1, output = -1;  // residual stream [B,T,D]
  // The model as this block sees it: its own layer is the block's. Null: the whole model.
  std::shared_ptr<const Model> model;
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
// embedding and head. As many blocks as kinds of layers, however many layers.
//
// What ops save adds up to Korthikanti et al. eq. 1 for a block with dropout, unfused attention and
// a plain MLP of F = 4 D in a 2-byte format: 34 s b h + 5 a s^2 b bytes.
Transformer BuildTransformer(const Model& model, const TransformerOptions& options);

// Size of a dimension of `model`; for B, T and S the arguments.
std::int64_t DimSize(const Model& model, const std::string& dim, std::int64_t batch,
                     std::int64_t sequence);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_MODEL_MODEL_H_
