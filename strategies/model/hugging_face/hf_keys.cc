#include "strategies/model/hugging_face/hf_keys.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/str_cat.h"

namespace meshstep {

std::string HfKeys::Shown(const Json& value) {
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

const HfKeys::Json* HfKeys::At(const std::string& name) const {
  const std::size_t dot = name.find('.');
  const auto it = text_.find(name.substr(0, dot));
  if (it == text_.end()) return nullptr;
  if (dot == std::string::npos) return &*it;
  if (!it->is_object()) return nullptr;
  const auto inner = it->find(name.substr(dot + 1));
  return inner == it->end() ? nullptr : &*inner;
}

const HfKeys::Json* HfKeys::Find(Keys keys, std::string* key) {
  const Json* found = nullptr;
  *key = *keys.begin();
  for (const char* name : keys) {
    read_.insert(name);
    const Json* value = At(name);
    if (found != nullptr || value == nullptr || value->is_null()) continue;
    *key = name;
    found = value;
  }
  return found;
}

std::optional<int> HfKeys::Int(Keys keys, int low, int high) {
  std::string key;
  const Json* value = Find(keys, &key);
  // Hunyuan writes false for what is switched off.
  if (value == nullptr || *value == false) return std::nullopt;
  if (value->is_array() && !value->empty() &&
      std::all_of(value->begin(), value->end(),
                  [value](const Json& item) { return item == value->front(); })) {
    value = &value->front();
  }
  const std::string expected = absl::StrCat("expected a whole number from ", low, " to ", high);
  const bool fits = value->is_number_unsigned()
                        ? value->get<std::uint64_t>() <= static_cast<std::uint64_t>(high) &&
                              static_cast<std::int64_t>(value->get<std::uint64_t>()) >= low
                        : value->is_number_integer() && value->get<std::int64_t>() >= low &&
                              value->get<std::int64_t>() <= high;
  if (!fits) {
    const char* each = value->is_array() ? ", the same for every layer" : "";
    Problem(key, absl::StrCat("is ", Shown(*value), ", ", expected, each));
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

std::string HfKeys::Text(Keys keys) {
  const Json* value = Find(keys);
  return value != nullptr && value->is_string() ? value->get<std::string>() : std::string();
}

std::optional<std::vector<int>> HfKeys::Ints(Keys keys) {
  std::string key;
  const Json* value = Find(keys, &key);
  if (value == nullptr || !value->is_array()) return std::nullopt;
  std::vector<int> list;
  for (const Json& item : *value) {
    if (item.is_boolean()) {
      list.push_back(item.get<bool>() ? 1 : 0);
    } else if (item.is_number_integer() && item.get<std::int64_t>() >= -1 &&
               item.get<std::int64_t>() <= 1 << 24) {
      list.push_back(item.get<int>());
    } else {
      Problem(key, absl::StrCat("has ", Shown(item), ", expected whole numbers or true and false"));
      return std::nullopt;
    }
  }
  return list;
}

std::optional<std::vector<std::string>> HfKeys::Texts(Keys keys) {
  std::string key;
  const Json* value = Find(keys, &key);
  if (value == nullptr || !value->is_array()) return std::nullopt;
  std::vector<std::string> list;
  for (const Json& item : *value) {
    if (!item.is_string()) {
      Problem(key, absl::StrCat("has ", Shown(item), ", expected strings"));
      return std::nullopt;
    }
    list.push_back(item.get<std::string>());
  }
  return list;
}

std::vector<std::pair<std::string, HfKeys::Json>> HfKeys::Unread() const {
  std::vector<std::pair<std::string, Json>> unread;
  for (const auto& [key, value] : text_.items()) {
    if (read_.contains(key)) continue;
    const auto inner = read_.lower_bound(key + ".");
    const bool asked_inside = inner != read_.end() && inner->starts_with(key + ".");
    if (!asked_inside || !value.is_object()) {
      unread.emplace_back(key, value);
      continue;
    }
    for (const auto& [name, item] : value.items()) {
      if (!read_.contains(key + "." + name)) unread.emplace_back(key + "." + name, item);
    }
  }
  return unread;
}

}  // namespace meshstep
