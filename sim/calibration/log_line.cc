#include "sim/calibration/log_line.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/ascii.h"

namespace meshstep {
namespace {

// No prefix is longer.
constexpr std::size_t kMostBytes = 200;

bool IsDigit(char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)); }
bool IsSpace(char c) { return absl::ascii_isspace(static_cast<unsigned char>(c)); }
// Of host and pod names.
bool IsNameChar(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.' ||
         c == '/';
}

template <class Is>
std::size_t LengthOf(std::string_view text, Is is) {
  return static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), is) - text.begin());
}

std::string_view Trimmed(std::string_view text) {
  text.remove_prefix(LengthOf(text, IsSpace));
  return text;
}

// The length of what ends with mpirun's tag; 0 if there is none.
std::size_t TagLength(std::string_view text) {
  for (const std::string_view tag : {"]<stdout>:", "]<stdout>", "<stdout>:"}) {
    const std::size_t at = text.substr(0, kMostBytes).find(tag);
    if (at != std::string_view::npos && text.substr(0, at).find('#') == std::string_view::npos) {
      return at + tag.size();
    }
  }
  return 0;
}

// "2026-11-30", "14:00:00.123", "2026-11-30T14:00:00Z", in brackets or not; 0 if it is none.
std::size_t StampLength(std::string_view text) {
  const bool bracket = text.starts_with('[');
  const std::string_view inside = text.substr(bracket ? 1 : 0);
  const std::size_t length = LengthOf(inside, [](char c) {
    return IsDigit(c) || c == ':' || c == '-' || c == '+' || c == '.' || c == ',' || c == '/' ||
           c == 'T' || c == 'Z';
  });
  const std::string_view stamp = inside.substr(0, length);
  const bool time = std::count(stamp.begin(), stamp.end(), ':') >= 2;
  const bool date =
      stamp.size() == 10 && (stamp[4] == '-' || stamp[4] == '/') && stamp[7] == stamp[4];
  if (stamp.size() < 8 || !IsDigit(stamp.front()) || (!time && !date)) return 0;
  const std::string_view rest = inside.substr(length);
  if (bracket) return rest.starts_with(']') ? length + 2 : 0;
  return rest.empty() || IsSpace(rest.front()) ? length : 0;
}

// "0: ", "worker-0: ", "worker-0 | ", "[worker-0] "; 0 if it is none. A name alone is none: what
// follows a colon is a comment or a number.
std::size_t LabelLength(std::string_view text) {
  if (text.starts_with('[')) {
    const std::size_t end = text.substr(0, kMostBytes).find(']');
    return end == std::string_view::npos ? 0 : end + 1;
  }
  const std::size_t name = LengthOf(text.substr(0, kMostBytes), IsNameChar);
  if (name == 0) return 0;
  std::string_view rest = text.substr(name);
  if (rest.starts_with(':') && rest.size() > 1) {
    const std::string_view after = Trimmed(rest.substr(1));
    const bool telling = after.empty() || after.front() == '#' || IsDigit(after.front());
    return telling && IsSpace(rest[1]) ? name + 1 : 0;
  }
  const std::size_t spaces = LengthOf(rest, IsSpace);
  return spaces > 0 && rest.substr(spaces).starts_with('|') ? name + spaces + 1 : 0;
}

}  // namespace

std::string_view WithoutPrefixes(std::string_view line) {
  line = Trimmed(line);
  while (!line.empty() && line.front() != '#') {
    const std::size_t length = std::max({TagLength(line), StampLength(line), LabelLength(line)});
    if (length == 0) break;
    line = Trimmed(line.substr(length));
  }
  return line;
}

}  // namespace meshstep
