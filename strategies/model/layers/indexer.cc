// The lightning indexer: projections that every tensor rank does alike (heads of one indexer add up),
// the scores of all earlier keys, and the choice. With compressed keys it scores entries of its own.

#include "sim/base/dtype.h"
#include "strategies/model/layers/layer_parts.h"

namespace meshstep {
namespace {

// Keys and weights of x: one projection.
ArrayId AddKeys(const LayerParts& p, ArrayId x, ArrayId weights) {
  const ParameterSpec by_weights = {"W_index_weights", {"D", "I"}};
  if (p.model.compressed) {
    p.b.Matmul(OpRole::kIndexIn, "index_weights", x, {by_weights}, {weights}).big_matmul = true;
    return AddCompressor(p, x, "index_", "I_x", "I_z");
  }
  const ArrayId k = p.b.Activation("index_k_projected", {"B", "T", "H_i"});
  p.b.Matmul(OpRole::kIndexIn, "index_k", x, {{"W_index_k", {"D", "H_i"}}, by_weights},
             {k, weights})
      .big_matmul = true;
  return p.b.Norm("index_k_norm", k, true);
}

}  // namespace

ArrayId AddIndexer(const LayerParts& p, ArrayId x, ArrayId queries) {
  const std::string from = p.b.DimsOf(queries).back();
  const ArrayId q = p.b.Activation("index_q", {"B", "T", "I", "H_i"});
  p.b.Matmul(OpRole::kIndexIn, "index_q", queries, {{"W_index_q", {from, "I", "H_i"}}}, {q})
      .big_matmul = true;
  const ArrayId weights = p.b.Activation("index_weights", {"B", "T", "I"});
  const ArrayId k = AddKeys(p, x, weights);
  const ArrayId keys = p.b.Activation("index_keys", {"B", "T", "Z"}, kInt32Bytes);
  Op& op = p.b.Other(Op::Kind::kIndex, OpRole::kIndex, "index", {q, k, weights}, {keys});
  op.saved = {q, k, weights};
  op.top_k = p.model.indexer->top_k;
  op.rate = p.model.compressed ? p.model.compressed->rate : 0;
  op.causal = !p.model.bidirectional;
  return keys;
}

}  // namespace meshstep
