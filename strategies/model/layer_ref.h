// Which block of a model: the embedding, a layer, the head, or one of the blocks after the head
// that predict further tokens.

#ifndef MESHSTEP_STRATEGIES_MODEL_LAYER_REF_H_
#define MESHSTEP_STRATEGIES_MODEL_LAYER_REF_H_

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

namespace meshstep {

struct LayerRef {
  // kMtpLayer, kMtpHead: multi-token prediction, a layer and the head on its result.
  enum class Kind : std::uint8_t { kNone, kEmbedding, kLayer, kHead, kMtpLayer, kMtpHead };
  Kind kind = Kind::kNone;
  // kLayer: from 0. kMtpLayer, kMtpHead: the token predicted is `index` + 2 positions ahead.
  std::int32_t index = 0;

  static constexpr LayerRef Embedding() { return {Kind::kEmbedding, 0}; }
  static constexpr LayerRef Layer(int index) { return {Kind::kLayer, index}; }
  static constexpr LayerRef Head() { return {Kind::kHead, 0}; }
  static constexpr LayerRef MtpLayer(int depth) { return {Kind::kMtpLayer, depth}; }
  static constexpr LayerRef MtpHead(int depth) { return {Kind::kMtpHead, depth}; }

  auto operator<=>(const LayerRef&) const = default;
};

// "embedding", "layer", "head", "multi-token prediction"; "" of kNone.
std::string_view NameOf(LayerRef::Kind kind);
// The same with the number of a layer: "layer 3".
std::string NameOf(const LayerRef& layer);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_MODEL_LAYER_REF_H_
