#include "strategies/einsum/notation/mesh_shape.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <limits>
#include <utility>

namespace meshstep::einsum {
namespace {

constexpr char kHowToWrite[] = "write a mesh as X=4,Y=8 or 4x8";
constexpr std::array<const char*, 4> kUnnamed = {"X", "Y", "Z", "W"};

// Words, sizes ("4" or "4x4") and the separators : = of a mesh; brackets, quotes and commas only
// separate.
struct Token {
  enum Kind { kWord, kSize, kIs } kind;
  std::string text;
};

bool IsWordStart(char c) { return std::isalpha(static_cast<unsigned char>(c)) || c == '_'; }
bool IsDigit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }

std::vector<Token> Scan(const std::string& text) {
  std::vector<Token> tokens;
  std::size_t i = 0;
  while (i < text.size()) {
    const std::size_t start = i;
    if (IsDigit(text[i])) {
      auto is_times = [&](std::size_t at) {
        return at + 1 < text.size() && (text[at] == 'x' || text[at] == '*') &&
               IsDigit(text[at + 1]);
      };
      while (i < text.size() && (IsDigit(text[i]) || is_times(i))) ++i;
      tokens.push_back({Token::kSize, text.substr(start, i - start)});
    } else if (IsWordStart(text[i])) {
      auto in_word = [&](char c) { return IsWordStart(c) || IsDigit(c) || c == '-'; };
      while (i < text.size() && in_word(text[i])) ++i;
      tokens.push_back({Token::kWord, text.substr(start, i - start)});
    } else {
      if (text[i] == ':' || text[i] == '=') tokens.push_back({Token::kIs, ""});
      ++i;
    }
  }
  return tokens;
}

// The first number of a mesh that is not a whole one ("-1", "1e9", "2.5", "4x"), if there is one.
// Digits inside a name (X1, v5e-16) are no number.
std::string NotWhole(const std::string& text) {
  auto in_name = [&](std::size_t i) { return IsWordStart(text[i]) || IsDigit(text[i]); };
  auto is_sign = [&](std::size_t i) { return text[i] == '-' || text[i] == '+' || text[i] == '.'; };
  std::size_t start = 0, end = 0;
  for (std::size_t i = 0; i < text.size(); i = std::max(end, i + 1)) {
    if (!in_name(i) && !is_sign(i)) continue;
    start = i;
    for (end = i; end < text.size() && (in_name(end) || is_sign(end) || text[end] == '*');) ++end;
    const std::string word = text.substr(start, end - start);
    if (IsWordStart(word[0]) || word.find_first_of("0123456789") == std::string::npos) continue;
    if (word.find_first_not_of("0123456789x*") != std::string::npos || !IsDigit(word.back())) {
      return word;
    }
  }
  return "";
}

// "4x4" as its factors. A number too large for an int becomes 0, which MakeMeshShape refuses.
std::vector<int> Factors(const std::string& text) {
  std::vector<int> factors;
  double value = 0;
  auto close = [&] {
    factors.push_back(value <= std::numeric_limits<int>::max() ? static_cast<int>(value) : 0);
    value = 0;
  };
  for (char c : text) {
    if (IsDigit(c)) {
      value = value * 10 + (c - '0');
    } else {
      close();
    }
  }
  close();
  return factors;
}

MeshShape::Axis MakeAxis(std::string name, std::vector<int> factors) {
  double size = 1;
  for (int f : factors) size *= f;
  const bool fits = size <= std::numeric_limits<int>::max();
  return {std::move(name), fits ? static_cast<int>(size) : 0, std::move(factors)};
}

bool IsKeyword(const std::string& word) {
  static constexpr std::array<const char*, 9> kKeywords = {
      "Mesh",       "mesh",        "jax",        "sharding",    "make_mesh",
      "mesh_shape", "axis_shapes", "axis_names", "AbstractMesh"};
  return std::find(kKeywords.begin(), kKeywords.end(), word) != kKeywords.end();
}

// Mesh(mesh_shape=(4, 8), axis_names=('X', 'Y')): sizes and names in two lists.
StatusOr<MeshShape> FromTwoLists(const std::vector<Token>& tokens) {
  std::vector<std::string> names;
  std::vector<std::vector<int>> sizes;
  for (const Token& token : tokens) {
    if (token.kind == Token::kSize) sizes.push_back(Factors(token.text));
    if (token.kind == Token::kWord && !IsKeyword(token.text)) names.push_back(token.text);
  }
  if (names.size() != sizes.size()) {
    return InvalidInput("the mesh has " + std::to_string(sizes.size()) + " sizes and " +
                        std::to_string(names.size()) + " names; give each axis one of both");
  }
  std::vector<MeshShape::Axis> axes;
  for (std::size_t i = 0; i < names.size(); ++i) {
    axes.push_back(MakeAxis(names[i], sizes[i]));
  }
  return MakeMeshShape(std::move(axes));
}

// X=4,Y=8 with any separators.
StatusOr<MeshShape> FromPairs(const std::vector<Token>& tokens) {
  std::vector<MeshShape::Axis> axes;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i].kind == Token::kWord && IsKeyword(tokens[i].text)) continue;
    const bool is_pair = i + 2 < tokens.size() && tokens[i].kind == Token::kWord &&
                         tokens[i + 1].kind == Token::kIs && tokens[i + 2].kind == Token::kSize;
    if (!is_pair) {
      return InvalidInput("\"" + tokens[i].text.substr(0, 60) +
                          "\" in the mesh is not NAME=SIZE; " + kHowToWrite);
    }
    axes.push_back(MakeAxis(tokens[i].text, Factors(tokens[i + 2].text)));
    i += 2;
  }
  return MakeMeshShape(std::move(axes));
}

// 4x4, with or without the name of a chip before it.
StatusOr<MeshShape> FromShape(const std::vector<Token>& tokens) {
  std::string chip;
  std::vector<int> sizes;
  for (const Token& token : tokens) {
    if (token.kind == Token::kWord && !IsKeyword(token.text)) chip = token.text;
    if (token.kind != Token::kSize) continue;
    for (int factor : Factors(token.text)) sizes.push_back(factor);
  }
  if (sizes.empty() || sizes.size() > kUnnamed.size()) {
    return InvalidInput("the mesh has " + std::to_string(sizes.size()) +
                        " sizes without names, expected 1 to 4; " + kHowToWrite);
  }
  std::vector<MeshShape::Axis> axes;
  for (std::size_t i = 0; i < sizes.size(); ++i) axes.push_back(MakeAxis(kUnnamed[i], {sizes[i]}));
  ASSIGN_OR_RETURN(MeshShape mesh, MakeMeshShape(std::move(axes)));
  mesh.chip = chip;
  return mesh;
}

}  // namespace

AxisId MeshShape::Find(std::string_view name) const {
  for (std::size_t a = 0; a < axes.size(); ++a) {
    if (axes[a].name == name) return static_cast<AxisId>(a);
  }
  return -1;
}

std::vector<std::string> MeshShape::Names() const {
  std::vector<std::string> names;
  for (const MeshShape::Axis& axis : axes) names.push_back(axis.name);
  return names;
}

std::vector<int> MeshShape::Sizes() const {
  std::vector<int> sizes;
  for (const MeshShape::Axis& axis : axes) sizes.push_back(axis.size);
  return sizes;
}

double MeshShape::Chips() const {
  double chips = 1;
  for (const MeshShape::Axis& axis : axes) chips *= axis.size;
  return chips;
}

StatusOr<MeshShape> MakeMeshShape(std::vector<MeshShape::Axis> axes) {
  if (axes.size() > kMaxMeshAxes) {
    return InvalidInput("the mesh has " + std::to_string(axes.size()) + " axes, expected at most " +
                        std::to_string(kMaxMeshAxes));
  }
  MeshShape mesh;
  for (MeshShape::Axis& axis : axes) {
    if (axis.size < 1) {
      return InvalidInput("axis " + axis.name.substr(0, 60) +
                          " of the mesh has a size out of range, expected 1 to 2147483647");
    }
    if (mesh.Find(axis.name) >= 0) {
      return InvalidInput("axis " + axis.name.substr(0, 60) +
                          " is twice in the mesh; give each axis one name and one size");
    }
    if (axis.physical.empty()) axis.physical = {axis.size};
    mesh.axes.push_back(std::move(axis));
  }
  if (mesh.Chips() > 1e18) {
    return InvalidInput("the mesh has more than 1e18 chips; expected fewer");
  }
  return mesh;
}

StatusOr<MeshShape> ParseMeshShape(const std::string& text) {
  if (text.size() > 8192) {
    return InvalidInput("the mesh is " + std::to_string(text.size()) +
                        " characters long, expected at most 8192");
  }
  const std::string not_whole = NotWhole(text);
  if (!not_whole.empty()) {
    return InvalidInput("size \"" + not_whole.substr(0, 60) +
                        "\" in the mesh is not a whole number; " + kHowToWrite);
  }
  const std::vector<Token> tokens = Scan(text);
  const bool two_lists = std::any_of(tokens.begin(), tokens.end(), [](const Token& t) {
    return t.text == "axis_names" || t.text == "make_mesh" || t.text == "mesh_shape";
  });
  if (two_lists) return FromTwoLists(tokens);
  const bool pairs = std::any_of(tokens.begin(), tokens.end(),
                                 [](const Token& t) { return t.kind == Token::kIs; });
  return pairs ? FromPairs(tokens) : FromShape(tokens);
}

std::string ToString(const MeshShape& mesh) {
  std::string text = "{";
  for (const MeshShape::Axis& axis : mesh.axes) {
    text += (text.size() == 1 ? "" : ",") + axis.name + ":" + std::to_string(axis.size);
  }
  return text + "}";
}

}  // namespace meshstep::einsum
