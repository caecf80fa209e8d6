// What layers of one kind hold, from a model's message.

#ifndef MESHSTEP_STRATEGIES_MODEL_LOAD_LAYER_H_
#define MESHSTEP_STRATEGIES_MODEL_LOAD_LAYER_H_

#include <string>

#include "sim/base/diagnostics.h"
#include "strategies/model/model.h"

namespace meshstep::v1 {
class Model;
}

namespace meshstep {

// Far above any model that exists; products of a few of them stay exact in a double's 2^53 or at
// least finite.
inline constexpr int kMaxLayers = 10000;
inline constexpr int kMaxWidth = 1 << 20;
inline constexpr int kMaxWide = 1 << 27;  // F, V, rows of the position table
inline constexpr int kMaxExperts = 1 << 16;

enum class Feed { kDense, kRouted, kNone };

// Which halves the layer has, and whether the width of a dense MLP must be there.
struct LayerHalves {
  Mixer mixer = Mixer::kAttention;
  Feed feed = Feed::kDense;
  bool needs_ffn = true;
};

// Problems are reported under `field`; false if there was one.
bool LoadLayer(const v1::Model& message, const LayerHalves& halves, const std::string& field,
               Diagnostics* diagnostics, Layer* layer);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_MODEL_LOAD_LAYER_H_
