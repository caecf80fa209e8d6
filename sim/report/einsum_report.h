// The answer to a mesh-sharding exercise as a message (proto/meshstep/v1/einsum_report.proto) and
// as text for people, with or without the derivation.

#ifndef MESHSTEP_SIM_REPORT_EINSUM_REPORT_H_
#define MESHSTEP_SIM_REPORT_EINSUM_REPORT_H_

#include <string>

#include "meshstep/v1/einsum_report.pb.h"
#include "strategies/einsum/answer.h"
#include "strategies/einsum/solver.h"

namespace meshstep {

// How a cost model prices on a chip, in a few words: "book: V/(W n), every axis a ring".
std::string CostFormula(const einsum::SolveOptions& options);

v1::EinsumReport MakeEinsumReport(const einsum::Expression& expression,
                                  const einsum::SolveOptions& options,
                                  const einsum::Answer& answer);

// The best plans as a table, and the memory of the arrays.
std::string EinsumText(const einsum::Expression& expression, const einsum::SolveOptions& options,
                       const einsum::Answer& answer, std::size_t plans);

// The derivation of the best plan and, if it is another, of the book's: dimensions, cases, each
// step with its formula and numbers, and what bounds the time.
std::string EinsumDerivation(const einsum::Expression& expression,
                             const einsum::SolveOptions& options, const einsum::Answer& answer);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_REPORT_EINSUM_REPORT_H_
