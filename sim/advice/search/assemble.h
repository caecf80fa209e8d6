// What a search found, as its report.

#ifndef MESHSTEP_SIM_ADVICE_SEARCH_ASSEMBLE_H_
#define MESHSTEP_SIM_ADVICE_SEARCH_ASSEMBLE_H_

#include <optional>
#include <string>
#include <vector>

#include "meshstep/v1/search_report.pb.h"
#include "sim/advice/search/search.h"
#include "sim/advice/search/search_file.h"

namespace meshstep {

struct Objective {
  std::string name = "tokens_per_chip";  // or "step", "cost": on one cluster they agree
  std::optional<double> price;           // of a chip for an hour, in any currency
};

// The report does not depend on what was looked at beyond the last of the best.
v1::SearchReport Assemble(const PlanSpace& space, const Searched& searched,
                          const SearchOptions& options, const Objective& objective);

// All parts of one search as one. Error: a part is missing, is there twice, or is of another search
// (a space, a number of plans, a memory).
StatusOr<Searched> MergeParts(const std::vector<SearchContents>& parts);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_ADVICE_SEARCH_ASSEMBLE_H_
