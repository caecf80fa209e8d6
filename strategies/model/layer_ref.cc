#include "strategies/model/layer_ref.h"

#include "absl/strings/str_cat.h"

namespace meshstep {

std::string_view NameOf(LayerRef::Kind kind) {
  switch (kind) {
    case LayerRef::Kind::kNone:
      return "";
    case LayerRef::Kind::kEmbedding:
      return "embedding";
    case LayerRef::Kind::kLayer:
      return "layer";
    case LayerRef::Kind::kHead:
      return "head";
    case LayerRef::Kind::kMtpLayer:
    case LayerRef::Kind::kMtpHead:
      return "multi-token prediction";
  }
  return "";
}

std::string NameOf(const LayerRef& layer) {
  const std::string kind(NameOf(layer.kind));
  return layer.kind == LayerRef::Kind::kLayer ? absl::StrCat(kind, " ", layer.index) : kind;
}

}  // namespace meshstep
