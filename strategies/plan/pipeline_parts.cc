#include "strategies/plan/pipeline_parts.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace meshstep {
namespace {

constexpr std::size_t kMaxLength = 1 << 16;
constexpr int kMaxDepth = 16;

// Repetitions written out.
class Expander {
 public:
  explicit Expander(const std::string& text) : text_(text) {}

  StatusOr<std::string> Expand() {
    ASSIGN_OR_RETURN(std::string result, Sequence(0));
    if (at_ < text_.size()) return Unexpected("a ')' without its '('");
    return result;
  }

 private:
  Status Unexpected(const std::string& what) const {
    return InvalidInput(absl::StrCat("is \"", text_.substr(0, 80), "\", which has ", what,
                                     " at character ", at_ + 1,
                                     "; expected E, t, m, L, |, groups (..) and repetitions *n"));
  }

  StatusOr<std::string> Sequence(int depth) {
    std::string result;
    while (at_ < text_.size() && text_[at_] != ')') {
      const char c = text_[at_];
      if (c == ',' || c == ' ') {
        ++at_;
        continue;
      }
      std::string item;
      if (c == '(') {
        if (depth == kMaxDepth) return Unexpected("groups nested too deeply");
        ++at_;
        ASSIGN_OR_RETURN(item, Sequence(depth + 1));
        if (at_ == text_.size()) return Unexpected("a '(' without its ')'");
        ++at_;
      } else if (c == 'E' || c == 't' || c == 'm' || c == 'L' || c == '|') {
        item = c;
        ++at_;
      } else {
        return Unexpected(absl::StrCat("'", std::string(1, c), "'"));
      }
      ASSIGN_OR_RETURN(const std::size_t times, Times());
      if (result.size() + item.size() * times > kMaxLength) {
        return Unexpected("more than 65536 items");
      }
      for (std::size_t i = 0; i < times; ++i) result += item;
    }
    return result;
  }

  // The n of "*n", else 1.
  StatusOr<std::size_t> Times() {
    if (at_ == text_.size() || text_[at_] != '*') return std::size_t{1};
    ++at_;
    std::size_t n = 0;
    const std::size_t begin = at_;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9' && n < kMaxLength) {
      n = 10 * n + static_cast<std::size_t>(text_[at_++] - '0');
    }
    if (at_ == begin || n == 0 || n > kMaxLength) {
      return Unexpected("a '*' without a number from 1 to 65536");
    }
    return n;
  }

  const std::string& text_;
  std::size_t at_ = 0;
};

}  // namespace

std::vector<PipelinePart> EvenParts(int parts, int layers, int mtp_layers) {
  // Parts 1, 2, ... get one layer more until none is left over; the last comes last.
  const int base = layers / parts, over = layers % parts;
  const auto begin = [&](int i) { return i * base + std::clamp(i - 1, 0, over); };
  std::vector<PipelinePart> made;
  for (int i = 0; i < parts; ++i) {
    const bool last = i + 1 == parts;
    made.push_back({i == 0, last, begin(i), begin(i + 1), last ? mtp_layers : 0});
  }
  return made;
}

StatusOr<std::vector<PipelinePart>> ParseParts(const std::string& text, int parts, int layers,
                                               int mtp_layers) {
  ASSIGN_OR_RETURN(const std::string items, Expander(text).Expand());
  std::vector<PipelinePart> made(1);
  int embeddings = 0, heads = 0, next_layer = 0, mtp = 0;
  const auto wrong = [&](const std::string& what) {
    return InvalidInput(absl::StrCat("is \"", text.substr(0, 80), "\", ", what));
  };
  for (const char item : items) {
    if (item == '|') {
      made.push_back({false, false, next_layer, next_layer, 0});
    } else if (item == 'E') {
      ++embeddings;
      if (next_layer > 0 || heads > 0) return wrong("expected E before every layer");
      made.back().embedding = true;
    } else if (item == 't') {
      if (embeddings == 0 || heads > 0) return wrong("expected every t after E and before L");
      made.back().end = ++next_layer;
    } else if (item == 'm') {
      ++mtp;
      const bool after_head = heads > 0 && !made.back().head;
      if (next_layer < layers || after_head) {
        return wrong("expected every m after the last t and no later than the part with L");
      }
      ++made.back().mtp_layers;
    } else {
      ++heads;
      made.back().head = true;
    }
  }
  if (embeddings != 1 || heads != 1) {
    return wrong(absl::StrCat("with ", embeddings, " E and ", heads, " L, expected one of each"));
  }
  if (next_layer != layers) {
    return wrong(absl::StrCat("with ", next_layer, " t, expected the model's ", layers, " layers"));
  }
  if (mtp != mtp_layers) {
    return wrong(absl::StrCat("with ", mtp, " m, expected the model's ", mtp_layers,
                              " layers of multi-token prediction"));
  }
  if (static_cast<int>(made.size()) != parts) {
    return wrong(absl::StrCat("with ", made.size(), " parts, expected ", parts,
                              " (stages × virtual stages)"));
  }
  return made;
}

}  // namespace meshstep
