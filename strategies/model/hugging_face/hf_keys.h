// The keys of a Hugging Face config.json: the first of several names that is there and not null,
// with its type and range checked.

#ifndef MESHSTEP_STRATEGIES_MODEL_HUGGING_FACE_HF_KEYS_H_
#define MESHSTEP_STRATEGIES_MODEL_HUGGING_FACE_HF_KEYS_H_

#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "nlohmann/json.hpp"
#include "sim/base/diagnostics.h"

namespace meshstep {

class HfKeys {
 public:
  using Json = nlohmann::json;
  using Keys = std::initializer_list<const char*>;

  // A value as an error shows it.
  static std::string Shown(const Json& value);

 protected:
  HfKeys(const Json& text, Diagnostics* problems, std::vector<std::string>* assumptions)
      : text_(text), problems_(*problems), assumptions_(*assumptions) {}

  const Json* Find(Keys keys, std::string* key) const;
  bool Has(Keys keys) const {
    std::string key;
    return Find(keys, &key) != nullptr;
  }
  // A whole number in [low, high].
  std::optional<int> Int(Keys keys, int low, int high);
  // class_default: of a nested configuration, which may leave out what its class says; 0: none.
  int Needed(Keys keys, int low, int high, int class_default, const char* what);
  bool Bool(Keys keys, bool absent);
  void Problem(const std::string& key, const std::string& problem) {
    problems_.Error(key, problem);
  }
  void Assume(const std::string& text) { assumptions_.push_back(text); }

  Json text_;  // of the language model
  bool nested_ = false;
  std::string type_;  // model_type

 private:
  Diagnostics& problems_;
  std::vector<std::string>& assumptions_;
};

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_MODEL_HUGGING_FACE_HF_KEYS_H_
