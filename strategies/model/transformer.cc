// A layer: norms, a mixer of positions, an MLP and the sums with the residual stream; embedding,
// head, and which layer is of which kind.

#include <memory>

#include "sim/base/dtype.h"
#include "strategies/model/block_builder.h"
#include "strategies/model/layers/layer_parts.h"

namespace meshstep {
namespace {

Dims StreamDims(const Model& model) {
  return model.residual_streams > 1 ? Dims{"B", "T", "J", "D"} : kTokens;
}

class LayerBuilder {
 public:
  LayerBuilder(std::shared_ptr<const Model> model, const TransformerOptions& options,
               const std::string& name)
      : model_(std::move(model)), m_(*model_), options_(options), b_(name) {}

  Block Build(bool predicts_ahead);

 private:
  using Sublayer = Op::Sublayer;

  ArrayId AddBranch(Sublayer sublayer, const std::string& name, ArrayId x, ArrayId branch);
  // x with the branch that `part` makes of its normed stream.
  ArrayId AddHalf(Sublayer sublayer, const std::string& name, ArrayId x,
                  ArrayId (LayerBuilder::*part)(ArrayId));
  ArrayId ProjectStreams(ArrayId x);
  ArrayId Norm(Sublayer sublayer, const std::string& name, ArrayId x, bool there) {
    b_.SetSublayer(sublayer);
    return there ? b_.Norm(name, x, m_.norm_bias) : x;
  }
  ArrayId Mix(ArrayId x);
  ArrayId Feed(ArrayId x);
  Sublayer BeforeFeed() const { return m_.moe ? Sublayer::kRouter : Sublayer::kFeed; }
  bool HasMixer() const { return m_.HasAttention() || m_.HasState(); }

  const std::shared_ptr<const Model> model_;
  const Model& m_;
  const TransformerOptions options_;
  BlockBuilder b_;
};

ArrayId LayerBuilder::Mix(ArrayId x) {
  b_.SetSublayer(Sublayer::kAttention);
  const LayerParts p{m_, options_, b_};
  const auto attention = [&] {
    if (m_.compressed) return AddCompressedAttention(p, x);
    return m_.mla ? AddLatentAttention(p, x) : AddAttention(p, x);
  };
  switch (m_.mixer) {
    case Mixer::kAttention:
      return attention();
    case Mixer::kMamba:
      return AddMamba(p, x);
    case Mixer::kDeltaNet:
      return AddDeltaNet(p, x);
    case Mixer::kLinearAttention:
      return AddLinearAttention(p, x);
    case Mixer::kShortConvolution:
      return AddShortConvolution(p, x);
    case Mixer::kRecurrentUnit:
      return AddRecurrentUnit(p, x);
    case Mixer::kAttentionAndMamba: {
      const ArrayId attended = attention();
      const ArrayId scanned = AddMamba(p, x), sum = b_.Activation("mixer_branch", kTokens);
      b_.Elementwise(OpRole::kMixerAdd, "mixer_add", {attended, scanned}, {sum}, kAddFlops);
      return sum;
    }
    case Mixer::kNone:
      break;
  }
  return x;
}

ArrayId LayerBuilder::Feed(ArrayId x) {
  b_.SetSublayer(Sublayer::kFeed);
  const LayerParts p{m_, options_, b_};
  return m_.moe ? AddExperts(p, x) : AddMlp(p, x, "mlp", "F");
}

ArrayId LayerBuilder::AddBranch(Sublayer sublayer, const std::string& name, ArrayId x,
                                ArrayId branch) {
  b_.SetPart(Op::Part::kResidual);
  b_.SetSublayer(sublayer);
  const ArrayId out = b_.Activation("x_after_" + name, kTokens);
  if (!options_.dropout) {
    b_.Elementwise(OpRole::kResidualAdd, name + "_add", {x, branch}, {out}, kAddFlops);
    return out;
  }
  const ArrayId mask = b_.Activation(name + "_mask", kTokens, kMaskBytes);
  b_.Elementwise(OpRole::kDropoutAdd, name + "_dropout_add", {x, branch}, {out, mask},
                 kDropoutAddFlops)
      .saved = {mask};
  return out;
}

// Multi-token prediction, arXiv 2412.19437 §2.2: the layer sees the stream and the embedding of the
// next token (by the model's own table) side by side, each normed, projected back to D.
ArrayId LayerBuilder::ProjectStreams(ArrayId x) {
  b_.SetPart(Op::Part::kEmbedding);
  const ArrayId next = b_.Activation("next_embedding", kTokens);
  const ArrayId table = b_.Parameter({"W_embedding", {"V", "D"}});
  b_.SetShared(table);
  b_.Other(Op::Kind::kEmbedding, OpRole::kEmbedding, "mtp_embedding", {}, {next}).weights = {table};
  const ArrayId x_normed = b_.Norm("mtp_stream_norm", x, m_.norm_bias);
  const ArrayId next_normed = b_.Norm("mtp_embedding_norm", next, m_.norm_bias);
  const ArrayId both = b_.Stream("mtp_streams", {"B", "T", "C"});
  b_.Elementwise(OpRole::kConcatenate, "mtp_concatenate", {x_normed, next_normed}, {both}, 0);
  const ArrayId out = b_.Activation("mtp_x", kTokens);
  b_.Matmul(OpRole::kStreamProjection, "mtp_projection", both, {{"W_mtp", {"C", "D"}}}, {out})
      .big_matmul = true;
  return out;
}

ArrayId LayerBuilder::AddHalf(Sublayer sublayer, const std::string& name, ArrayId x,
                              ArrayId (LayerBuilder::*part)(ArrayId)) {
  const int norms = m_.norms_per_layer;
  const bool streams = m_.residual_streams > 1;
  b_.SetSublayer(sublayer);
  const StreamWeights read = streams ? ReadStreams(name, x, &b_) : StreamWeights{x};
  const Sublayer before = sublayer == Sublayer::kFeed ? BeforeFeed() : sublayer;
  ArrayId branch = (this->*part)(Norm(before, name + "_norm", read.x, norms >= 1));
  branch = Norm(sublayer, name + "_post_norm", branch, norms == 4);
  return streams ? WriteStreams(name, x, read.weights, branch, &b_)
                 : AddBranch(sublayer, name, x, branch);
}

Block LayerBuilder::Build(bool predicts_ahead) {
  const bool streams = m_.residual_streams > 1;
  const ArrayId input = b_.Activation("x", StreamDims(m_));
  ArrayId x = input;
  if (predicts_ahead) {
    x = ProjectStreams(streams ? SumStreams(x, &b_) : x);
    if (streams) x = AddStreams(x, &b_);
  }
  const int norms = m_.norms_per_layer;
  if (m_.parallel_block && HasMixer() && m_.HasFeed()) {
    const ArrayId a = Norm(Sublayer::kNone, "norm", x, norms >= 1);
    const ArrayId f = norms == 2 ? Norm(BeforeFeed(), "mlp_norm", x, true) : a;
    const ArrayId attended = Mix(a);
    const ArrayId fed = Feed(f);
    x = AddBranch(Sublayer::kAttention, "attention", x, attended);
    x = AddBranch(Sublayer::kFeed, "mlp", x, fed);
  } else {
    if (HasMixer()) x = AddHalf(Sublayer::kAttention, "attention", x, &LayerBuilder::Mix);
    if (m_.HasFeed()) x = AddHalf(Sublayer::kFeed, "mlp", x, &LayerBuilder::Feed);
  }
  b_.SetEnds(input, x);
  Block block = b_.Take();
  block.model = model_;
  return block;
}

// A table of D_e columns and a projection to D; learned positions are as wide as the stream
// (OPT-350m, arXiv 2205.01068; modeling_opt.py of Hugging Face transformers).
ArrayId NarrowEmbedding(const Model& model, BlockBuilder* b) {
  const ArrayId narrow = b->Activation("x_narrow", {"B", "T", "D_e"});
  b->SetPlace(narrow, Place::kResidual);
  b->Other(Op::Kind::kEmbedding, OpRole::kEmbedding, "embedding", {}, {narrow}).weights = {
      b->Parameter({"W_embedding", {"V", "D_e"}})};
  b->SetPart(Op::Part::kHead);
  ArrayId x = b->Activation("x", kTokens);
  b->Matmul(OpRole::kEmbeddingProjection, "embedding_in", narrow,
            {{"W_embedding_in", {"D_e", "D"}}}, {x})
      .big_matmul = true;
  b->SetPart(Op::Part::kEmbedding);
  if (model.position_embeddings == 0) return x;
  const ArrayId position = b->Activation("position", kTokens);
  b->Other(Op::Kind::kEmbedding, OpRole::kPositionEmbedding, "position_embedding", {}, {position})
      .weights = {b->Parameter({"W_position", {"P", "D"}})};
  const ArrayId sum = b->Activation("x_positioned", kTokens);
  b->Elementwise(OpRole::kPositionAdd, "position_add", {x, position}, {sum}, kAddFlops);
  return sum;
}

Block EmbeddingBlock(const Model& model, const TransformerOptions& options) {
  BlockBuilder b("embedding");
  b.SetPart(Op::Part::kEmbedding);
  ArrayId x = -1;
  if (model.embedding_dim > 0) {
    x = NarrowEmbedding(model, &b);
  } else {
    x = b.Activation("x", kTokens);
    std::vector<ArrayId> tables = {b.Parameter({"W_embedding", {"V", "D"}})};
    if (model.position_embeddings > 0) tables.push_back(b.Parameter({"W_position", {"P", "D"}}));
    b.Other(Op::Kind::kEmbedding, OpRole::kEmbedding, "embedding", {}, {x}).weights = tables;
  }
  if (options.dropout) {
    const ArrayId in = x, mask = b.Activation("embedding_mask", kTokens, kMaskBytes);
    x = b.Activation("x_dropped", kTokens);
    b.Elementwise(OpRole::kDropout, "embedding_dropout", {in}, {x, mask}, 2).saved = {mask};
  }
  if (model.residual_streams > 1) x = AddStreams(x, &b);
  b.SetEnds(-1, x);
  return b.Take();
}

Block HeadBlock(const Model& model) {
  BlockBuilder b("head");
  b.SetPart(Op::Part::kHead);
  const ArrayId input = b.Activation("x", StreamDims(model));
  ArrayId x = model.residual_streams > 1 ? SumStreams(input, &b) : input;
  if (model.final_norm) x = b.Norm("final_norm", x, model.norm_bias);
  b.SetEnds(input, -1);
  if (model.vocab == 0) return b.Take();
  const Dims vocab = {"B", "T", "V"};
  const ArrayId logits = b.Activation("logits", vocab);
  std::string width = "D";
  if (model.embedding_dim > 0) {
    width = "D_e";
    const ArrayId narrow = b.Activation("x_out", {"B", "T", width});
    b.SetPlace(narrow, Place::kResidual);
    b.Matmul(OpRole::kEmbeddingProjection, "embedding_out", x, {{"W_embedding_out", {"D", width}}},
             {narrow})
        .big_matmul = true;
    x = narrow;
  }
  const Dims table = model.tied_embeddings ? Dims{"V", width} : Dims{width, "V"};
  const Op& op = b.Matmul(OpRole::kLogits, "logits", x, {{"W_head", table}}, {logits});
  if (model.tied_embeddings) b.SetShared(op.weights[0]);
  const ArrayId softmax = b.Activation("token_softmax", vocab, kFp32Bytes);
  Op& loss = b.Other(Op::Kind::kLoss, OpRole::kLoss, "loss", {logits}, {softmax});
  loss.saved = {softmax};
  loss.flops_per_element = kActivationFlops;
  return b.Take();
}

// What a layer that predicts further tokens holds: the model's own, with the window of the last layer.
// It compresses no keys (DeepSeek-V4: the last of compress_ratios is 0).
Layer PredictionLayer(const Model& model) {
  Layer layer = model;
  if (layer.compressed) {
    layer.compressed->rate = 0;
    layer.indexer.reset();
  }
  const Layer& last = model.LayerAt(model.layers - 1);
  if (last.HasAttention()) layer.sliding_window = last.sliding_window;
  return layer;
}

std::string NameOf(const Layer& layer) {
  if (!layer.kind.empty()) return layer.kind;
  return layer.moe ? "experts" : "dense";
}

Block BuildLayer(const Model& model, const Layer& layer, const TransformerOptions& options,
                 const std::string& name, bool predicts_ahead) {
  auto with = std::make_shared<const Model>(WithLayer(model, layer));
  return LayerBuilder(std::move(with), options, name).Build(predicts_ahead);
}

}  // namespace

Transformer BuildTransformer(const Model& model, const TransformerOptions& options) {
  Transformer t;
  t.embedding = EmbeddingBlock(model, options);
  t.head = HeadBlock(model);
  for (const Layer& kind : model.Kinds()) {
    t.kinds.push_back(BuildLayer(model, kind, options, NameOf(kind), false));
  }
  for (int layer = 0; layer < model.layers; ++layer) {
    t.layer_kind.push_back(model.kinds.empty() ? 0 : model.order.At(layer));
  }
  if (model.mtp_layers > 0) {
    t.mtp_kind = static_cast<int>(t.kinds.size());
    t.kinds.push_back(
        BuildLayer(model, PredictionLayer(model), options, "multi-token prediction", true));
  }
  return t;
}

}  // namespace meshstep
