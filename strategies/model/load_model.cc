#include "strategies/model/load_model.h"

#include "absl/strings/str_cat.h"
#include "meshstep/v1/model.pb.h"
#include "strategies/model/load_fields.h"
#include "strategies/model/load_layer.h"
#include "strategies/model/load_layer_kinds.h"

namespace meshstep {
namespace {

class Loader : private FieldLoader {
 public:
  Loader(const v1::Model& message, const std::string& field, Diagnostics* diagnostics)
      : FieldLoader(field, diagnostics), in_(message) {}

  Model Load();

 private:
  void Dimensions();
  void Options();
  void EmbeddingWidth();
  void Layers();

  const v1::Model& in_;
  Model out_;
};

void Loader::Dimensions() {
  out_.name = in_.name().empty() ? "unnamed model" : in_.name();
  out_.layers = Needed("layers", in_.has_layers(), in_.layers(), 1, kMaxLayers, "number of layers");
  out_.hidden = Needed("hidden", in_.has_hidden(), in_.hidden(), 1, kMaxWidth,
                       "width of the residual stream");
  out_.vocab = Needed("vocab", in_.has_vocab(), in_.vocab(), 0, kMaxWide, "size of the vocabulary");
}

void Loader::Options() {
  out_.tied_embeddings = in_.tied_embeddings();
  out_.position_embeddings = Range("position_embeddings", in_.position_embeddings(), 0, kMaxWide);
  out_.final_norm = !in_.has_final_norm() || in_.final_norm();
  out_.mtp_layers = Range("mtp_layers", in_.mtp_layers(), 0, 64);
  if (in_.has_residual_streams()) {
    out_.residual_streams = Range("residual_streams", in_.residual_streams(), 1, 64);
  }
}

void Loader::EmbeddingWidth() {
  if (!in_.has_embedding_dim()) return;
  const int width = Range("embedding_dim", in_.embedding_dim(), 1, kMaxWidth);
  if (width == out_.hidden) return;
  out_.embedding_dim = width;
  if (out_.mtp_layers > 0) {
    Problem("embedding_dim", absl::StrCat("is ", width, ", but mtp_layers needs a table as wide ",
                                          "as the stream, ", out_.hidden));
  }
}

Model Loader::Load() {
  Dimensions();
  Options();
  EmbeddingWidth();
  if (in_.layer_kinds_size() == 0) {
    LoadUsualLayers(in_, field(), &diagnostics(), &out_);
  } else if (ok()) {
    LoadLayerKinds(in_, field(), &diagnostics(), &out_);
  }
  if (out_.residual_streams > 1) {
    for (const Layer& kind : out_.Kinds()) {
      if (!kind.parallel_block) continue;
      Problem("residual_streams", "is more than 1, but a parallel block has one stream");
      break;
    }
  }
  return out_;
}

}  // namespace

Model LoadModel(const v1::Model& message, const std::string& field, Diagnostics* diagnostics) {
  return Loader(message, field, diagnostics).Load();
}

}  // namespace meshstep
