// The keys of a Hugging Face config.json: the first of several names that is there and not null,
// with its type and range checked; and which keys nobody asked for.
//
// "a.b" is key b of the object a. A list of equal numbers (one per layer) is that number.

#ifndef MESHSTEP_STRATEGIES_MODEL_HUGGING_FACE_HF_KEYS_H_
#define MESHSTEP_STRATEGIES_MODEL_HUGGING_FACE_HF_KEYS_H_

#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <utility>
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

  // nullptr if none is there; then *key is the first name.
  const Json* Find(Keys keys, std::string* key);
  const Json* Find(Keys keys) {
    std::string key;
    return Find(keys, &key);
  }
  bool Has(Keys keys) { return Find(keys) != nullptr; }
  // A whole number in [low, high].
  std::optional<int> Int(Keys keys, int low, int high);
  // class_default: of a nested configuration, which may leave out what its class says; 0: none.
  int Needed(Keys keys, int low, int high, int class_default, const char* what);
  bool Bool(Keys keys, bool absent);
  // Empty if absent.
  std::string Text(Keys keys);
  // A list of whole numbers or booleans, one of strings; nullopt if absent or no list.
  std::optional<std::vector<int>> Ints(Keys keys);
  std::optional<std::vector<std::string>> Texts(Keys keys);
  void Problem(const std::string& key, const std::string& problem) {
    problems_.Error(key, problem);
  }
  void Assume(const std::string& text) { assumptions_.push_back(text); }
  // Keys that nobody asked for, with their values.
  std::vector<std::pair<std::string, Json>> Unread() const;

  Json text_;  // of the language model
  bool nested_ = false;
  std::string type_;  // model_type

 private:
  const Json* At(const std::string& name) const;

  Diagnostics& problems_;
  std::vector<std::string>& assumptions_;
  std::set<std::string> read_;
};

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_MODEL_HUGGING_FACE_HF_KEYS_H_
