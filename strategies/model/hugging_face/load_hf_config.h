// Models from the config.json of Hugging Face transformers.
//
// The same quantity has other names in other families, keys that equal a default are left out, and
// defaults depend on model_type; what is taken for granted is told as an assumption. Source:
// configuration_*.py of github.com/huggingface/transformers; for what each family holds beyond its
// keys (biases, norms of heads, sinks), modeling_*.py.
//
//   v1::Model model;
//   std::vector<std::string> assumptions;
//   RETURN_IF_ERROR(ParseHfConfig("config.json", content, &model, &assumptions));

#ifndef MESHSTEP_STRATEGIES_MODEL_HUGGING_FACE_LOAD_HF_CONFIG_H_
#define MESHSTEP_STRATEGIES_MODEL_HUGGING_FACE_LOAD_HF_CONFIG_H_

#include <string>
#include <string_view>
#include <vector>

#include "sim/base/diagnostics.h"
#include "sim/base/status.h"

namespace meshstep::v1 {
class Model;
}

namespace meshstep {

// `file` is what errors call the configuration. The language model of a multimodal file is its
// text_config. `as` is the model_type whose keys are read where that of the file is unknown. Error:
// one line per problem, each with the key, its value and what was expected; so too for layers that
// model.proto cannot say and for a key that may decide what a layer holds and that nobody reads.
Status ParseHfConfig(const std::string& file, const std::string& content, v1::Model* model,
                     std::vector<std::string>* assumptions, std::string_view as = {});

// If model->hf_config() is set, replaces it by the fields of that file with those of `model`
// written over them; assumptions become notes. `field` names the message in errors ("model").
void ResolveHfConfig(const std::string& field, v1::Model* model, Diagnostics* diagnostics);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_MODEL_HUGGING_FACE_LOAD_HF_CONFIG_H_
