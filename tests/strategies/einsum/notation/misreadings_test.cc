#include "strategies/einsum/notation/misreadings.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "strategies/einsum/notation/parser.h"

namespace meshstep::einsum {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> Warnings(const std::string& text,
                                  const std::map<std::string, double>& sizes = {}) {
  StatusOr<Expression> expression = ParseExpression(text, *ParseMeshShape("X=4,Y=2"));
  EXPECT_TRUE(expression.ok()) << expression.status();
  expression->sizes.insert(sizes.begin(), sizes.end());
  return LikelyMisreadings(*expression);
}

TEST(MisreadingsTest, AnAxisWithoutItsUnderscore) {
  EXPECT_THAT(Warnings("A[IX,J]"),
              ElementsAre(AllOf(HasSubstr("IX in A[IX,J]"), HasSubstr("I sharded over X is I_X"))));
  EXPECT_THAT(Warnings("A[IXY,J]"), ElementsAre(HasSubstr("is I_XY")));
  EXPECT_THAT(Warnings("A[max,J]"), IsEmpty());
  EXPECT_THAT(Warnings("A[I_X,J]"), IsEmpty());
}

TEST(MisreadingsTest, ACommaBetweenTheAxesOfOneDimension) {
  EXPECT_THAT(Warnings("A[I_X,Y,J]"),
              ElementsAre(AllOf(HasSubstr("not as the axis Y"), HasSubstr("is I_XY"))));
  EXPECT_THAT(Warnings("A[I_{X,Y},J]"), IsEmpty());
}

TEST(MisreadingsTest, TwoLettersForOneContraction) {
  EXPECT_THAT(Warnings("A[I,J] . B[L,K] -> C[I,K]"),
              ElementsAre(HasSubstr("J is in A only and L in B only")));
  EXPECT_THAT(Warnings("A[I,J] . B[K] -> C[I,K]"), ElementsAre(HasSubstr("J is in A only")));
  EXPECT_THAT(Warnings("A[I,J] . B[J,K] -> C[I,K]"), IsEmpty());
  // A sum beside a contraction is common: the scores of one query, for example.
  EXPECT_THAT(Warnings("A[I,J,L] . B[J,K] -> C[I,K]"), IsEmpty());
}

TEST(MisreadingsTest, ABatchDimensionWithoutAnOutput) {
  EXPECT_THAT(Warnings("A[B,I,J] . W[B,J,K]"),
              ElementsAre(AllOf(HasSubstr("B, J of A and W"), HasSubstr("if B is a batch"))));
  EXPECT_THAT(Warnings("A[B,I,J] ._J W[B,J,K]"), IsEmpty());
  EXPECT_THAT(Warnings("A[I,J] . W[J,K]"), IsEmpty());
}

TEST(MisreadingsTest, SizesSayWhatIsMeant) {
  EXPECT_THAT(Warnings("A[IX,J]", {{"IX", 8}, {"J", 8}}), IsEmpty());
  EXPECT_THAT(Warnings("A[I,J] . B[L,K] -> C[I,K]", {{"J", 8}, {"L", 8}}), IsEmpty());
}

}  // namespace
}  // namespace meshstep::einsum
