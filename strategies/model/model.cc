#include "strategies/model/model.h"

#include <algorithm>

#include "sim/base/check.h"
#include "sim/base/index.h"

namespace meshstep {

int LayerOrder::At(int layer) const {
  const std::size_t i = Index(layer);
  if (i < first.size()) return first[i];
  return period[(i - first.size()) % period.size()];
}

const Layer& Model::LayerAt(int layer) const {
  return kinds.empty() ? *this : kinds[Index(order.At(layer))];
}

Model WithLayer(const Model& model, const Layer& layer) {
  Model with = model;
  with.kinds.clear();
  with.order = {};
  static_cast<Layer&>(with) = layer;
  return with;
}

namespace {

std::int64_t AttentionSize(const Model& model, const std::string& dim) {
  const Mla mla = model.mla.value_or(Mla());
  const Indexer indexer = model.indexer.value_or(Indexer());
  if (dim == "N") return model.heads;
  if (dim == "K") return model.kv_heads;
  if (dim == "H") return model.head_dim;
  if (dim == "H_v") return model.mla ? mla.v_head_dim : model.v_head_dim;
  if (dim == "R_q") return model.compressed ? model.compressed->q_lora_rank : mla.q_lora_rank;
  if (dim == "R_kv") return mla.kv_lora_rank;
  if (dim == "H_r") return mla.qk_rope_head_dim;
  if (dim == "H_c") {
    return model.mla ? mla.kv_lora_rank + mla.qk_rope_head_dim : model.head_dim;
  }
  if (dim == "H_n") return mla.qk_nope_head_dim;
  if (dim == "I") return indexer.heads;
  if (dim == "H_i") return indexer.head_dim;
  return dim == "Z" ? indexer.top_k : -1;
}

std::int64_t CompressedSize(const Model& model, const std::string& dim) {
  const CompressedAttention c = model.compressed.value_or(CompressedAttention());
  const int rate = std::max(1, c.rate), wide = c.overlap ? 2 : 1;
  const int index = model.indexer.value_or(Indexer()).head_dim;
  if (dim == "Q") return c.rate;
  if (dim == "H_x") return wide * model.head_dim;
  if (dim == "H_z") return model.head_dim / rate;
  if (dim == "I_x") return wide * index;
  if (dim == "I_z") return index / rate;
  if (dim == "O") return c.output_groups;
  if (dim == "H_o") return model.heads / c.output_groups * model.head_dim;
  return dim == "R_o" ? c.output_rank : -1;
}

std::int64_t ExpertSize(const Model& model, const std::string& dim) {
  const Moe moe = model.moe.value_or(Moe());
  if (dim == "E") return moe.experts;
  if (dim == "A") return moe.experts_per_token;
  if (dim == "F_e") return moe.expert_ffn;
  if (dim == "F_s") return std::int64_t{moe.shared_experts} * moe.shared_expert_ffn;
  return dim == "D_l" ? moe.latent : -1;
}

// Of the mixer with a state.
std::int64_t StateSize(const Model& model, const std::string& dim) {
  struct Sizes {
    std::int64_t heads = 0, groups = 0, values = 0, keys = 0, conv = 1, chunk = 0, rank = 0,
                 gate = 0;
  } s;
  if (model.mixer == Mixer::kDeltaNet && model.delta_net) {
    const DeltaNet& d = *model.delta_net;
    s = {d.value_heads, d.key_heads, d.value_dim,  d.key_dim,
         d.conv,        d.chunk,     d.decay_rank, d.gate_rank};
  } else if (model.mixer == Mixer::kLinearAttention && model.linear_attention) {
    const LinearAttention& l = *model.linear_attention;
    s = {l.heads, l.heads, l.head_dim, l.head_dim, 1, l.chunk, 0, 0};
  } else if (model.mixer == Mixer::kShortConvolution && model.short_convolution) {
    s = {model.hidden, model.hidden, 1, 1, model.short_convolution->conv, 0, 0, 0};
  } else if (model.mixer == Mixer::kRecurrentUnit && model.recurrent_unit) {
    const RecurrentUnit& r = *model.recurrent_unit;
    const std::int64_t block = r.width / std::max(1, r.heads);
    s = {r.heads, r.heads, block, block, r.conv, 0, 0, 0};
  } else if (model.mamba) {
    const Mamba& m = *model.mamba;
    s = {m.heads, m.groups, m.head_dim, m.state, m.conv, m.chunk, m.dt_rank, 0};
  }
  if (dim == "M") return s.heads;
  if (dim == "G") return s.groups;
  if (dim == "M_v") return s.values;
  if (dim == "M_k") return s.keys;
  if (dim == "W") return s.conv;
  if (dim == "W_t") return s.conv - 1;
  if (dim == "L") return s.chunk;
  if (dim == "S_c") return s.values * s.keys / std::max<std::int64_t>(s.chunk, 1);
  if (dim == "R_d") return s.rank;
  return dim == "R_g" ? s.gate : -1;
}

}  // namespace

std::int64_t DimSize(const Model& model, const std::string& dim, std::int64_t batch,
                     std::int64_t sequence) {
  if (dim == "B") return batch;
  if (dim == "T" || dim == "S") return sequence;
  if (dim == "D") return model.hidden;
  if (dim == "D_e") return model.embedding_dim;
  if (dim == "F") return model.ffn;
  if (dim == "V") return model.vocab;
  if (dim == "P") return model.position_embeddings;
  if (dim == "C") return std::int64_t{2} * model.hidden;
  const std::int64_t streams = model.residual_streams;
  if (dim == "J") return streams;
  if (dim == "J_w") return streams * streams + 2 * streams;
  for (const auto size : {AttentionSize, CompressedSize, ExpertSize, StateSize}) {
    if (const std::int64_t found = size(model, dim); found >= 0) return found;
  }
  CHECK(false) << "dimension " << dim << " ";
  return 0;
}

}  // namespace meshstep
