#include "strategies/einsum/notation/parser.h"

#include <fstream>
#include <map>
#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "strategies/einsum/notation/spelling.h"

namespace meshstep::einsum {
namespace {

using ::testing::HasSubstr;

MeshShape MeshOf(const std::string& text) {
  StatusOr<MeshShape> mesh = ParseMeshShape(text);
  EXPECT_TRUE(mesh.ok()) << mesh.status();
  return mesh.ok() ? *mesh : MeshShape();
}

MeshShape MeshOfJson(const nlohmann::json& json) {
  std::vector<MeshShape::Axis> axes;
  for (const auto& [name, size] : json.items()) axes.push_back({name, size.get<int>(), {}});
  return *MakeMeshShape(axes);
}

std::string Canonical(const std::string& text, const std::string& mesh = "X=4,Y=8,Z=4") {
  StatusOr<Expression> expression = ParseExpression(text, MeshOf(mesh));
  return expression.ok() ? ToString(*expression) : std::string(expression.status().message());
}

// tests/strategies/einsum/parser_cases.json: notations of the book and of its readers, with the
// canonical form of each or the rule it breaks.
TEST(ParserTest, CasesOfTheBook) {
  std::ifstream file(MESHSTEP_SOURCE_DIR "/tests/strategies/einsum/parser_cases.json");
  const nlohmann::json cases = nlohmann::json::parse(file).at("parse");
  ASSERT_EQ(cases.size(), 26u);
  for (const nlohmann::json& item : cases) {
    const std::string text = item.at("text");
    SCOPED_TRACE(text);
    const MeshShape mesh = item.at("mesh").is_null() ? MeshShape() : MeshOfJson(item.at("mesh"));
    StatusOr<Expression> expression = ParseExpression(text, mesh);
    std::vector<std::string> notes;
    Status status = expression.ok() ? CheckSizes(*expression, false, &notes) : expression.status();
    EXPECT_EQ(status.ok(), item.at("ok").get<bool>()) << status;
    if (!status.ok()) {
      EXPECT_THAT(std::string(status.message()), HasSubstr(item.value("error", "?")));
      continue;
    }
    const std::string canonical = item.at("canonical");
    if (canonical.starts_with("chain of ")) {
      EXPECT_EQ(expression->statements[0].contractions.size(), std::stoul(canonical.substr(9)));
    } else {
      EXPECT_EQ(ToString(*expression), canonical);
    }
  }
}

TEST(ParserTest, CanonicalFormReadsBackAsItself) {
  for (const char* text :
       {"A[I_X,J_Y] . B[J_Y,K] -> C[I_X,K]", "AllGather_XY(?[B,D_XY]) -> ?[B,D]",
        "ReduceScatter_Y,J(A[I_X,J]{U_Y}) -> A[I_X,J_Y]", "AllToAll_X:I->J(A[I_X,J]) -> A[I,J_X]",
        "AllReduce_Z(?[B_X,D_Y]{U_Z}) -> ?[B_X,D_Y]", "A[I_XY,J] -> A[I_X,J_Y]",
        "In[B_X,D] . W_in[D_X,F] . W_out[F,D_X] -> Out[B_X,D]"}) {
    EXPECT_EQ(Canonical(text), text);
  }
}

TEST(ParserTest, Spellings) {
  const std::string product = "A[I_X,J] . B[J,K_Y] -> C[I_X,K_Y]";
  for (const char* text : {
           "A[I_X,J]*B[J,K_Y]->C[I_X,K_Y]",
           "A[I_X,J] @ B[J,K_Y] => C[I_X,K_Y]",
           "A[I\u2093, J] \u00b7 B[J, K_{Y}] \u2192 C[I_x, K_y]",
           "$$A[I_{X}, J] \\times B[J, K_Y] \\longrightarrow C[I_X, K_Y]$$",
           "**A**[I_X, J] \\* **B**[J, K_Y] -> **C**[I_X, K_Y]",
           "\\mathbf{A}\\[I_X, J\\] \\cdot_{J} \\mathbf{B}[J, K_Y] \\rightarrow C[I_X, K_Y]",
           "C[I_X,K_Y] = A[I_X,J] . B[J,K_Y]",
           "A[I_X,J]\n  . B[J,K_Y]\n  -> C[I_X,K_Y]",
           "A[I_X,J] *J B[J,K_Y] -> C[I_X,K_Y]",
           "`A[I<sub>X</sub>, J] &middot; B[J, K<sub>Y</sub>] &rarr; C[I_X, K_Y]`",
       }) {
    EXPECT_EQ(Canonical(text), product) << text;
  }
}

TEST(ParserTest, UnreducedInEverySpelling) {
  for (const char* text : {"C[B,F]{U_X}", "C[B,F] { U_x }", "C[B,F] \\{U_X\\}", "C[B,F]{U.X}",
                           "C[B,F]{U_{X}}", "C[B,F]{U X}", "C[B,F]{UX}", "C[B,F]{U<sub>X</sub>}"}) {
    EXPECT_EQ(Canonical(text), "C[B,F]{U_X}") << text;
  }
  EXPECT_EQ(Canonical("C[B,F]{U_X, U_Y}"), "C[B,F]{U_XY}");
  EXPECT_EQ(Canonical("AllReduce_Z([B_X, D_Y]) {U_Z}"),
            "AllReduce_Z(?[B_X,D_Y]{U_Z}) -> ?[B_X,D_Y]");
}

TEST(ParserTest, CollectivesAsCalls) {
  EXPECT_EQ(Canonical("AllGather_X(A[I_X,J])"), "AllGather_X(A[I_X,J]) -> A[I,J]");
  EXPECT_EQ(Canonical("all-gather_{XY}(A[I_X,J_Y])"), "AllGather_XY(A[I_X,J_Y]) -> A[I,J]");
  EXPECT_EQ(Canonical("ReduceScatter_Y(A[I_X,J]{U_Y}) -> A[I_X,J_Y]"),
            "ReduceScatter_Y,J(A[I_X,J]{U_Y}) -> A[I_X,J_Y]");
  EXPECT_EQ(Canonical("dA[I_X] = ReduceScatter_X(dA[I]{U_X})"),
            "ReduceScatter_X,I(dA[I]{U_X}) -> dA[I_X]");
  EXPECT_EQ(Canonical("AllToAll_{Z->B}(Q[B,N_YZ,H])"),
            "AllToAll_Z:N->B(Q[B,N_YZ,H]) -> Q[B_Z,N_Y,H]");
  EXPECT_EQ(Canonical("AllGather_X(A[I,J_X]) . B[J,K] -> C[I,K]"),
            "AllGather_X(A[I,J_X]) -> A[I,J]; A[I,J] . B[J,K] -> C[I,K]");
  EXPECT_EQ(Canonical("AllReduce_X(A[I,J_X] . B[J_X,K]) -> C[I,K]"),
            "A[I,J_X] . B[J_X,K] -> ?[I,K]{U_X}; AllReduce_X(?[I,K]{U_X}) -> C[I,K]");
}

TEST(ParserTest, MissingOutputIsTheNaturalOne) {
  EXPECT_EQ(Canonical("A[I_X,J] . B[J,K_Y]"), "A[I_X,J] . B[J,K_Y] -> ?[I_X,K_Y]");
  EXPECT_EQ(Canonical("A[I,J_X] . B[J,K]"), "A[I,J_X] . B[J,K] -> ?[I,K]");
  EXPECT_EQ(Canonical("A[E_Z,C,D] ._D W[E_Z,D,F_Y]"), "A[E_Z,C,D] . W[E_Z,D,F_Y] -> ?[E_Z,C,F_Y]");
}

TEST(ParserTest, AxesOfSeveralLetters) {
  EXPECT_EQ(Canonical("A[B_data,D_{fsdp,tensor}] -> A[B_data,D]", "data=2,fsdp=4,tensor=2"),
            "A[B_data,D_{fsdp,tensor}] -> A[B_data,D]");
  // The longest name wins: XY is one axis here.
  EXPECT_EQ(Canonical("A[I_XY] -> A[I]", "X=2,XY=4"), "A[I_XY] -> A[I]");
  EXPECT_EQ(
      ParseExpression("A[I_XY]", MeshOf("X=2,XY=4"))->statements[0].inputs[0].sharding.dims[0].axes,
      std::vector<AxisId>{1});
}

TEST(ParserTest, NumberFormatsAndSizes) {
  StatusOr<Expression> expression =
      ParseExpression("bf16[B_X, D] * int8 W[D, F=512] with B=8*1024, D=2^12", MeshOf("X=4"));
  ASSERT_TRUE(expression.ok()) << expression.status();
  EXPECT_EQ(expression->statements[0].inputs[0].dtype, Dtype::kBf16);
  EXPECT_EQ(expression->statements[0].inputs[1].dtype, Dtype::kInt8);
  EXPECT_EQ(expression->sizes.at("B"), 8 * 1024);
  EXPECT_EQ(expression->sizes.at("D"), 4096);
  EXPECT_EQ(expression->sizes.at("F"), 512);
}

TEST(ParserTest, AxesAsATuple) {
  const MeshShape mesh = MeshOf("X=4,Y=2");
  const auto tuple = ParseExpression("A[I_(X,Y), J] . B[J, K] -> C[I_(X, Y), K]", mesh);
  ASSERT_TRUE(tuple.ok()) << tuple.status();
  const auto braces = ParseExpression("A[I_{XY}, J] . B[J, K] -> C[I_XY, K]", mesh);
  ASSERT_TRUE(braces.ok()) << braces.status();
  EXPECT_EQ(ToString(*tuple), ToString(*braces));
  EXPECT_FALSE(ParseExpression("A[I_(X,Y}]", mesh).ok());
  EXPECT_FALSE(ParseExpression("A[I_(X", mesh).ok());
}

TEST(ParserTest, SizesTakeSuffixes) {
  const auto sizes = ParseSizes("B=8Ki,D=2Mi,T=128k,N=1M,F=4*1Ki");
  ASSERT_TRUE(sizes.ok()) << sizes.status();
  const std::map<std::string, double> expected = {
      {"B", 8 * 1024}, {"D", 2 * 1024 * 1024}, {"T", 128e3}, {"N", 1e6}, {"F", 4 * 1024}};
  EXPECT_EQ(*sizes, expected);
  EXPECT_THAT(std::string(ParseSizes("B=8kk").status().message()), HasSubstr("not NAME=NUMBER"));
}

TEST(ParserTest, MeshSpellings) {
  for (const char* text :
       {"X=4,Y=8", "{X:4, Y:8}", "Mesh({'X': 4, 'Y': 8})", "4x8", "v5e 4x8",
        "Mesh(mesh_shape=(4, 8), axis_names=('X', 'Y'))", "jax.make_mesh((4, 8), ('X', 'Y'))",
        "X:4 Y:8", "{\"X\": 4, \"Y\": 8}"}) {
    EXPECT_EQ(ToString(MeshOf(text)), "{X:4,Y:8}") << text;
  }
  EXPECT_EQ(ToString(MeshOf("16x16x16")), "{X:16,Y:16,Z:16}");
  EXPECT_EQ(MeshOf("v5e 4x4").chip, "v5e");
  EXPECT_EQ(MeshOf("tpu-v5p 4x4").chip, "tpu-v5p");
  EXPECT_EQ(ToString(MeshOf("X1=4,Y_2=8")), "{X1:4,Y_2:8}");
  EXPECT_THAT(MeshOf("X=4x4,Y=2").axes[0].physical, ::testing::ElementsAre(4, 4));
  EXPECT_EQ(MeshOf("X=4x4,Y=2").axes[0].size, 16);
}

TEST(ParserTest, BadMeshes) {
  auto message = [](const std::string& text) {
    return std::string(ParseMeshShape(text).status().message());
  };
  EXPECT_THAT(message("X=0"), HasSubstr("axis X of the mesh has a size out of range"));
  EXPECT_THAT(message("X=99999999999999999999"), HasSubstr("out of range"));
  EXPECT_THAT(message("X=4,X=8"), HasSubstr("axis X is twice"));
  for (const char* size : {"-1", "+4", "1e9", "2.5", "4x", "4.", ".5"}) {
    EXPECT_THAT(message("X=" + std::string(size)),
                HasSubstr("\"" + std::string(size) + "\" in the mesh is not a whole number"));
  }
  EXPECT_THAT(message("4x"), HasSubstr("not a whole number"));
  EXPECT_THAT(message("X=4,Y"), HasSubstr("is not NAME=SIZE"));
  EXPECT_THAT(message(""), HasSubstr("0 sizes"));
  std::string many;
  for (int i = 0; i < 1000; ++i) many += "a" + std::to_string(i) + "=2,";
  EXPECT_THAT(message(many), HasSubstr("expected at most"));
}

TEST(ParserTest, Contradictions) {
  EXPECT_THAT(Canonical("A[I_X,J] ._J B[J,K] -> C[I_X,J]"),
              HasSubstr("dim J is contracted by its operator but is in the output C"));
  EXPECT_THAT(Canonical("A[I_X,J] ._K B[J,K]"), HasSubstr("dim K of the contraction is not in A"));
  EXPECT_THAT(Canonical("A[I_X,J] . (B[J,K] . C[K,L])"), HasSubstr("left to right"));
  EXPECT_THAT(Canonical("AllGather_Y(A[I_X,J])"), HasSubstr("axis Y does not shard A"));
  EXPECT_THAT(Canonical("AllReduce_X(A[I_X,J])"), HasSubstr("nothing is partially summed over X"));
  EXPECT_THAT(Canonical("A[I,J]{U_X} . B[J,K] -> C[I,K"), HasSubstr("expected , or ] in C"));
  EXPECT_THAT(Canonical("A[I_X] -> B[J_X]"), HasSubstr("keeps the dimensions"));
  EXPECT_THAT(Canonical("AllGather_X(A[I_X,J]) -> A[I_Y,J]"), HasSubstr("gives [I,J]"));
}

TEST(ParserTest, HostileTextIsRefusedQuickly) {
  const MeshShape mesh = MeshOf("X=4,Y=8");
  auto message = [&](const std::string& text) {
    return std::string(ParseExpression(text, mesh).status().message());
  };
  EXPECT_THAT(message(std::string(1 << 20, 'A')), HasSubstr("characters long"));
  EXPECT_THAT(message(std::string(60000, '(')), HasSubstr("nested"));
  EXPECT_THAT(message(std::string(60000, '[')), HasSubstr("expected a dimension"));
  EXPECT_THAT(message(std::string(60000, '{')), HasSubstr("expected"));
  EXPECT_THAT(message("A[I_" + std::string(60000, 'X') + "]"), HasSubstr("used twice"));
  EXPECT_THAT(message("A[I_" + std::string(60000, 'Q') + "]"), HasSubstr("not in mesh"));
  std::string dims = "A[";
  for (int i = 0; i < 10000; ++i) dims += "d" + std::to_string(i) + ",";
  EXPECT_THAT(message(dims), HasSubstr("more than 64 dimensions"));
  std::string chain = "A[I,J]";
  for (int i = 0; i < 5000; ++i) chain += ".A[I,J]";
  EXPECT_THAT(message(chain), HasSubstr("more than 64 factors"));
  EXPECT_THAT(message(std::string("A[I\0]", 5)), HasSubstr("code 0"));
  EXPECT_THAT(message(""), HasSubstr("empty"));
}

// Random strings over the tokens of the notation: an answer or one sentence, never a crash.
TEST(ParserTest, RandomTextNeverCrashes) {
  const std::vector<std::string> parts = {"A",
                                          "[",
                                          "]",
                                          "I",
                                          "J",
                                          "_X",
                                          "_{XY}",
                                          ",",
                                          " . ",
                                          "->",
                                          "{U_X}",
                                          "(",
                                          ")",
                                          ";",
                                          "\n",
                                          "B[J,K]",
                                          "AllGather_X",
                                          "=",
                                          "with ",
                                          "B=10",
                                          "{",
                                          "}",
                                          "\\cdot",
                                          "4096",
                                          "_",
                                          ":",
                                          "ReduceScatter_{Y,J}",
                                          "Mesh(",
                                          "bf16",
                                          "\\text{",
                                          "<sub>",
                                          "AllToAll_{X->J}"};
  std::mt19937 random(7);
  const MeshShape mesh = MeshOf("X=4,Y=8");
  int parsed = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string text;
    for (std::size_t i = random() % 12; i > 0; --i) text += parts[random() % parts.size()];
    StatusOr<Expression> expression = ParseExpression(text, mesh);
    if (expression.ok()) {
      ++parsed;
      EXPECT_FALSE(ToString(*expression).empty());
    } else {
      EXPECT_FALSE(expression.status().message().empty()) << text;
    }
  }
  EXPECT_GT(parsed, 10);
}

}  // namespace
}  // namespace meshstep::einsum
