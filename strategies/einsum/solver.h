// Solves an expression: every valid way to compute it on a mesh, what each costs, best first.
//
// Problem. Given arrays A[I_x..], B[..] with their mesh axes, and the sharding that the output C is
// to have, find sequences of collectives and local products that compute C, and their times. Each
// sequence is a derivation.
//
// Symbols.
//   (a, b)  shardings of the operands while one product runs locally (operand_shardings.h)
//   L       pairs (a, b) tried for one product: an axis is on a dimension where an input or the
//           output has it, or on none
//   K       derivations kept after each product
//   P       products of the expression; L = 512/P and K = 128/P, at least 8 and 4
//
// Method. Statements are taken in order, chains from left to right (the result of each product but
// the last is reduced before the nonlinearity). For each derivation that is kept and each pair
// (a, b): bring A to a, B to b by the cheapest way (reshard_variants.h), multiply, bring the result
// to C. The K cheapest of these, and that of the rules of chapter 3, are kept.
//
// Invariants. Every derivation begins at the shardings that were written and ends at that of the
// output; LocalProduct accepts the operands of each of its products; carried out on simulated
// devices it gives the numbers of the unsharded product (einsum_execution_test.cc). The derivation
// of the book's rules is among the answers wherever these rules reach the output.
//
// Complexity. O(P K L) shardings are priced, at most 2^16 / P, whatever the expression; each takes
// time linear in the dimensions and axes of its arrays. With P = 1 and fewer than L pairs the
// search is exhaustive; else a note of the answer says how many were compared.
//
// Source. "How To Scale Your Model" (Austin et al. 2025), chapter 3: its four cases are the rules
// of notation/book_rules.h; its question 4 (gather, or slice and sum) is the choice among the
// pairs.
//
// Example. A[I,J_X] . B[J,K] -> C[I,K] on X=4 has two pairs: J on no axis, or on X.
//
//   StatusOr<Expression> e = ParseExpression("A[I,J_X] . B[J,K] -> C[I,K]",
//   *ParseMeshShape("X=4")); e->sizes = {{"I", 1024}, {"J", 8192}, {"K", 1024}}; StatusOr<Answer>
//   answer = Solve(*e, options); answer->derivations[0].name   "Slice_{X,J}(B); Einsum(A,B);
//   AllReduce_X(C)"   2 V(C)/W answer->derivations[1].name   "AllGather_X(A); Einsum(A,B)" V(A)/W

#ifndef MESHSTEP_STRATEGIES_EINSUM_SOLVER_H_
#define MESHSTEP_STRATEGIES_EINSUM_SOLVER_H_

#include "sim/base/status.h"
#include "strategies/einsum/answer.h"
#include "strategies/einsum/notation/expression.h"

namespace meshstep::einsum {

// Error: the rule that is broken, with the array, dimension or axis and what to do.
StatusOr<Answer> Solve(const Expression& expression, const SolveOptions& options);

}  // namespace meshstep::einsum

#endif  // MESHSTEP_STRATEGIES_EINSUM_SOLVER_H_
