#include "strategies/einsum/notation/array_parser.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>

#include "strategies/einsum/notation/spelling.h"

namespace meshstep::einsum {
namespace {

bool EqualLetters(char a, char b, bool any_case) {
  if (!any_case) return a == b;
  return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b));
}

// True if `text` has `name` at `at`.
bool HasAt(const std::string& text, std::size_t at, const std::string& name, bool any_case) {
  if (at + name.size() > text.size()) return false;
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (!EqualLetters(text[at + i], name[i], any_case)) return false;
  }
  return !name.empty();
}

}  // namespace

// Tries the longest axis name at each place and remembers the places from which nothing fits, so
// that a long hostile subscript costs no more than its length times the axes.
std::optional<std::vector<AxisId>> ArrayParser::Match(const std::string& text,
                                                      bool any_case) const {
  const std::vector<MeshShape::Axis>& axes = expression_.mesh.axes;
  // next[i]: the axis to take at i so that the rest can be split too, -1 if there is none.
  std::vector<AxisId> next(text.size() + 1, -1);
  std::vector<bool> fits(text.size() + 1, false);
  fits[text.size()] = true;
  for (std::size_t i = text.size(); i-- > 0;) {
    std::size_t longest = 0;
    for (std::size_t a = 0; a < axes.size(); ++a) {
      const std::string& name = axes[a].name;
      if (name.size() <= longest || !HasAt(text, i, name, any_case)) continue;
      if (!fits[i + name.size()]) continue;
      longest = name.size();
      next[i] = static_cast<AxisId>(a);
      fits[i] = true;
    }
  }
  if (!fits[0]) return std::nullopt;
  std::vector<AxisId> split;
  for (std::size_t i = 0; i < text.size();) {
    split.push_back(next[i]);
    i += axes[static_cast<std::size_t>(next[i])].name.size();
  }
  return split;
}

// The part of a subscript to complain about: what follows the axes it begins with, one letter of it
// if all axes of the mesh are single letters.
std::string ArrayParser::UnknownPart(const std::string& text) const {
  const std::vector<MeshShape::Axis>& axes = expression_.mesh.axes;
  const bool letters = std::all_of(axes.begin(), axes.end(),
                                   [](const MeshShape::Axis& a) { return a.name.size() == 1; });
  if (!letters || axes.empty()) return text.substr(0, 60);
  for (char c : text) {
    if (expression_.mesh.Find(std::string(1, c)) < 0) return std::string(1, c);
  }
  return text.substr(0, 60);
}

StatusOr<std::vector<AxisId>> ArrayParser::SplitAxes(const std::string& text) const {
  for (bool any_case : {false, true}) {
    std::optional<std::vector<AxisId>> axes = Match(text, any_case);
    if (axes) return *std::move(axes);
  }
  const std::string unknown = UnknownPart(text);
  if (expression_.mesh.axes.empty()) {
    return InvalidInput("axis " + unknown +
                        " not in mesh: no mesh is given, so name its axes and "
                        "their sizes, as in {X:4,Y:8}");
  }
  return InvalidInput("axis " + unknown + " not in mesh " + ToString(expression_.mesh) +
                      ": add it to the mesh or use one of its axes");
}

StatusOr<std::vector<std::string>> ArrayParser::ParseSubscript() {
  auto is_part = [&] { return tokens_.IsName() || tokens_.Peek().kind == Token::Kind::kNumber; };
  std::vector<std::string> parts;
  if (is_part()) return std::vector<std::string>{tokens_.Next().text};
  // I_{XY}, I_{X,Y}, or as a tuple I_(X,Y).
  const char close = tokens_.IsSymbol('(') ? ')' : '}';
  if (!tokens_.Take('(') && !tokens_.Take('{')) return tokens_.Expected("a subscript");
  while (!tokens_.Take(close)) {
    if (is_part()) {
      parts.push_back(tokens_.Next().text);
    } else if (!tokens_.Take(',') && !tokens_.Take('_')) {
      return tokens_.Expected(std::string("an axis or ") + close + " of a subscript");
    }
  }
  return parts;
}

bool ArrayParser::AtUnreduced() const {
  if (!tokens_.IsSymbol('{') || !tokens_.IsName(1)) return false;
  return tokens_.Peek(1).text[0] == 'U' || tokens_.Peek(1).text == "u";
}

StatusOr<std::vector<AxisId>> ArrayParser::ParseUnreduced() {
  std::vector<AxisId> unreduced;
  auto add = [&](const std::string& text) -> Status {
    ASSIGN_OR_RETURN(const std::vector<AxisId> axes, SplitAxes(text));
    unreduced.insert(unreduced.end(), axes.begin(), axes.end());
    return absl::OkStatus();
  };
  while (AtUnreduced()) {
    tokens_.Take('{');
    while (!tokens_.Take('}')) {
      if (tokens_.Take(',') || tokens_.Take('_') || tokens_.Take(Token::Kind::kOperator)) continue;
      if (tokens_.IsSymbol('{')) {
        ASSIGN_OR_RETURN(const std::vector<std::string> parts, ParseSubscript());
        for (const std::string& part : parts) RETURN_IF_ERROR(add(part));
        continue;
      }
      if (!tokens_.IsName()) return tokens_.Expected("an axis or } of {U}");
      const std::string name = tokens_.Next().text;
      const bool is_axis = expression_.mesh.Find(name) >= 0 && !unreduced.empty();
      if (is_axis || (name[0] != 'U' && name != "u")) {
        RETURN_IF_ERROR(add(name));
      } else if (name.size() > 1) {
        RETURN_IF_ERROR(add(name.substr(1)));
      }
    }
  }
  return unreduced;
}

StatusOr<std::string> ArrayParser::ParseName() {
  if (!tokens_.IsName()) return std::string("?");
  std::string name = tokens_.Next().text;
  while (tokens_.Take('_')) {
    ASSIGN_OR_RETURN(const std::vector<std::string> parts, ParseSubscript());
    for (const std::string& part : parts) name += "_" + part;
  }
  return name;
}

Status ArrayParser::SetSize(const std::string& dim, const Token& token) {
  double size = 0;
  const char* end = token.text.data() + token.text.size();
  if (token.kind != Token::Kind::kNumber ||
      std::from_chars(token.text.data(), end, size).ptr != end) {
    return InvalidInput("size \"" + token.text.substr(0, 40) + "\" of dim " + dim +
                        " is not a number; write it as " + dim + "=4096");
  }
  const auto [entry, added] = expression_.sizes.emplace(dim, size);
  if (!added && entry->second != size) {
    return InvalidInput("dim " + dim + " has two sizes; give it one");
  }
  return absl::OkStatus();
}

StatusOr<ShardedDim> ArrayParser::ParseDim(const std::string& array) {
  ShardedDim dim;
  if (tokens_.Peek().kind == Token::Kind::kNumber) {
    dim.name = tokens_.Peek().text;
    RETURN_IF_ERROR(SetSize(dim.name, tokens_.Next()));
  } else if (tokens_.IsName()) {
    dim.name = tokens_.Next().text;
  } else {
    return tokens_.Expected("a dimension of " + array);
  }
  while (tokens_.Take('_')) {
    ASSIGN_OR_RETURN(const std::vector<std::string> parts, ParseSubscript());
    for (const std::string& part : parts) {
      ASSIGN_OR_RETURN(const std::vector<AxisId> axes, SplitAxes(part));
      dim.axes.insert(dim.axes.end(), axes.begin(), axes.end());
    }
  }
  if (tokens_.Take('=') || tokens_.Take(':')) RETURN_IF_ERROR(SetSize(dim.name, tokens_.Next()));
  return dim;
}

void ArrayParser::NameOnce(const Sharding& before, ShardedDim* dim) {
  const double size = SizeOf(dim->name, expression_.sizes);
  while (before.Find(dim->name) >= 0) dim->name += "'";
  expression_.sizes[dim->name] = size;
}

StatusOr<ShardedArray> ArrayParser::Parse() {
  ShardedArray array;
  if (tokens_.IsName() && (tokens_.IsName(1) || tokens_.IsSymbol('[', 1))) {
    const StatusOr<Dtype> dtype = ParseDtypeSpelling(tokens_.Peek().text);
    if (dtype.ok()) {
      array.dtype = *dtype;
      tokens_.Next();
    }
  }
  ASSIGN_OR_RETURN(array.name, ParseName());
  if (tokens_.Take(':')) {
    if (!tokens_.IsName()) return tokens_.Expected("a number format after " + array.name + ":");
    ASSIGN_OR_RETURN(array.dtype, ParseDtypeSpelling(tokens_.Next().text));
  }
  if (!tokens_.Take('[')) return tokens_.Expected("[ after the array name " + array.name);
  if (!tokens_.Take(']')) {
    do {
      tokens_.SkipNewlines();
      const bool literal = tokens_.Peek().kind == Token::Kind::kNumber;
      ASSIGN_OR_RETURN(ShardedDim dim, ParseDim(array.name));
      if (literal) NameOnce(array.sharding, &dim);
      array.sharding.dims.push_back(std::move(dim));
      if (array.sharding.dims.size() > kMaxDims) {
        return InvalidInput("array " + array.name + " has more than " + std::to_string(kMaxDims) +
                            " dimensions; use fewer");
      }
      tokens_.SkipNewlines();
    } while (tokens_.Take(','));
    if (!tokens_.Take(']')) return tokens_.Expected(", or ] in " + array.name);
  }
  ASSIGN_OR_RETURN(array.sharding.unreduced, ParseUnreduced());
  RETURN_IF_ERROR(CheckSharding(array.name, array.sharding, expression_.mesh.Names()));
  return array;
}

}  // namespace meshstep::einsum
