// Parameters, FLOPs, bytes and saved activations of a model, counted from its op list
// (strategies/model/model.h), so that what is reported is what is simulated.
//
// Symbols as in strategies/model/model.h. Conventions of "How To Scale Your Model" ch. 4: 2 FLOPs
// per multiply-add, training is forward plus a backward of twice its matmuls, elementwise work is
// counted as bytes only.
//
//   const ModelArithmetic arithmetic(model, {.batch = 4, .queries = 8192, .keys = 8192});
//   arithmetic.Parameters().total;      // 70.55e9
//   arithmetic.Forward(Square::kFull).total();

#ifndef MESHSTEP_STRATEGIES_MODEL_MODEL_ARITHMETIC_H_
#define MESHSTEP_STRATEGIES_MODEL_MODEL_ARITHMETIC_H_

#include <string>
#include <vector>

#include "strategies/model/model.h"
#include "strategies/model/packing.h"

namespace meshstep {

// What one pass sees: sequences, new positions of each, positions that are attended to. Training
// and prefill have queries = keys; decode has one query.
struct TokenShape {
  double batch = 1, queries = 1, keys = 1;
  const Packing* packing = nullptr;  // documents of the queries' sequence; null: one
  double tokens() const { return batch * queries; }
};

// How much of the queries × keys square counts: all of it (Megatron, PaLM), or what a mask or
// window leaves (half of it if causal, to leading order).
enum class Square { kFull, kMasked };

struct ParameterCounts {
  double total = 0;
  double active = 0;  // that one token uses: k of E experts
  double embedding = 0, position = 0, head = 0, attention = 0, mlp = 0, router = 0, norm = 0;
  double prediction = 0;  // multi-token-prediction layers, in `total` but in no part above
};

// Forward FLOPs of all layers.
struct FlopCounts {
  double qkvo = 0, scores = 0, mlp = 0, router = 0, head = 0;
  double state = 0;       // recurrences and convolutions of mixers with a state
  double prediction = 0;  // multi-token-prediction layers with their heads
  double total() const { return qkvo + scores + state + mlp + router + head + prediction; }
};

// Which activations a layer keeps for backward.
enum class Keep { kAll, kSelective, kMatmuls, kInput };

// Tensor parallelism divides arrays with heads, MLP width or vocabulary by `tensor`; sequence
// parallelism the others too (Korthikanti et al. §4.2).
struct ActivationSharding {
  double tensor = 1;
  bool sequence_parallel = false;
};

class ModelArithmetic {
 public:
  // element_bytes: of the compute type.
  ModelArithmetic(const Model& model, const TokenShape& shape,
                  const TransformerOptions& options = {}, double element_bytes = 2);

  const Model& model() const { return model_; }
  const Transformer& transformer() const { return transformer_; }
  const TokenShape& shape() const { return shape_; }

  ParameterCounts Parameters() const;
  FlopCounts Forward(Square square) const;
  // 6 · parameters · tokens of MFU tables: active parameters without the embedding and position
  // tables, but with the head.
  double Model6ND() const;

  // Of one op of one layer, forward.
  double OpParameters(const Block& block, const Op& op, bool active) const;
  double OpFlops(const Block& block, const Op& op, Square square) const;
  // HBM traffic: every operand read once, every result written once.
  double OpBytes(const Block& block, const Op& op) const;

  // Bytes that one layer of this kind keeps from forward to backward. kMatmuls keeps the layer's
  // input and the results of the big matmuls; kInput the input alone ("full").
  double KeptBytes(const Block& block, Keep keep, const ActivationSharding& sharding = {}) const;
  // Forward FLOPs that backward does again under `keep`, all layers.
  double RecomputedFlops(Keep keep, Square square) const;

  // Keys and values of one more position, all layers, in a cache of `bytes` per element (latent
  // attention caches the compressed vector and the rotary key).
  double KvBytesPerToken(double bytes) const;
  // Of a sequence of `positions`; layers with a window keep no more than it, mixers with a state
  // that state.
  double KvBytesPerSequence(double positions, double bytes) const;

 private:
  const Model& ModelOf(const Block& block) const { return block.model ? *block.model : model_; }
  double Size(const Block& block, const std::string& dim, bool keys) const;
  // keys: T counts the attended positions (k and v of an attention op).
  double Elements(const Block& block, const Array& array, bool keys = false) const;
  double ArrayBytes(const Block& block, const Array& array, bool keys = false) const;
  double AttentionFlops(const Block& block, const Op& op, Square square) const;
  double IndexFlops(const Block& block, const Op& op, Square square) const;
  bool DoneAgain(const Op& op, Keep keep) const;
  double CachedElements(const Block& block, const Op& op) const;
  double StateBytes(const Block& block, const Op& op) const;

  const Model model_;
  const TokenShape shape_;
  const double element_bytes_;
  const Transformer transformer_;
};

// Activation bytes of one layer by Korthikanti et al. Table 2 (MHA, plain MLP of 4 h, dropout,
// 2-byte format): s b h (10 + 24/t + 5 a s / (h t)), and with sequence parallelism s b h / t (34 +
// 5 a s / h). selective: without the term of scores and softmax.
double MegatronActivationBytes(double s, double b, double h, double a, double t,
                               bool sequence_parallel, bool selective);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_MODEL_MODEL_ARITHMETIC_H_
