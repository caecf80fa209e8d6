// The quantities that exercises on sharded products ask for, by the names they use. An exercise
// means the derivation of the book's rules unless it describes another in words
// ("slice+AllReduce").

#ifndef MESHSTEP_STRATEGIES_EINSUM_EXERCISE_H_
#define MESHSTEP_STRATEGIES_EINSUM_EXERCISE_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "strategies/einsum/answer.h"
#include "strategies/einsum/solver.h"

namespace meshstep::einsum {

struct Exercise {
  std::string expression;
  MeshShape mesh;
  std::map<std::string, double> sizes;  // by dimension; others are ignored
  SolveOptions options;                 // its model is that of "t_comms"
  std::string plan;                     // words for a derivation, "" for the book's
};

class ExerciseAnswer {
 public:
  // Error: the contradiction that the exercise has (the answer to its quantity "error").
  static StatusOr<ExerciseAnswer> Make(const Exercise& exercise);

  const Answer& answer() const { return answer_; }
  const Expression& expression() const { return expression_; }
  const Derivation& plan() const { return answer_.derivations[chosen_]; }
  std::size_t chosen() const { return chosen_; }

  // The derivation's collectives, without products and slices.
  std::vector<Step> Collectives(std::size_t plan) const;

  // flops_theoretical, flops_per_chip, flops_executed_all_chips, replication, t_math, t_comms,
  // t_comms_no_wrap, t_comms_if_ring, t_lower, t_upper, t_hbm, alpha, bytes, D_crit (the size of D
  // at which compute and communication take the same time), ...; a prefix "s1_" asks it of the
  // book's derivation, "s2_" of the best other one. None: no such quantity, or an input is missing.
  // By the convention of the exercises t_comms, t_lower and t_upper charge a collective over
  // several axes with the links of one of them (V/W); t_comms_book_formula counts the links of all.
  std::optional<double> Number(const std::string& quantity) const;

  // local_shape (of the array, or the result of the products), local_A.
  std::optional<std::vector<double>> Shape(const std::string& quantity) const;

  // The longer of compute and communication: "compute" or "comms".
  std::string Bound() const;

 private:
  std::optional<double> NumberOf(const std::string& quantity, const Derivation& plan) const;
  std::optional<double> BytesOf(const std::string& quantity) const;
  std::optional<double> CriticalSize(const std::string& dim, const Derivation& plan) const;
  // `one_ring`: a gather or sum over several axes has the links of one of them.
  double CommunicationSeconds(const Derivation& plan, CostModel model, bool one_ring = false) const;
  const ArrayMemory* Find(const std::string& array) const;

  Exercise exercise_;
  Expression expression_;
  Answer answer_;
  std::size_t chosen_ = 0;
};

// The derivation that words like "slice+AllReduce" or "gather W" describe: the best whose
// collectives are those that are named; if none are named and the words say "alternative", the best
// but the book's.
std::size_t ChooseDerivation(const Answer& answer, const std::string& words);

}  // namespace meshstep::einsum

#endif  // MESHSTEP_STRATEGIES_EINSUM_EXERCISE_H_
