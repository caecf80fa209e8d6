// Counts with their noun.
//
//   Counted(1, "plan")                      "1 plan"
//   Counted(2000, "plan")                   "2,000 plans"
//   Counted(2, "class of", "classes of")    "2 classes of"

#ifndef MESHSTEP_SIM_BASE_COUNTED_H_
#define MESHSTEP_SIM_BASE_COUNTED_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "sim/base/format.h"

namespace meshstep {

// many: empty for `one` with an s.
inline std::string Counted(std::int64_t count, std::string_view one, std::string_view many = "") {
  std::string noun(one);
  if (count != 1) noun = many.empty() ? noun + "s" : std::string(many);
  return absl::StrCat(FormatCount(count), " ", noun);
}

}  // namespace meshstep

#endif  // MESHSTEP_SIM_BASE_COUNTED_H_
