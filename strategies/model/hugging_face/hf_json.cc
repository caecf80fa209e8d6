#include "strategies/model/hugging_face/hf_json.h"

#include <algorithm>
#include <string_view>

#include "absl/strings/str_cat.h"

namespace meshstep {
namespace {

using Json = nlohmann::json;

constexpr int kMaxDepth = 64;

// Outside of strings, what Python writes for numbers that JSON does not have, in quotes.
std::string Quoted(const std::string& content) {
  constexpr std::string_view kWords[] = {"-Infinity", "Infinity", "NaN"};
  std::string out;
  out.reserve(content.size());
  bool in_string = false;
  for (std::size_t i = 0; i < content.size(); ++i) {
    const char c = content[i];
    if (in_string && c == '\\' && i + 1 < content.size()) {
      out += c;
      out += content[++i];
      continue;
    }
    if (c == '"') in_string = !in_string;
    const auto starts = [&](std::string_view word) {
      return content.compare(i, word.size(), word) == 0;
    };
    const auto* word = in_string ? std::end(kWords) : std::ranges::find_if(kWords, starts);
    if (word == std::end(kWords)) {
      out += c;
      continue;
    }
    out += '"';
    out += *word;
    out += '"';
    i += word->size() - 1;
  }
  return out;
}

}  // namespace

StatusOr<Json> ParseHfJson(const std::string& file, const std::string& content) {
  bool deep = false;
  Json json;
  try {
    json = Json::parse(Quoted(content), [&deep](int depth, Json::parse_event_t, Json&) {
      deep = deep || depth > kMaxDepth;
      return depth <= kMaxDepth;
    });
  } catch (const Json::exception& e) {
    std::string what = e.what();
    std::ranges::replace(what, '\n', ' ');
    const std::size_t bracket = what.find("] ");
    if (bracket != std::string::npos) what = what.substr(bracket + 2);
    return InvalidInput(absl::StrCat(file, ": is not JSON: ", what.substr(0, 300)));
  }
  if (deep) {
    return InvalidInput(absl::StrCat(file, ": is nested deeper than ", kMaxDepth, " levels"));
  }
  return json;
}

}  // namespace meshstep
