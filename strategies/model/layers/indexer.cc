// The lightning indexer: projections that every tensor rank does alike (heads of one indexer add up),
// the scores of all earlier keys, and the choice.

#include "sim/base/dtype.h"
#include "strategies/model/layers/layer_parts.h"

namespace meshstep {

ArrayId AddIndexer(const LayerParts& p, ArrayId x, ArrayId queries) {
  const std::string from = p.b.DimsOf(queries).back();
  const ArrayId q = p.b.Activation("index_q", {"B", "T", "I", "H_i"});
  p.b.Matmul(OpRole::kIndexIn, "index_q", queries, {{"W_index_q", {from, "I", "H_i"}}}, {q})
      .big_matmul = true;
  const ArrayId k_in = p.b.Activation("index_k_projected", {"B", "T", "H_i"});
  const ArrayId weights = p.b.Activation("index_weights", {"B", "T", "I"});
  p.b.Matmul(OpRole::kIndexIn, "index_k", x,
             {{"W_index_k", {"D", "H_i"}}, {"W_index_weights", {"D", "I"}}}, {k_in, weights})
      .big_matmul = true;
  const ArrayId k = p.b.Norm("index_k_norm", k_in, true);
  const ArrayId keys = p.b.Activation("index_keys", {"B", "T", "Z"}, kInt32Bytes);
  Op& op = p.b.Other(Op::Kind::kIndex, OpRole::kIndex, "index", {q, k, weights}, {keys});
  op.saved = {q, k, weights};
  op.top_k = p.model.indexer->top_k;
  op.causal = !p.model.bidirectional;
  return keys;
}

}  // namespace meshstep
