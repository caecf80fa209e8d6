#include "strategies/einsum/solver.h"

#include <chrono>
#include <cmath>
#include <fstream>
#include <random>
#include <sstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "strategies/einsum/answer.h"
#include "strategies/einsum/notation/parser.h"

namespace meshstep::einsum {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// The rounded rates of the book's TPU v5p on rings: C = 4.59e14, W = 2 x 9e10, HBM 2.8e12.
Hardware BookV5p() {
  Hardware hardware;
  hardware.name = "v5p";
  hardware.matmul.fill(FlopsPerSecond(4.59e14));
  hardware.hbm_rate = BytesPerSecond(2.8e12);
  hardware.link = BytesPerSecond(9e10);
  hardware.interconnect.kind = Interconnect::Kind::kTorus;
  hardware.interconnect.dimensions = 3;
  hardware.interconnect.wraparound = Interconnect::Wraparound::kWholeCubes;
  hardware.interconnect.latency = Seconds(1e-6);
  return hardware;
}

StatusOr<Answer> AnswerOf(const std::string& text, const std::string& mesh, const std::string& dims,
                          SolveOptions options = {}) {
  ASSIGN_OR_RETURN(const MeshShape parsed_mesh, ParseMeshShape(mesh));
  ASSIGN_OR_RETURN(Expression expression, ParseExpression(text, parsed_mesh));
  std::map<std::string, double> sizes;
  std::stringstream list(dims);
  for (std::string entry; std::getline(list, entry, ',');) {
    expression.sizes[entry.substr(0, entry.find('='))] =
        std::stod(entry.substr(entry.find('=') + 1));
  }
  return Solve(expression, options);
}

SolveOptions BookOptions() {
  SolveOptions options;
  options.hardware = BookV5p();
  options.model = CostModel::kBook;
  return options;
}

std::vector<std::string> Names(const Answer& answer) {
  std::vector<std::string> names;
  for (const Derivation& plan : answer.derivations) names.push_back(plan.name);
  return names;
}

// tests/strategies/einsum/parser_cases.json: 20 products with the plan of the book's rules.
TEST(SolverTest, PlansOfTheBooksRules) {
  std::ifstream file(MESHSTEP_SOURCE_DIR "/tests/strategies/einsum/parser_cases.json");
  const nlohmann::json cases = nlohmann::json::parse(file).at("plan_book_rules");
  ASSERT_EQ(cases.size(), 20u);
  for (const nlohmann::json& item : cases) {
    SCOPED_TRACE(item.at("expr").get<std::string>());
    std::vector<MeshShape::Axis> axes;
    for (const auto& [name, size] : item.at("mesh").items()) axes.push_back({name, size, {}});
    StatusOr<Expression> expression = ParseExpression(item.at("expr"), *MakeMeshShape(axes));
    ASSERT_TRUE(expression.ok()) << expression.status();
    expression->sizes = item.at("sizes").get<std::map<std::string, double>>();
    StatusOr<Answer> answer = Solve(*expression, SolveOptions());
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(answer->flops_theoretical, item.at("flops_theoretical").get<double>());
    EXPECT_EQ(answer->flops_per_chip, item.at("flops_per_chip").get<double>());
    EXPECT_EQ(answer->replication, item.at("replication").get<double>());
    std::vector<Step> moves;
    for (const Step& step : answer->BookDerivation().steps) {
      if (!step.is_product && step.reshard.op != ReshardStep::Op::kSlice) moves.push_back(step);
    }
    const nlohmann::json& steps = item.at("steps");
    ASSERT_EQ(moves.size(), steps.size());
    for (std::size_t i = 0; i < moves.size(); ++i) {
      EXPECT_EQ(NameOf(moves[i].reshard.op), steps[i].at("op").get<std::string>());
      EXPECT_EQ(moves[i].array, steps[i].at("array").get<std::string>());
      EXPECT_EQ(moves[i].volume, steps[i].at("bytes").get<double>());
      EXPECT_EQ(moves[i].before_product ? "before" : "after", steps[i].at("when"));
      if (!steps[i].at("dim").is_null()) {
        EXPECT_EQ(moves[i].dim, steps[i].at("dim").get<std::string>());
      }
      ASSERT_EQ(moves[i].axes.size(), steps[i].at("axes").size());
      for (std::size_t a = 0; a < moves[i].axes.size(); ++a) {
        EXPECT_EQ(expression->mesh.axes[static_cast<std::size_t>(moves[i].axes[a])].name,
                  steps[i].at("axes")[a].get<std::string>());
      }
    }
  }
}

// Chapter 3, question 4: with B large and D > 2C/W the replicated operand is sliced and the result
// summed. v5p: 2 x 2550 = 5100.
TEST(SolverTest, SlicingTheReplicatedOperandWinsForLongContractions) {
  const std::string text = "A[B,D] . W[D_X,F] -> C[B,F]";
  StatusOr<Answer> answer = AnswerOf(text, "X=4", "B=8192,D=8192,F=32768", BookOptions());
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_THAT(Names(*answer), ElementsAre("Slice_{X,D}(A); Einsum(A,W); AllReduce_X(C)",
                                          "AllGather_X(W); Einsum(A,W)"));
  const Derivation& best = answer->derivations[0];
  EXPECT_DOUBLE_EQ(best.communication_s, 2 * (2.0 * 8192 * 32768) / 1.8e11);
  EXPECT_DOUBLE_EQ(best.compute_s, 2.0 * 8192 * 8192 * 32768 / 4 / 4.59e14);
  EXPECT_DOUBLE_EQ(best.overlapped_s, best.communication_s);
  EXPECT_EQ(best.bound, "communication");
  EXPECT_FALSE(best.book);

  answer = AnswerOf(text, "X=4", "B=8192,D=4096,F=32768", BookOptions());
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->derivations[0].name, "AllGather_X(W); Einsum(A,W)");
}

// The example of solver.h: V(C) = 2 IK is an eighth of V(A) = 2 IJ.
TEST(SolverTest, TheHeadersExample) {
  StatusOr<Answer> answer =
      AnswerOf("A[I,J_X] . B[J,K] -> C[I,K]", "X=4", "I=1024,J=8192,K=1024", BookOptions());
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_THAT(Names(*answer), ElementsAre("Slice_{X,J}(B); Einsum(A,B); AllReduce_X(C)",
                                          "AllGather_X(A); Einsum(A,B)"));
  EXPECT_DOUBLE_EQ(answer->derivations[0].communication_s, 2 * (2.0 * 1024 * 1024) / 1.8e11);
  EXPECT_DOUBLE_EQ(answer->derivations[1].communication_s, 2.0 * 1024 * 8192 / 1.8e11);
}

// Chapter 4: Z is on neither array, so its 4 chips repeat one another's work, whatever the sizes.
TEST(SolverTest, ReplicationWithoutSizes) {
  const std::string text = "A[B_X,D_Y] . W[D_Y,F] -> C[B_X,F]";
  StatusOr<Answer> answer = AnswerOf(text, "X=4,Y=8,Z=4", "");
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->replication, 4);
  answer = AnswerOf(text, "X=4,Y=8,Z=4", "B=1024,D=4096,F=16384");
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->replication, 4);
  // Two products with work repeated 4 and 1 times: the whole depends on the sizes.
  answer = AnswerOf("A[I_X,J] . B[J,K] -> C[I_X,K]; P[L,M] . Q[M,N] -> R[L,N]", "X=4", "");
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_TRUE(std::isnan(answer->replication));
}

TEST(SolverTest, SquareShapes) {
  StatusOr<Answer> answer = AnswerOf("fp32[1000,1000]", "X=1", "");
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_THAT(answer->memory[0].local_shape, ElementsAre(1000, 1000));
  EXPECT_EQ(answer->memory[0].bytes_per_chip, 4e6);
  EXPECT_EQ(answer->memory[0].array, "?[1000,1000]");
  answer = AnswerOf("A[1024_X,1024] -> A[1024,1024_X]", "X=4", "");
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->result, "A[1024,1024_X]");
  EXPECT_EQ(answer->derivations[0].steps[0].reshard.op, ReshardStep::Op::kAllToAll);
  // 2 bytes, 1024 x 1024, of which a chip sends 3/4 of its quarter.
  EXPECT_EQ(answer->derivations[0].steps[0].sent, 2.0 * 1024 * 1024 * 3 / 16);
  const Status status = AnswerOf("A[8,8] . B[8,8]", "X=1", "").status();
  EXPECT_THAT(std::string(status.message()), HasSubstr("more than one dim of 8"));
}

TEST(SolverTest, GatherBeforeOrAfter) {
  StatusOr<Answer> answer =
      AnswerOf("A[I_X,J] . B[J,K] -> C[I,K]", "X=4", "I=1024,J=8192,K=1024", BookOptions());
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_THAT(Names(*answer),
              ElementsAre("Einsum(A,B); AllGather_X(C)", "AllGather_X(A); Einsum(A,B)"));
}

TEST(SolverTest, OutputShardingIsPushedIntoTheInputs) {
  StatusOr<Answer> answer =
      AnswerOf("A[I,J] . B[J,K] -> C[I_X,K]", "X=4", "I=1024,J=1024,K=1024", BookOptions());
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_THAT(Names(*answer),
              ElementsAre("Slice_{X,I}(A); Einsum(A,B)", "Einsum(A,B); Slice_{X,I}(C)"));
  EXPECT_EQ(answer->derivations[0].flops_per_chip, 2.0 * 1024 * 1024 * 1024 / 4);
}

// parser_edge_cases.md, 17: contracting dimensions on different axes.
TEST(SolverTest, DifferentAxesOnTheContraction) {
  StatusOr<Answer> answer =
      AnswerOf("A[I,J_X] . B[J_Y,K] -> C[I,K]", "X=4,Y=4", "I=8192,J=8192,K=8192", BookOptions());
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_THAT(Names(*answer), ::testing::IsSupersetOf(
                                  {"AllGather_X(A); AllGather_Y(B); Einsum(A,B)",
                                   "AllGather_X(A); Slice_{Y,J}(A); Einsum(A,B); AllReduce_Y(C)"}));
}

// 16: the blocks of J_XY and J_YX do not line up.
TEST(SolverTest, OrderOfAxesOnTheContraction) {
  StatusOr<Answer> answer = AnswerOf("A[I,J_XY] . B[J_YX,K] -> C[I,K]{U_XY}", "X=4,Y=2",
                                     "I=8192,J=8192,K=8192", BookOptions());
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_THAT(answer->derivations[0].name, HasSubstr("Permute_"));
}

// 23: a sum over X may wait until after a product that does not use X.
TEST(SolverTest, SumOfAnInputMayWait) {
  StatusOr<Answer> answer =
      AnswerOf("A[I,J]{U_X} . B[J,K] -> C[I,K]{U_X}", "X=4", "I=64,J=64,K=64", BookOptions());
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_THAT(Names(*answer), ElementsAre("Einsum(A,B)"));
}

TEST(SolverTest, ChainsRunLeftToRightAndReduceBeforeTheNonlinearity) {
  StatusOr<Answer> answer = AnswerOf("In[B,D_Y] . Win[D,F_Y] . Wout[F_Y,D] -> Out[B,D_Y]", "Y=4",
                                     "B=1024,D=4096,F=16384", BookOptions());
  ASSERT_TRUE(answer.ok()) << answer.status();
  // Tensor parallelism, chapter 5.
  EXPECT_EQ(answer->BookDerivation().name,
            "AllGather_Y(In); Einsum(In,Win); Einsum(Tmp,Wout); ReduceScatter_{Y,D}(Out)");
  EXPECT_EQ(answer->flops_theoretical, 2 * 2.0 * 1024 * 4096 * 16384);
  answer = AnswerOf("In[B,D_Y] . Win[D_Y,F] . Wout[F,D] -> Out[B,D]", "Y=4",
                    "B=1024,D=4096,F=16384", BookOptions());
  ASSERT_TRUE(answer.ok()) << answer.status();
  for (const Derivation& plan : answer->derivations) {
    for (const Step& step : plan.steps) {
      if (step.is_product && step.product.left.name == "Tmp") {
        EXPECT_THAT(step.product.left.sharding.unreduced, IsEmpty());
      }
    }
  }
}

TEST(SolverTest, TwoStatementsAddUp) {
  StatusOr<Answer> answer =
      AnswerOf("In[B,D_XY] . Win[D,F_XY] -> Tmp[B,F_XY]; Tmp[B,F_XY] . Wout[F_XY,D] -> Out[B,D_XY]",
               "X=2,Y=2", "B=128,D=8192,F=32768", BookOptions());
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->BookDerivation().name,
            "AllGather_XY(In); Einsum(In,Win); Einsum(Tmp,Wout); ReduceScatter_{XY,D}(Out)");
  // 2 weights of 2DF/4 bytes and the activations, read or written once.
  EXPECT_DOUBLE_EQ(
      answer->BookDerivation().hbm_s,
      (2 * (2.0 * 8192 * 32768 / 4) + 2 * (2.0 * 128 * 8192) + 2 * (2.0 * 128 * 32768 / 4)) /
          2.8e12);
}

TEST(SolverTest, AxesOfSizeOneCostNothing) {
  StatusOr<Answer> answer =
      AnswerOf("A[I,J_X] . B[J_X,K] -> C[I,K]", "X=1", "I=8,J=8,K=8", BookOptions());
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_THAT(Names(*answer), ElementsAre("Einsum(A,B)"));
}

TEST(SolverTest, MemoryCountsReplicas) {
  StatusOr<Answer> answer = AnswerOf("A[I_XY,J]", "X=2,Y=8,Z=2", "I=128,J=2048", SolveOptions());
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_THAT(answer->memory[0].local_shape, ElementsAre(128 / 16, 2048));
  EXPECT_EQ(answer->memory[0].bytes_per_chip, 2.0 * 128 * 2048 / 16);
  EXPECT_EQ(answer->memory[0].bytes_all_chips, 2 * answer->memory[0].bytes_one_copy);
}

TEST(SolverTest, NarrowWeightsMultiplyAtTheWideRate) {
  SolveOptions options = BookOptions();
  options.hardware->matmul[static_cast<std::size_t>(Dtype::kInt8)] = FlopsPerSecond(9.18e14);
  StatusOr<Answer> wide =
      AnswerOf("bf16 A[I,J] . int8 B[J,K] -> C[I,K]", "X=1", "I=64,J=64,K=64", options);
  StatusOr<Answer> narrow =
      AnswerOf("int8 A[I,J] . int8 B[J,K] -> C[I,K]", "X=1", "I=64,J=64,K=64", options);
  ASSERT_TRUE(wide.ok() && narrow.ok());
  EXPECT_DOUBLE_EQ(wide->derivations[0].compute_s, 2 * narrow->derivations[0].compute_s);
}

TEST(SolverTest, LatencyBoundUnderTheChipsModel) {
  SolveOptions options = BookOptions();
  options.model = CostModel::kChip;
  // Chapter 3, question 3: 256 bytes over a ring of 4 take 2 hops of 1 us.
  StatusOr<Answer> answer = AnswerOf("AllGather_X(A[B_X])", "4x4x4", "B=128", options);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_DOUBLE_EQ(answer->derivations[0].communication_s, 2e-6);
  EXPECT_EQ(answer->derivations[0].bound, "latency");
}

TEST(SolverTest, WithoutSizesTheNumbersAreUnknown) {
  StatusOr<Answer> answer = AnswerOf("A[I_X,J] . B[J,K] -> C[I,K]", "X=4", "", BookOptions());
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_THAT(answer->missing, ElementsAre("I", "J", "K"));
  EXPECT_TRUE(std::isnan(answer->flops_theoretical));
  EXPECT_EQ(answer->derivations.size(), 2u);
}

TEST(SolverTest, Contradictions) {
  auto message = [](const std::string& text, const std::string& dims) {
    return std::string(AnswerOf(text, "X=4,Y=8", dims).status().message());
  };
  EXPECT_THAT(message("A[B_X,D] . W[D,F] -> C[B_X,F]", "B=10,D=8,F=8"),
              HasSubstr("dim B=10 not divisible by X:4 (pad to 12 or reject)"));
  EXPECT_THAT(message("A[B,D] . W[D,F] -> C[B,F]", "B=0.5,D=8,F=8"), HasSubstr("whole number"));
  EXPECT_THAT(message("A[B,D] . W[D,F] -> C[B,F]", "B=-4,D=8,F=8"), HasSubstr("whole number"));
  EXPECT_THAT(message("A[I_X,J] . B[J,K] -> C[I_X,K]; C[J,K] . D[K,L] -> E[J,L]", ""),
              HasSubstr("C is C[I_X,K] in one statement"));
}

TEST(SolverTest, PaddingIsCountedAndNoted) {
  SolveOptions options = BookOptions();
  options.pad = true;
  StatusOr<Answer> answer =
      AnswerOf("A[B_X,D] . W[D,F] -> C[B_X,F]", "X=4", "B=10,D=8,F=8", options);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->flops_per_chip, 2.0 * 3 * 8 * 8);
  EXPECT_THAT(answer->notes, ElementsAre(HasSubstr("padded to 12")));
}

// Many axes, each with several places, on long chains: bounded work and a note, whatever the input.
TEST(SolverTest, HugeSearchesAreCut) {
  std::string mesh, left = "A[I_{", right = "} , J] . B[J_{", out = "},K] -> C[I,K]";
  std::string axes;
  for (int i = 0; i < 59; ++i) {
    mesh += (i == 0 ? "" : ",") + ("a" + std::to_string(i)) + "=2";
    axes += (i == 0 ? "" : ",") + ("a" + std::to_string(i));
  }
  const auto start = std::chrono::steady_clock::now();
  StatusOr<Answer> answer = AnswerOf(left + axes + right + axes + out, mesh,
                                     "I=1152921504606846976,J=1152921504606846976,K=8");
  EXPECT_THAT(std::string(answer.status().message()), HasSubstr("whole number from 1 to 2^53"));
  answer = AnswerOf(left + axes + right + axes + out, mesh, "", BookOptions());
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_THAT(answer->notes, ::testing::Contains(HasSubstr("ways to place the axes")));
  std::string chain = "T0[B_X,D_Y]";
  for (int i = 0; i < 60; ++i) chain += " . W" + std::to_string(i) + "[D_Y,D_X]";
  EXPECT_FALSE(AnswerOf(chain + " -> Out[B_X,D_Y]", "X=4,Y=4", "B=64,D=64").ok());
  chain = "T0[B_X,D_Y]";
  for (int i = 0; i < 60; ++i) {
    const std::string from = i % 2 == 0 ? "D_Y" : "F_Y", to = i % 2 == 0 ? "F_X" : "D_X";
    chain += " . W" + std::to_string(i) + "[" + from + "," + to + "]";
  }
  answer = AnswerOf(chain + " -> Out[B_X,D_Y]", "X=4,Y=4", "B=64,D=64,F=64", BookOptions());
  EXPECT_TRUE(answer.ok()) << answer.status();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(60));
}

// Random statements over a few names, most of them nonsense: an answer or one sentence.
TEST(SolverTest, RandomExpressionsNeverCrash) {
  std::mt19937 random(11);
  auto pick = [&](const std::vector<std::string>& from) { return from[random() % from.size()]; };
  auto array = [&] {
    std::string text = pick({"A", "B", "C", ""}) + "[";
    for (std::size_t d = random() % 4; d-- > 0;) {
      text += pick({"I", "J", "K", "L"}) + pick({"", "", "_X", "_Y", "_XY", "_YX", "_Z"}) +
              (d > 0 ? "," : "");
    }
    return text + "]" + pick({"", "", "", "{U_X}", "{U_YZ}"});
  };
  const std::vector<std::string> calls = {"AllGather_X",    "AllReduce_Y", "ReduceScatter_{X,I}",
                                          "AllToAll_{X,J}", "AllGather",   ""};
  int answered = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string text;
    for (std::size_t s = 1 + random() % 2; s-- > 0;) {
      for (std::size_t f = 1 + random() % 3; f-- > 0;) {
        text += pick(calls) + "(" + array() + ")" + (f > 0 ? pick({" . ", " ._J "}) : "");
      }
      text += pick({"", " -> " + array()}) + (s > 0 ? "; " : "");
    }
    const StatusOr<Answer> answer =
        AnswerOf(text, "X=4,Y=2,Z=1", pick({"", "I=8,J=8,K=8,L=8", "I=8"}), BookOptions());
    answered += answer.ok();
    if (!answer.ok()) {
      EXPECT_FALSE(answer.status().message().empty()) << text;
    }
  }
  EXPECT_GT(answered, 100);
}

TEST(SolverTest, LargeDimensionsStayExact) {
  StatusOr<Answer> answer =
      AnswerOf("A[I_X,J] . B[J,K] -> C[I_X,K]", "X=4",
               "I=1000000000000000,J=1000000000000000,K=1000000000000000", BookOptions());
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_DOUBLE_EQ(answer->flops_theoretical, 2e45);
}

}  // namespace
}  // namespace meshstep::einsum
