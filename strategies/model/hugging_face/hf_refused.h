// What is known and cannot be said yet: model_types whose layers model.proto does not have, and
// keys that would change the layers of a family that does not read them.

#ifndef MESHSTEP_STRATEGIES_MODEL_HUGGING_FACE_HF_REFUSED_H_
#define MESHSTEP_STRATEGIES_MODEL_HUGGING_FACE_HF_REFUSED_H_

#include <string>
#include <string_view>

#include "nlohmann/json.hpp"

namespace meshstep {

// What a model of this type is instead of a transformer of attention and MLPs, as "partly linear
// attention"; empty if nothing is known against it.
std::string_view WhyHfTypeIsRefused(std::string_view type);

// What an unread key may stand for: nothing that costs, an encoder that is left out, or layers.
enum class HfUnread { kHarmless, kEncoder, kStructure };
HfUnread UnreadHfKey(const std::string& key, const nlohmann::json& value);

// What a key decides, as "sparse attention"; empty if only its name speaks.
std::string_view WhatHfKeyDecides(std::string_view key);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_MODEL_HUGGING_FACE_HF_REFUSED_H_
