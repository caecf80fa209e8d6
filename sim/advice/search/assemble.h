// What a search found, as its report.

#ifndef MESHSTEP_SIM_ADVICE_SEARCH_ASSEMBLE_H_
#define MESHSTEP_SIM_ADVICE_SEARCH_ASSEMBLE_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "meshstep/v1/search_report.pb.h"
#include "sim/advice/search/search.h"
#include "sim/advice/search/search_file.h"

namespace meshstep {

struct Objective {
  std::string name = "tokens_per_chip";  // or "step", "cost": on one cluster they agree
  // Of a chip for an hour, in any currency: of any chip, and of those that are named.
  std::optional<double> price = {};
  std::map<std::string, double> price_of = {};

  std::optional<double> PriceOf(const std::string& chip) const;
};

// The report does not depend on what was looked at beyond the last of the best.
v1::SearchReport Assemble(const PlanSpace& space, const Searched& searched,
                          const SearchOptions& options, const Objective& objective);

// Of `best`: no other has as many tokens per second, as little memory and as few chips, and more of
// one.
std::vector<int> FrontOf(const v1::SearchReport& report);

// Searches of several clusters as one: the best `top` by the objective, and those on the front. Chips
// cost as much each where no price is known. reports: at least one.
v1::SearchReport Combine(const std::vector<v1::SearchReport>& reports, const Objective& objective,
                         int top);

// All parts of one search as one. Error: a part is missing, is there twice, or is of another search
// (a space, a number of plans, a memory).
StatusOr<Searched> MergeParts(const std::vector<SearchContents>& parts);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_ADVICE_SEARCH_ASSEMBLE_H_
