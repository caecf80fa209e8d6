// The text of a Hugging Face config.json. Python writes NaN, Infinity and -Infinity, which JSON
// does not have; they are read as the strings of these names, so that a key that must be a number
// says what stands there.

#ifndef MESHSTEP_STRATEGIES_MODEL_HUGGING_FACE_HF_JSON_H_
#define MESHSTEP_STRATEGIES_MODEL_HUGGING_FACE_HF_JSON_H_

#include <string>

#include "nlohmann/json.hpp"
#include "sim/base/status.h"

namespace meshstep {

// `file` is what errors call the text. Error: it is not JSON, or nested deeper than 64 levels.
StatusOr<nlohmann::json> ParseHfJson(const std::string& file, const std::string& content);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_MODEL_HUGGING_FACE_HF_JSON_H_
