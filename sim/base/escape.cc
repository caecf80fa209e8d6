#include "sim/base/escape.h"

#include <boost/locale/utf.hpp>
#include <cstdint>

#include "absl/strings/str_format.h"

namespace meshstep {
namespace {

using Utf8 = boost::locale::utf::utf_traits<char>;

// Unicode 15: the C1 controls, line and paragraph separators, and the embedding, override and
// isolate marks of bidirectional text (annex 9).
bool Misleads(std::uint32_t c) {
  return (c >= 0x80 && c <= 0x9f) || c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
         (c >= 0x2066 && c <= 0x2069);
}

std::string Escape(std::string_view text, bool keep_lines) {
  std::string out;
  out.reserve(text.size());
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end) {
    const char* const begin = at;
    const auto first = static_cast<unsigned char>(*begin);
    if (first < 0x20) {
      ++at;
      if (first == '\n' && keep_lines) {
        out += '\n';
      } else if (first == '\n' || first == '\t' || first == '\r') {
        out += first == '\n' ? "\\n" : first == '\t' ? "\\t" : "\\r";
      } else {
        absl::StrAppendFormat(&out, "\\x%02x", first);
      }
      continue;
    }
    const std::uint32_t point = Utf8::decode(at, end);
    if (!boost::locale::utf::is_valid_codepoint(point)) {
      at = begin + 1;
      absl::StrAppendFormat(&out, "\\x%02x", first);
    } else if (point == 0x7f) {
      out += "\\x7f";
    } else if (Misleads(point)) {
      absl::StrAppendFormat(&out, "\\u%04x", point);
    } else {
      out.append(begin, at);
    }
  }
  return out;
}

}  // namespace

std::string EscapeControls(std::string_view text) { return Escape(text, false); }

std::string EscapeLines(std::string_view text) { return Escape(text, true); }

}  // namespace meshstep
