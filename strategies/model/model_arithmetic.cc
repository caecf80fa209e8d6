#include "strategies/model/model_arithmetic.h"

#include <algorithm>
#include <set>

#include "sim/base/check.h"
#include "sim/base/index.h"

namespace meshstep {
namespace {

const Array& At(const Block& block, ArrayId id) {
  return block.arrays[static_cast<std::size_t>(id)];
}

bool Has(const Array& array, const std::string& dim) {
  return std::find(array.dims.begin(), array.dims.end(), dim) != array.dims.end();
}

// Share of the queries × keys square that is visible: with queries at the end of the keys, query i
// sees min(keys, window) of them, of its own stretch on average half if causal.
double VisibleFraction(const Op& op, const TokenShape& shape);

// Of compressed attention: the window, and entries for as many positions as they stand for.
double CompressedFraction(const Op& op, const TokenShape& shape) {
  Op window = op, entries = op;
  window.compressed = entries.compressed = false;
  window.top_k = 0;
  entries.window = 0;
  entries.top_k = op.top_k * op.rate;
  const double beside = op.rate > 0 ? VisibleFraction(entries, shape) / op.rate : 0;
  return VisibleFraction(window, shape) + beside;
}

double VisibleFraction(const Op& op, const TokenShape& shape) {
  if (op.compressed) return CompressedFraction(op, shape);
  // What an indexer chooses is as many as a window would leave.
  const int window = op.top_k > 0 ? op.top_k : op.window;
  if (op.chunk > 0) {
    const double c = std::min(1.0, op.chunk / shape.keys);
    return shape.queries < shape.keys ? c : c / 2;
  }
  if (shape.queries < shape.keys) return window > 0 ? std::min(1.0, window / shape.keys) : 1;
  return VisibleShare(shape.keys, window, op.causal, shape.packing);
}

}  // namespace

ModelArithmetic::ModelArithmetic(const Model& model, const TokenShape& shape,
                                 const TransformerOptions& options, double element_bytes)
    : model_(model),
      shape_(shape),
      element_bytes_(element_bytes),
      transformer_(BuildTransformer(model, options)) {}

double ModelArithmetic::Size(const Block& block, const std::string& dim, bool keys) const {
  if (dim == "B") return shape_.batch;
  if (dim == "T") return keys ? shape_.keys : shape_.queries;
  if (dim == "S") return shape_.keys;
  return static_cast<double>(DimSize(ModelOf(block), dim, 1, 1));
}

double ModelArithmetic::Elements(const Block& block, const Array& array, bool keys) const {
  double elements = 1;
  for (const std::string& dim : array.dims) elements *= Size(block, dim, keys);
  return elements;
}

double ModelArithmetic::ArrayBytes(const Block& block, const Array& array, bool keys) const {
  return Elements(block, array, keys) *
         (array.element_bytes > 0 ? array.element_bytes : element_bytes_);
}

double ModelArithmetic::OpParameters(const Block& block, const Op& op, bool active) const {
  double share = 1;
  if (active && op.kind == Op::Kind::kExperts) {
    const Moe& moe = *ModelOf(block).moe;
    share = static_cast<double>(moe.experts_per_token) / moe.experts;
  }
  double count = 0;
  for (const auto* list : {&op.weights, &op.biases}) {
    for (const ArrayId id : *list) {
      if (!At(block, id).shared) count += share * Elements(block, At(block, id));
    }
  }
  return count;
}

double ModelArithmetic::AttentionFlops(const Block& block, const Op& op, Square square) const {
  const Array& q = At(block, op.inputs[0]);
  const Array& out = At(block, op.outputs[0]);  // as wide as a value
  const double pairs = shape_.batch * shape_.queries * shape_.keys * Size(block, "N", false);
  // What an indexer does not choose is in no convention, nor what is compressed away.
  const bool full = square == Square::kFull && op.top_k == 0 && !op.compressed;
  const double visible = full ? 1 : VisibleFraction(op, shape_);
  return 2 * pairs * visible *
         (Size(block, q.dims.back(), false) + Size(block, out.dims.back(), false));
}

// Scores of every earlier key, their relu weighted and summed over the heads.
double ModelArithmetic::IndexFlops(const Block& block, const Op& op, Square square) const {
  Op all = op;
  all.top_k = 0;
  const double pairs =
      shape_.batch * shape_.queries * shape_.keys * Size(block, "I", false) / std::max(1, op.rate);
  const double visible = square == Square::kFull ? 1 : VisibleFraction(all, shape_);
  return 2 * pairs * visible * (Size(block, "H_i", false) + 1);
}

double ModelArithmetic::OpFlops(const Block& block, const Op& op, Square square) const {
  if (op.kind == Op::Kind::kAttention) return AttentionFlops(block, op, square);
  if (op.kind == Op::Kind::kIndex) return IndexFlops(block, op, square);
  if (op.kind == Op::Kind::kChunked) {
    double flops = 0;
    for (const Work& work : op.mixer->model_work) {
      flops += work.flops * Elements(block, At(block, work.of));
    }
    return flops;
  }
  if (op.kind != Op::Kind::kMatmul && op.kind != Op::Kind::kExperts) return 0;
  const Array& input = At(block, op.inputs[0]);
  double flops = 0;
  for (const ArrayId id : op.weights) {
    double product = 2 * Elements(block, input);
    for (const std::string& dim : At(block, id).dims) {
      // Each token meets one expert of E: its A experts are a dimension of the input.
      const bool chosen = op.kind == Op::Kind::kExperts && dim == "E";
      if (!chosen && !Has(input, dim)) product *= Size(block, dim, false);
    }
    flops += product;
  }
  return flops;
}

double ModelArithmetic::OpBytes(const Block& block, const Op& op) const {
  double bytes = 0;
  const bool attention = op.kind == Op::Kind::kAttention;
  for (std::size_t i = 0; i < op.inputs.size(); ++i) {
    bytes += ArrayBytes(block, At(block, op.inputs[i]), attention && i > 0);
  }
  for (const ArrayId id : op.outputs) bytes += ArrayBytes(block, At(block, id));
  for (const auto* list : {&op.weights, &op.biases}) {
    for (const ArrayId id : *list) {
      if (op.kind != Op::Kind::kEmbedding) bytes += ArrayBytes(block, At(block, id));
    }
  }
  // A lookup reads the rows of its tokens, not the table.
  if (op.kind == Op::Kind::kEmbedding) bytes *= 2;
  return bytes;
}

ParameterCounts ModelArithmetic::Parameters() const {
  ParameterCounts counts;
  const auto add = [&](const Block& block, bool prediction) {
    for (const Op& op : block.ops) {
      const double n = OpParameters(block, op, false);
      counts.total += n;
      counts.active += OpParameters(block, op, true);
      if (prediction) {
        counts.prediction += n;
        continue;
      }
      switch (op.part) {
        case Op::Part::kAttention:
          counts.attention += n;
          break;
        case Op::Part::kMlp:
          counts.mlp += n;
          break;
        case Op::Part::kRouter:
          counts.router += n;
          break;
        case Op::Part::kNorm:
        case Op::Part::kResidual:
          counts.norm += n;
          break;
        case Op::Part::kEmbedding:
          counts.embedding += n;
          break;
        case Op::Part::kHead:
          counts.head += n;
          break;
      }
    }
  };
  add(transformer_.embedding, false);
  for (const int kind : transformer_.layer_kind) {
    add(transformer_.kinds[static_cast<std::size_t>(kind)], false);
  }
  add(transformer_.head, false);
  for (int i = 0; i < model_.mtp_layers; ++i) {
    add(transformer_.kinds[static_cast<std::size_t>(transformer_.mtp_kind)], true);
  }
  counts.position =
      static_cast<double>(model_.position_embeddings) * static_cast<double>(model_.hidden);
  counts.embedding -= counts.position;
  return counts;
}

FlopCounts ModelArithmetic::Forward(Square square) const {
  FlopCounts counts;
  const auto add = [&](const Block& block, double times, bool prediction) {
    for (const Op& op : block.ops) {
      const double flops = times * OpFlops(block, op, square);
      double* part = prediction ? &counts.prediction
                     : op.kind == Op::Kind::kAttention || op.kind == Op::Kind::kIndex
                         ? &counts.scores
                     : op.kind == Op::Kind::kChunked   ? &counts.state
                     : op.part == Op::Part::kAttention ? &counts.qkvo
                     : op.part == Op::Part::kRouter    ? &counts.router
                     : op.part == Op::Part::kHead      ? &counts.head
                                                       : &counts.mlp;
      *part += flops;
    }
  };
  for (std::size_t kind = 0; kind < transformer_.kinds.size(); ++kind) {
    const auto times = std::count(transformer_.layer_kind.begin(), transformer_.layer_kind.end(),
                                  static_cast<int>(kind));
    add(transformer_.kinds[kind], static_cast<double>(times), false);
  }
  add(transformer_.embedding, 1, false);
  add(transformer_.head, 1, false);
  if (model_.mtp_layers > 0) {
    add(transformer_.kinds[static_cast<std::size_t>(transformer_.mtp_kind)], model_.mtp_layers,
        true);
    add(transformer_.head, model_.mtp_layers, true);
  }
  return counts;
}

double ModelArithmetic::Model6ND() const {
  const ParameterCounts counts = Parameters();
  // A tied table does the head's matmul; an untied one is only looked up.
  const double tables = counts.position + (model_.tied_embeddings ? 0 : counts.embedding);
  return 6 * (counts.active - tables) * shape_.tokens();
}

bool ModelArithmetic::DoneAgain(const Op& op, Keep keep) const {
  return keep == Keep::kInput || (keep == Keep::kMatmuls && !op.big_matmul) ||
         (keep == Keep::kSelective && op.selective);
}

double ModelArithmetic::KeptBytes(const Block& block, Keep keep,
                                  const ActivationSharding& sharding) const {
  std::set<ArrayId> needed, made_again;
  for (const Op& op : block.ops) {
    needed.insert(op.saved.begin(), op.saved.end());
    if (keep == Keep::kMatmuls && op.big_matmul) {
      needed.insert(op.outputs.begin(), op.outputs.end());
    }
    if (!DoneAgain(op, keep)) continue;
    const auto first = op.outputs.begin() + (keep == Keep::kSelective ? 1 : 0);
    made_again.insert(first, op.outputs.end());
  }
  if (block.input >= 0) needed.insert(block.input);
  double bytes = 0;
  for (const ArrayId id : needed) {
    if (made_again.contains(id)) continue;
    const Array& array = At(block, id);
    bool sharded = sharding.sequence_parallel;
    for (const char* dim : {"N", "K", "M", "G", "O", "F", "F_e", "F_s", "V"})
      sharded |= Has(array, dim);
    bytes += ArrayBytes(block, array) / (sharded ? sharding.tensor : 1);
  }
  return bytes;
}

double ModelArithmetic::RecomputedFlops(Keep keep, Square square) const {
  double flops = 0;
  if (keep == Keep::kAll) return flops;
  for (const int kind : transformer_.layer_kind) {
    const Block& block = transformer_.kinds[static_cast<std::size_t>(kind)];
    for (const Op& op : block.ops) {
      if (DoneAgain(op, keep)) flops += OpFlops(block, op, square);
    }
  }
  return flops;
}

// What one position of attention leaves in the cache: keys and values, the compressed vector and
// the rotary key of latent attention, the keys of an indexer, its part of an entry.
double ModelArithmetic::CachedElements(const Block& block, const Op& op) const {
  const Model& model = ModelOf(block);
  if (op.kind == Op::Kind::kIndex) return Size(block, "H_i", false) / std::max(1, op.rate);
  if (op.kind != Op::Kind::kAttention) return 0;
  if (op.compressed) return Size(block, "H", false) / std::max(1, op.rate);
  if (model.mla) return model.mla->kv_lora_rank + model.mla->qk_rope_head_dim;
  const Array& v = At(block, op.inputs[2]);
  return Size(block, "K", false) * (Size(block, "H", false) + Size(block, v.dims.back(), false));
}

double ModelArithmetic::StateBytes(const Block& block, const Op& op) const {
  double bytes = 0;
  if (op.kind != Op::Kind::kChunked) return bytes;
  for (const ArrayId state : op.mixer->state) {
    bytes += ArrayBytes(block, At(block, state)) / shape_.batch;
  }
  return bytes;
}

double ModelArithmetic::KvBytesPerToken(double bytes) const {
  double elements = 0;
  for (const int kind : transformer_.layer_kind) {
    const Block& block = transformer_.kinds[Index(kind)];
    for (const Op& op : block.ops) elements += CachedElements(block, op);
  }
  return bytes * elements;
}

double ModelArithmetic::KvBytesPerSequence(double positions, double bytes) const {
  double kept = 0;
  for (const int kind : transformer_.layer_kind) {
    const Block& block = transformer_.kinds[Index(kind)];
    for (const Op& op : block.ops) {
      const int most = op.window > 0 ? op.window : op.chunk;
      const double seen = most > 0 ? std::min<double>(most, positions) : positions;
      const bool entries = op.rate > 0;
      kept += bytes * CachedElements(block, op) * (entries ? positions : seen);
      if (op.compressed && entries) kept += bytes * Size(block, "H", false) * seen;
      kept += StateBytes(block, op);
    }
  }
  return kept;
}

double MegatronActivationBytes(double s, double b, double h, double a, double t,
                               bool sequence_parallel, bool selective) {
  const double square = selective ? 0 : 5 * a * s / h;
  if (sequence_parallel) return s * b * h / t * (34 + square);
  return s * b * h * (10 + 24 / t + square / t);
}

}  // namespace meshstep
