#include "strategies/model/hugging_face/hf_keys.h"

#include <cstdint>

#include "absl/strings/str_cat.h"

namespace meshstep {

std::string HfKeys::Shown(const Json& value) {
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

const HfKeys::Json* HfKeys::Find(Keys keys, std::string* key) const {
  for (const char* name : keys) {
    const auto it = text_.find(name);
    if (it == text_.end() || it->is_null()) continue;
    *key = name;
    return &*it;
  }
  *key = *keys.begin();
  return nullptr;
}

std::optional<int> HfKeys::Int(Keys keys, int low, int high) {
  std::string key;
  const Json* value = Find(keys, &key);
  if (value == nullptr) return std::nullopt;
  const std::string expected = absl::StrCat("expected a whole number from ", low, " to ", high);
  const bool fits = value->is_number_unsigned()
                        ? value->get<std::uint64_t>() <= static_cast<std::uint64_t>(high) &&
                              static_cast<std::int64_t>(value->get<std::uint64_t>()) >= low
                        : value->is_number_integer() && value->get<std::int64_t>() >= low &&
                              value->get<std::int64_t>() <= high;
  if (!fits) {
    Problem(key, absl::StrCat("is ", Shown(*value), ", ", expected));
    return low;
  }
  return value->get<int>();
}

int HfKeys::Needed(Keys keys, int low, int high, int class_default, const char* what) {
  if (const std::optional<int> value = Int(keys, low, high)) return *value;
  if (nested_ && class_default > 0) {
    Assume(absl::StrCat(*keys.begin(), " is absent: ", class_default, ", the default of ", type_));
    return class_default;
  }
  Problem(*keys.begin(), absl::StrCat("is absent, expected the ", what));
  return low;
}

bool HfKeys::Bool(Keys keys, bool absent) {
  std::string key;
  const Json* value = Find(keys, &key);
  if (value == nullptr) return absent;
  if (!value->is_boolean()) {
    Problem(key, absl::StrCat("is ", Shown(*value), ", expected true or false"));
    return absent;
  }
  return value->get<bool>();
}

}  // namespace meshstep
