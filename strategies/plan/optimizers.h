// The optimizers that a plan can name, and the state that each keeps for a parameter.
//
// State of one element, bytes: moments + master(parameter). A matrix may keep another amount: Muon's
// has no second moment (Jordan, kellerjordan.github.io/posts/muon, 2024-12), Adafactor's second
// moment is a row and a column (Shazeer and Stern, arXiv 1804.04235 §3), 4 (r + c) bytes for r · c
// elements, which is not per element and not counted here.
//
// Example: "muon" with bf16 parameters keeps 4 + 4 bytes an element of a matrix, 8 + 4 of others.

#ifndef MESHSTEP_STRATEGIES_PLAN_OPTIMIZERS_H_
#define MESHSTEP_STRATEGIES_PLAN_OPTIMIZERS_H_

#include <span>
#include <string_view>

namespace meshstep {

struct OptimizerKind {
  // What is kept beside a parameter that is narrower than the fp32 value it stands for.
  enum class Master {
    kNone,       // nothing: updates round
    kCopy,       // the value, 4 bytes
    kRemainder,  // what the parameter leaves out of the value
  };
  // Which arrays count as matrices.
  enum class Matrices {
    kNone,
    kHidden,  // weights of the layers' products: not tables, head, norms, biases
    kAll,     // every array of two dimensions
  };
  std::string_view name;
  double moments = 0;  // bytes of an element that is not of a matrix
  Master master = Master::kNone;
  Matrices matrices = Matrices::kNone;
  double matrix_moments = 0;  // of an element of a matrix
  std::string_view source;

  // parameter: bytes of a stored element.
  double MasterBytes(double parameter) const;
  double StateBytes(double parameter) const { return moments + MasterBytes(parameter); }
  double MatrixStateBytes(double parameter) const {
    return matrix_moments + MasterBytes(parameter);
  }
};

std::span<const OptimizerKind> Optimizers();
// Null: there is none of that name.
const OptimizerKind* FindOptimizer(std::string_view name);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_PLAN_OPTIMIZERS_H_
