// Problems found in input: each is one line "file:line:column: field: problem", all reported
// together. Line and column are 1-based and left out where the format gives none (binary).

#ifndef MESHSTEP_SIM_BASE_DIAGNOSTICS_H_
#define MESHSTEP_SIM_BASE_DIAGNOSTICS_H_

#include <functional>
#include <string>
#include <vector>

#include "sim/base/status.h"

namespace meshstep {

// Where a field of a message was written: "file:line:column", "file" or "" if not known.
using Locator = std::function<std::string(const std::string& field_path)>;

class Diagnostics {
 public:
  Diagnostics() = default;
  explicit Diagnostics(Locator locator) : locator_(std::move(locator)) {}

  // field: path from the scenario, "plan.tensor". problem: one sentence that gives the value and
  // what was expected, as "is 7, but must divide the 64 query heads".
  void Error(const std::string& field, const std::string& problem);
  // Notes (paddings, roundings) do not fail; they go to standard error or the report.
  void Note(const std::string& note) { notes_.push_back(note); }

  bool ok() const { return errors_.empty(); }
  const std::vector<std::string>& errors() const { return errors_; }
  const std::vector<std::string>& notes() const { return notes_; }
  // OK, or InvalidArgument with one line per problem.
  Status status() const;

 private:
  Locator locator_;
  std::vector<std::string> errors_, notes_;
};

}  // namespace meshstep

#endif  // MESHSTEP_SIM_BASE_DIAGNOSTICS_H_
