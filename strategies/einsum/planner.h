// Answers an expression: every valid way to do it, what each costs, best first.
//
//   StatusOr<Expression> e = ParseExpression("A[I,J_X] . B[J,K] -> C[I,K]", mesh);
//   StatusOr<Answer> answer = Plan(*e, options);
//   answer->plans[0].name     "Einsum(A,B); AllReduce_X(C)"
//
// A plan takes the statements in order and, for each product, one layout (layout.h). Chains run
// left to right; the result of each product but the last is reduced before the nonlinearity.

#ifndef MESHSTEP_STRATEGIES_EINSUM_PLANNER_H_
#define MESHSTEP_STRATEGIES_EINSUM_PLANNER_H_

#include "strategies/einsum/answer.h"
#include "strategies/einsum/expression.h"

namespace meshstep::einsum {

// Error: the rule that is broken, with the array, dimension or axis and what to do.
StatusOr<Answer> Plan(const Expression& expression, const PlanOptions& options);

}  // namespace meshstep::einsum

#endif  // MESHSTEP_STRATEGIES_EINSUM_PLANNER_H_
