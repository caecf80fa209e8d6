// What a person typed, understood: a mesh and statements over sharded arrays.
//
//   A[I_X,J] . B[J,K_Y] -> C[I_X,K_Y]     product (with more operands: a chain, left to right)
//   A[I_XY,J] -> A[I,J]                   change of sharding
//   AllGather_X(A[I_X,J])                 one collective
//   A[I_X,J]                              an array on its own
//
// Notation: "How To Scale Your Model", chapter 3. strategies/einsum/parser.h reads it.

#ifndef MESHSTEP_STRATEGIES_EINSUM_NOTATION_EXPRESSION_H_
#define MESHSTEP_STRATEGIES_EINSUM_NOTATION_EXPRESSION_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/base/dtype.h"
#include "sim/base/status.h"
#include "strategies/algebra/sharding.h"
#include "strategies/einsum/notation/mesh_shape.h"

namespace meshstep::einsum {

struct ShardedArray {
  std::string name;  // "?" if it has none
  Sharding sharding;
  std::optional<Dtype> dtype;
};

// Explicit contraction of one operator: `._D`, `._{N,H}`.
using Contraction = std::optional<std::vector<std::string>>;

struct Statement {
  enum class Kind { kArray, kMesh, kReshard, kCollective, kProduct };
  Kind kind = Kind::kArray;
  std::vector<ShardedArray> inputs;
  std::optional<ShardedArray> output;  // none for kArray and kMesh; filled in if it was not written
  bool output_written = false;

  // kProduct: one per operator.
  std::vector<Contraction> contractions;

  // kCollective.
  ReshardStep::Op op = ReshardStep::Op::kAllGather;
  std::vector<AxisId> axes;
  std::string from, to;  // dimensions, "" where there is none
};

struct Expression {
  MeshShape mesh;
  std::vector<Statement> statements;
  std::map<std::string, double> sizes;  // elements of a dimension, where they were written
  std::vector<std::string> notes;       // how an ambiguity was resolved
};

inline constexpr double kMaxDimension = 9007199254740992;  // 2^53: exact in a double
inline constexpr std::size_t kMaxDims = 64;
inline constexpr std::size_t kMaxStatements = 64;
inline constexpr std::size_t kMaxOperands = 64;

// A dimension as it was written. Of a shape with equal sizes, fp32[1000,1000], the later dimensions
// are called 1000', 1000'', so that every dimension of an array has a name of its own.
std::string Written(const std::string& dim);

// "A[I_X,J]{U_Y}".
std::string ToString(const ShardedArray& array, const MeshShape& mesh);
// Canonical form, with plain letters: "A[I_X,J_Y] . B[J_Y,K] -> C[I_X,K]",
// "ReduceScatter_Y,J(A[I_X,J]{U_Y}) -> A[I_X,J_Y]", "A[I_XY,J] I=128 J=2048 int8".
std::string ToString(const Statement& statement, const Expression& expression);
// Statements joined by "; ".
std::string ToString(const Expression& expression);

// One step of a product: `left` . `right` into the dimensions `out`.
struct BinaryProduct {
  ShardedArray left, right;
  std::vector<std::string> out;
  std::vector<std::string> contracted;  // in left or right, not in out

  // In left or right, each once.
  std::vector<std::string> Dims() const;
};

// The dimensions of left . right. `output` is the final output if this is the last operator of its
// statement, and `final_output` of a chain otherwise (to tell batch dimensions). Error: the rule.
struct ProductContext {
  const ShardedArray* output = nullptr;
  const ShardedArray* final_output = nullptr;
};
StatusOr<BinaryProduct> Resolve(const ShardedArray& left, const ShardedArray& right,
                                const Contraction& contraction, const ProductContext& context,
                                std::vector<std::string>* notes);

// 2 x the product of all dimensions, without the 2 if nothing is contracted. NaN if a size is
// missing.
double TheoreticalFlops(const BinaryProduct& product, const std::map<std::string, double>& sizes);

// Size of a dimension, NaN if it has none.
double SizeOf(const std::string& dim, const std::map<std::string, double>& sizes);

// Elements of one chip's block, each dimension rounded up. NaN if a size is missing.
double LocalElements(const Sharding& sharding, const MeshShape& mesh,
                     const std::map<std::string, double>& sizes);

// Every dimension that has a size is divisible by the axes that shard it; every size is a whole
// number from 1 to 2^53. With `pad`, dimensions that do not divide are only noted.
Status CheckSizes(const Expression& expression, bool pad, std::vector<std::string>* notes);

// Dimensions without a size, in order of appearance.
std::vector<std::string> MissingSizes(const Expression& expression);

}  // namespace meshstep::einsum

#endif  // MESHSTEP_STRATEGIES_EINSUM_NOTATION_EXPRESSION_H_
