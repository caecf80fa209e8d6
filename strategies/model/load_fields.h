// Fields of a message with their ranges: problems are reported under the message's path.

#ifndef MESHSTEP_STRATEGIES_MODEL_LOAD_FIELDS_H_
#define MESHSTEP_STRATEGIES_MODEL_LOAD_FIELDS_H_

#include <string>

#include "absl/strings/str_cat.h"
#include "sim/base/diagnostics.h"

namespace meshstep {

class FieldLoader {
 protected:
  FieldLoader(std::string field, Diagnostics* diagnostics)
      : field_(std::move(field)), diagnostics_(*diagnostics) {}

  void Problem(const std::string& name, const std::string& problem) {
    diagnostics_.Error(field_ + "." + name, problem);
    ok_ = false;
  }
  // `value`, or `low` after a problem.
  int Range(const std::string& name, int value, int low, int high) {
    if (value >= low && value <= high) return value;
    Problem(name, absl::StrCat("is ", value, ", expected ", low, " to ", high));
    return low;
  }
  int Needed(const std::string& name, bool there, int value, int low, int high,
             const std::string& what) {
    if (there) return Range(name, value, low, high);
    Problem(name, absl::StrCat("is not set, expected the ", what));
    return 0;
  }
  bool ok() const { return ok_; }
  const std::string& field() const { return field_; }
  Diagnostics& diagnostics() const { return diagnostics_; }

 private:
  const std::string field_;
  Diagnostics& diagnostics_;
  bool ok_ = true;
};

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_MODEL_LOAD_FIELDS_H_
